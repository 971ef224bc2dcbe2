//! One declared dependency, and what is spoken on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is spoken on a link, which decides how it is proxied and which toxics it can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Any stream of bytes.
    #[default]
    Tcp,
    /// HTTP/1.1 over TCP; a toxic can then act on requests and answers.
    Http,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// Whether it runs over TCP. A pair of services has one link over TCP at most, and one over UDP.
    pub fn is_stream(self) -> bool {
        self != Self::Udp
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Udp => "udp",
        })
    }
}

/// A declared dependency: `caller` sends requests to `callee`. Written as `topology!` has it: `order -> dns: udp`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// The service that depends on the other, or [`USERS`](super::USERS).
    pub caller: String,
    /// The service that is depended upon.
    pub callee: String,
    /// What is spoken.
    #[serde(default, skip_serializing_if = "Protocol::is_default")]
    pub protocol: Protocol,
}

impl Link {
    /// Whether both cannot be declared: a pair is linked once over TCP, whatever is spoken, and once over UDP.
    pub(super) fn collides(&self, other: &Self) -> bool {
        self.joins(&other.caller, &other.callee) && self.protocol.is_stream() == other.protocol.is_stream()
    }

    /// Whether it leads from `caller` to `callee`.
    pub(super) fn joins(&self, caller: &str, callee: &str) -> bool {
        self.caller == caller && self.callee == callee
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", self.caller, self.callee)?;
        if self.protocol.is_default() { Ok(()) } else { write!(f, ": {}", self.protocol) }
    }
}
