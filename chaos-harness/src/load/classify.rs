//! From an error of the HTTP client to an outcome.

use std::error::Error;
use std::io;

use rustix::io::Errno;

use crate::measure::Outcome;
use crate::shortage;

/// How far an exchange had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the head of the answer was there.
    Head,
    /// While its body was read.
    Body,
}

/// Classifies by the typed causes of `error`, the innermost first: what the socket said decides.
pub(super) fn classify(error: &reqwest::Error, stage: Stage) -> Outcome {
    let broken = match stage {
        Stage::Head => Outcome::Reset,
        Stage::Body => Outcome::Truncated,
    };
    let causes: Vec<_> = std::iter::successors(error.source(), |cause| (**cause).source()).collect();
    let typed = causes.iter().rev().find_map(|cause| of_cause(*cause, broken));
    typed.unwrap_or(if error.is_timeout() { Outcome::Timeout } else { Outcome::Unreachable })
}

fn of_cause(cause: &(dyn Error + 'static), broken: Outcome) -> Option<Outcome> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return of_io(error, broken);
    }
    let error = cause.downcast_ref::<hyper::Error>()?;
    if error.is_timeout() {
        Some(Outcome::Timeout)
    } else if error.is_parse() {
        Some(Outcome::Protocol)
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        Some(broken)
    } else {
        None
    }
}

fn of_io(error: &io::Error, broken: Outcome) -> Option<Outcome> {
    if Errno::from_io_error(error).is_some_and(is_own_shortage) {
        shortage::note(error, "requests of the load or of probes");
        return Some(Outcome::Unsent);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Outcome::Refused),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => Some(broken),
        io::ErrorKind::TimedOut => Some(Outcome::Timeout),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Some(Outcome::Protocol),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Some(Outcome::Unreachable),
        _ => None,
    }
}

/// This machine ran out of something that sending needs; the target is not to blame.
fn is_own_shortage(errno: Errno) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM].contains(&errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(errno: Errno, stage: Outcome) -> Option<Outcome> {
        of_io(&errno.into(), stage)
    }

    #[test]
    fn what_this_machine_lacks_is_not_the_targets_fault() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL] {
            assert_eq!(io(errno, Outcome::Reset), Some(Outcome::Unsent));
        }
    }

    #[test]
    fn a_broken_connection_is_reset_before_the_answer_and_truncated_in_it() {
        for errno in [Errno::CONNRESET, Errno::PIPE, Errno::CONNABORTED] {
            assert_eq!(io(errno, Outcome::Reset), Some(Outcome::Reset));
            assert_eq!(io(errno, Outcome::Truncated), Some(Outcome::Truncated));
        }
    }

    #[test]
    fn other_socket_errors_keep_their_meaning() {
        assert_eq!(io(Errno::CONNREFUSED, Outcome::Reset), Some(Outcome::Refused));
        assert_eq!(io(Errno::TIMEDOUT, Outcome::Reset), Some(Outcome::Timeout));
        assert_eq!(io(Errno::HOSTUNREACH, Outcome::Reset), Some(Outcome::Unreachable));
        assert_eq!(io(Errno::NETUNREACH, Outcome::Reset), Some(Outcome::Unreachable));
    }
}
