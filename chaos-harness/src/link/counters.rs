//! What a link and each of its toxics count, so that a fault can be shown to have bitten.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::toxic::{Cut, Item};

/// One number that several tasks add to.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes that came in, whatever became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// From the caller.
    pub up: u64,
    /// From the callee.
    pub down: u64,
}

impl Counters {
    /// Counts an item that a toxic makes arrive later.
    pub(super) fn delayed(&self, item: &Item) {
        match item {
            Item::Open => self.delayed_opens.add(1),
            Item::Data(_) | Item::Spooled(_) => {
                self.delayed_bytes.add(item.bytes() as u64);
                self.delayed_chunks.add(1);
            }
            Item::Fin | Item::Abort(_) => self.delayed_closes.add(1),
        }
    }

    /// Counts a connection that was cut.
    pub(super) fn cut(&self, cut: Cut) {
        match cut {
            Cut::Reset => self.reset.add(1),
            Cut::Refused => self.refused.add(1),
            Cut::Closed => self.closed.add(1),
            Cut::Spent(_) | Cut::Full => self.limited.add(1),
            Cut::Lost(_) => self.half_opened.add(1),
            Cut::Peer | Cut::HungUp => self.aborted.add(1),
            Cut::Shutdown(_) => {}
        }
    }
}

/// Whether the counter of that name is a level, like what is open now, and no count that only grows.
pub(crate) fn is_level(name: &str) -> bool {
    name.starts_with("active")
}

/// Declares the counters of a kind of link and their snapshot; `$level` is a level and no count.
macro_rules! counters {
    ($counters:ident => $snapshot:ident, level $level:ident; $($(#[$doc:meta])+ $name:ident,)+) => {
        /// The live counters of a link, or of one of its toxics.
        #[derive(Debug, Default)]
        pub(super) struct $counters { $(pub(super) $name: Counter,)+ }

        impl $counters {
            pub(super) fn snapshot(&self) -> $snapshot {
                $snapshot { $($name: self.$name.get(),)+ }
            }
        }

        /// What a link, or one of its toxics, has counted up to one moment. A toxic counts what it did itself, and nothing else.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $snapshot { $($(#[$doc])+ pub $name: u64,)+ }

        impl $snapshot {
            #[doc = concat!("What was counted since `earlier`; `", stringify!($level), "` stays as it is, being a level and no count.")]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $level: self.$level, ..Self { $($name: self.$name.saturating_sub(earlier.$name),)+ } }
            }

            /// The smaller of each pair of counters.
            #[allow(dead_code, reason = "not every kind of link has toxics that decide first")]
            pub(super) fn at_most(&self, other: &Self) -> Self {
                Self { $($name: self.$name.min(other.$name),)+ }
            }

            /// Every counter with its name, in the order of declaration.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }
        }
    };
}

pub(super) use counters;

counters! {
    Counters => CountersSnapshot, level active;
    /// Connections accepted since the link was bound.
    accepted,
    /// Connections open now.
    active,
    /// Connections of peers that the link does not serve, as from another network: reset, and not forwarded.
    refused_peers,
    /// Connections for which the callee could not be reached; their callers saw a reset. Behind the first one that the
    /// callee refuses the link closes its port, and the kernel refuses where nobody counts it.
    upstream_failed,
    /// Connections on which a toxic did something, counted once for each toxic.
    affected,
    /// Times that a refuse toxic closed the port.
    closings,
    /// Connections that a refuse toxic cut. The kernel refuses new ones where nobody sees or counts it.
    refused,
    /// Connections that a reset toxic cut.
    reset,
    /// Connections that a toxic closed in order, with a FIN to both ends.
    closed,
    /// Connections that a limit ended, refused or made to wait.
    limited,
    /// Connections of which a toxic let one end vanish without a word to the other.
    half_opened,
    /// Connections that ended because one end reset them, or the callee could not be reached.
    aborted,
    /// Bytes written to the callee.
    bytes_up,
    /// Bytes written to the caller.
    bytes_down,
    /// Bytes, of both ways, that went from socket to socket without a copy.
    bytes_spliced,
    /// Bytes that a toxic delayed.
    delayed_bytes,
    /// Chunks that a toxic delayed.
    delayed_chunks,
    /// Connections to the callee that a toxic made begin later.
    delayed_opens,
    /// Ends of a stream or a connection that a toxic made arrive later.
    delayed_closes,
    /// Bytes that a toxic lost on purpose.
    dropped_bytes,
    /// Bytes of which a toxic flipped a bit.
    corrupted_bytes,
    /// Bytes that a bandwidth toxic gave their time.
    throttled_bytes,
    /// Pieces that a slicer made of the stream.
    slices,
    /// Bytes that a black hole held back.
    stalled_bytes,
    /// Times that a black hole began to hold back one way of a connection.
    stalls,
    /// HTTP requests that came from callers.
    http_requests,
    /// HTTP requests that a toxic aborted.
    http_aborted,
    /// HTTP requests that a rate limit turned away.
    http_rate_limited,
    /// HTTP requests and responses that a toxic delayed.
    http_delayed,
    /// HTTP responses that a toxic broke off.
    http_truncated,
    /// HTTP responses in which a toxic flipped bits.
    http_corrupted,
    /// HTTP requests and responses whose headers a toxic changed.
    http_rewritten,
    /// Connections of a link declared HTTP that pass unread, from the start or from some message on: HTTP toxics do
    /// not act on them. The counters that follow say why; see [`Unread`](super::http::Unread).
    http_opaque,
    /// Unread connections that are encrypted.
    http_unread_tls,
    /// Unread connections on which something other than HTTP is spoken.
    http_unread_foreign,
    /// Unread connections that were upgraded to HTTP/2 (`Upgrade: h2c`).
    http_unread_h2c,
    /// Unread connections that were upgraded to another protocol, such as WebSocket, or became tunnels (`CONNECT`).
    http_unread_upgraded,
    /// Connections that are unread since a message that was larger than the link keeps.
    http_unread_too_large,
    /// Connections that are unread since a message that breaks the rules of HTTP.
    http_unread_malformed,
}
