//! An error with its causes. In this project a message holds that of its cause, so that whoever prints a message alone
//! tells the cause too; others keep them apart, and print a chain. This one prints either, with each cause once.

use std::error::Error;

use super::foreign::{Output, log};

/// What people read of `error`: its message, and of its causes those that the message does not hold.
pub fn message(error: &(dyn Error + 'static)) -> Output {
    log(&text(error))
}

/// The same as it is, for what is printed later.
pub(crate) fn text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let told = cause.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::__private::Outcome;

    use crate::environment::EnvironmentError;
    use crate::experiment::PlanError;
    use crate::fault::FaultError;
    use crate::journal::JournalError;
    use crate::link::LinkError;
    use crate::load::LoadError;
    use crate::load::probe::ProbeError;
    use crate::report::baseline::BaselineError;
    use crate::runtime::RuntimeError;
    use crate::safety::undo::UndoError;
    use crate::topology::{InstanceId, TopologyError};

    #[derive(Debug, thiserror::Error)]
    #[error("could not start")]
    struct Apart(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("the test: {0}; try again")]
    struct Together(#[source] Apart);

    fn cause() -> io::Error {
        io::Error::from_raw_os_error(30)
    }

    #[test]
    fn each_cause_is_told_once() {
        assert_eq!(&*message(&Apart(cause())), "could not start: Read-only file system (os error 30)");
        let told = "the test: could not start; try again: Read-only file system (os error 30)";
        assert_eq!(&*message(&Together(Apart(cause()))), told);
    }

    /// One of every error that has a cause.
    fn examples() -> Vec<crate::Error> {
        let io = || RuntimeError::Io { action: "do it".to_owned(), source: cause() };
        let journal = JournalError::Io { action: "write", path: "/j".into(), source: cause() };
        let log = || UndoError::Write { path: "/u".into(), source: cause() };
        let addr: std::net::SocketAddr = "127.0.0.1:1".parse().unwrap();
        let link = || LinkError::Listen { addr, source: cause() };
        let bind = LinkError::Bind { addr: addr.ip(), source: cause() };
        let (instance, program) = (InstanceId::new("a", 1), "p".into());
        let json = serde_json::from_str::<u8>("x").unwrap_err();
        let url = || reqwest::Client::new().get("http://[").build().unwrap_err();
        let topology = || TopologyError::Empty { name: "t".to_owned() };
        let selector = crate::load::probe::MetricError { selector: "x y".to_owned() };
        let other = |error: Box<dyn Error + Send + Sync>| crate::Error::Other(error);
        vec![
            io().into(),
            RuntimeError::Spawn { program, instance, source: cause() }.into(),
            RuntimeError::Undo(Box::new(log())).into(),
            RuntimeError::Undo(Box::new(UndoError::Runtime(Box::new(io())))).into(),
            journal.into(),
            FaultError::from(link()).into(),
            FaultError::from(io()).into(),
            FaultError::from(topology()).into(),
            EnvironmentError::from(link()).into(),
            EnvironmentError::from(bind).into(),
            EnvironmentError::from(io()).into(),
            LoadError::from(cause()).into(),
            LoadError::from(url()).into(),
            ProbeError::from(cause()).into(),
            ProbeError::from(url()).into(),
            ProbeError::Selector { probe: "p".to_owned(), source: selector }.into(),
            PlanError::from(LoadError::from(cause())).into(),
            PlanError::from(topology()).into(),
            other(Box::new(BaselineError::from(json))),
            other(Box::new(Together(Apart(cause())))),
            other(Box::new(io())),
        ]
    }

    #[test]
    fn no_error_tells_a_cause_twice() {
        for error in examples() {
            let told = message(&error).into_string();
            let failure = Err::<(), _>(error).into_result().unwrap_err();
            assert!(failure.to_string().starts_with(&told), "{failure}");
            for told in [told, failure.to_string()] {
                assert!(told.matches("Read-only file system").count() <= 1, "{told}");
            }
        }
    }

    #[test]
    fn a_message_alone_tells_its_causes() {
        for error in examples().into_iter().filter(|error| !matches!(error, crate::Error::Other(_))) {
            let mut next = error.source();
            while let Some(cause) = next {
                assert!(error.to_string().contains(&cause.to_string()), "`{error}` leaves out `{cause}`");
                next = cause.source().filter(|_| !cause.is::<reqwest::Error>());
            }
        }
    }
}
