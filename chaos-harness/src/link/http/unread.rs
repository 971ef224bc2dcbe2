//! Why a connection of a link declared HTTP is not, or no longer, read: HTTP toxics do not act on what follows.

use std::fmt;

use crate::link::CountersSnapshot;
use crate::link::counters::{Counter, Counters};

/// Why the rest of a connection passes unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Unread {
    /// It is encrypted.
    Tls,
    /// Something other than HTTP/1.x or HTTP/2 is spoken.
    Foreign,
    /// It was upgraded from HTTP/1.1 to HTTP/2 (`Upgrade: h2c`).
    H2c,
    /// It was upgraded to another protocol, such as WebSocket, or became a tunnel (`CONNECT`).
    Upgraded,
    /// A message is larger than the link keeps, or more requests wait for their responses than it counts.
    TooLarge,
    /// A message breaks the rules of HTTP, or two of its fields disagree on where it ends.
    Malformed,
}

impl Unread {
    /// All of them, in the order in which reports name them.
    pub const ALL: [Self; 6] = [Self::Tls, Self::Foreign, Self::H2c, Self::Upgraded, Self::TooLarge, Self::Malformed];

    /// Whether this is no use of HTTP as a link can follow it, as opposed to an upgrade that HTTP provides for.
    pub fn is_unexpected(self) -> bool {
        self != Self::Upgraded
    }

    /// Counts a connection that is unread from here on.
    pub(super) fn count(self, counters: &Counters) {
        counters.http_opaque.add(1);
        self.counter(counters).add(1);
    }

    fn counter(self, counters: &Counters) -> &Counter {
        match self {
            Self::Tls => &counters.http_unread_tls,
            Self::Foreign => &counters.http_unread_foreign,
            Self::H2c => &counters.http_unread_h2c,
            Self::Upgraded => &counters.http_unread_upgraded,
            Self::TooLarge => &counters.http_unread_too_large,
            Self::Malformed => &counters.http_unread_malformed,
        }
    }

    /// The name of its counter in [`CountersSnapshot`] and in journals.
    pub fn counter_name(self) -> &'static str {
        match self {
            Self::Tls => "http_unread_tls",
            Self::Foreign => "http_unread_foreign",
            Self::H2c => "http_unread_h2c",
            Self::Upgraded => "http_unread_upgraded",
            Self::TooLarge => "http_unread_too_large",
            Self::Malformed => "http_unread_malformed",
        }
    }
}

impl CountersSnapshot {
    /// How many connections were not read to their end, by reason; only reasons that occurred.
    pub fn http_unread(&self) -> Vec<(Unread, u64)> {
        let of = |reason: Unread| match reason {
            Unread::Tls => self.http_unread_tls,
            Unread::Foreign => self.http_unread_foreign,
            Unread::H2c => self.http_unread_h2c,
            Unread::Upgraded => self.http_unread_upgraded,
            Unread::TooLarge => self.http_unread_too_large,
            Unread::Malformed => self.http_unread_malformed,
        };
        Unread::ALL.into_iter().map(|reason| (reason, of(reason))).filter(|(_, count)| *count > 0).collect()
    }
}

impl fmt::Display for Unread {
    /// What was the matter: `TLS`, `malformed HTTP`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS",
            Self::Foreign => "not HTTP",
            Self::H2c => "upgraded to h2c",
            Self::Upgraded => "upgraded to another protocol",
            Self::TooLarge => "HTTP message too large to follow",
            Self::Malformed => "malformed HTTP",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_the_counter_of_its_name() {
        for reason in Unread::ALL {
            let counters = Counters::default();
            reason.count(&counters);
            let counted = counters.snapshot();
            assert_eq!(counted.http_unread(), [(reason, 1)]);
            let named: Vec<_> = counted.entries().filter(|(_, count)| *count == 1).map(|(name, _)| name).collect();
            assert_eq!(named, ["http_opaque", reason.counter_name()]);
        }
    }
}
