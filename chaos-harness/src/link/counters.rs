//! What a link counts, so that a fault can be shown to have bitten.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// The live counters of a link.
        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $name: Counter,)+ }

        impl Counters {
            pub(super) fn snapshot(&self) -> CountersSnapshot {
                CountersSnapshot { $($name: self.$name.get(),)+ }
            }
        }

        /// What a link has counted up to one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct CountersSnapshot { $($(#[$doc])+ pub $name: u64,)+ }

        impl CountersSnapshot {
            /// What was counted since `earlier`; `active` stays as it is, being a level and no count.
            pub fn since(&self, earlier: &Self) -> Self {
                Self { active: self.active, ..Self { $($name: self.$name.saturating_sub(earlier.$name),)+ } }
            }
        }
    };
}

counters! {
    /// Connections accepted since the link was bound.
    accepted,
    /// Connections open now.
    active,
    /// Connections for which the callee could not be reached; their callers saw a reset.
    upstream_failed,
    /// Connections that a refuse toxic cut. The kernel refuses new ones where nobody sees or counts it.
    refused,
    /// Connections that a reset toxic cut.
    reset,
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
    /// HTTP responses that a toxic delayed.
    http_delayed,
    /// HTTP responses that a toxic broke off.
    http_truncated,
    /// HTTP responses in which a toxic flipped bits.
    http_corrupted,
    /// HTTP requests and responses whose headers a toxic changed.
    http_rewritten,
    /// Connections of a link declared HTTP that are not HTTP, are malformed, or became something else (`Upgrade`);
    /// they pass without a look.
    http_opaque,
}
