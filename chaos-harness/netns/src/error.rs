//! What can go wrong in a network namespace.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A job that could not be done. Plain data, since a helper may have to hand it on.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "error")]
#[non_exhaustive]
pub enum NetnsError {
    /// The kernel has no such feature.
    #[error("{what} needs the kernel module {module}, which this kernel does not have")]
    Missing {
        /// What was asked for.
        what: String,
        /// What it takes.
        module: String,
    },
    /// This process may not do it.
    #[error("not permitted to {action}: it takes CAP_SYS_ADMIN and CAP_NET_ADMIN")]
    NotPermitted {
        /// What was tried.
        action: String,
    },
    /// What somebody else has made would have to be replaced.
    #[error(
        "{interface} has the queueing discipline {discipline} of somebody else's, which netem would replace; take it \
         off, or use `link(..).latency(..)`"
    )]
    Occupied {
        /// The interface.
        interface: String,
        /// Its root.
        discipline: String,
    },
    /// The namespace is gone, and all rules with it.
    #[error("the network namespace is gone")]
    Gone,
    /// The kernel refused for another reason.
    #[error("could not {action}: {reason}")]
    System {
        /// What was tried.
        action: String,
        /// The kernel's reason.
        reason: String,
    },
}

impl NetnsError {
    /// The error for `action`, to be used with `map_err`.
    pub(crate) fn of(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |error| match Errno::from_io_error(&error) {
            Some(Errno::PERM | Errno::ACCESS) => Self::NotPermitted { action },
            _ => Self::System { action, reason: error.to_string() },
        }
    }

    /// The same, where the kernel says "no entry" or "not supported" for want of `module`.
    pub(crate) fn of_feature<'a>(what: &'a str, module: &'a str) -> impl FnOnce(std::io::Error) -> Self + 'a {
        move |error| match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT) => {
                Self::Missing { what: what.to_owned(), module: module.to_owned() }
            }
            _ => Self::of(format!("set up {what}"))(error),
        }
    }
}
