//! HTTP toxics: a look at the messages on a link that is declared HTTP.
//!
//! # Map, in the order in which a byte sees it
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | the tap through which a lane's items pass, before its stages |
//! | `codec.rs` | one connection, both ways: what is spoken, and what is given out when |
//! | `cursor.rs`, `outbox.rs` | a place in what arrives; what goes out and what it waits for |
//! | `h1/`, `h2/` | the two protocols |
//! | `rules.rs` | which toxics act on a request: decided for the link as a whole |
//! | `message.rs`, `answer.rs` | requests and changes of headers; the link's own answers |
//! | `corrupt.rs` | changes of bodies |
//! | `spec.rs`, `abort.rs`, `grpc.rs` | toxics as plain data |
//! | `touched.rs` | the requests that a toxic acted upon |
//! | `unread.rs` | why a connection is not followed, or no longer |
//! | `fuzzing.rs` | the codec without sockets, for tests and for fuzzing |
//!
//! # Guarantees
//!
//! - Bytes pass as they came, and as soon as they come, unless a toxic acts on their exchange. While there is a toxic, a
//!   head (HTTP/1.1) is held back until it is complete; a frame (HTTP/2) always is.
//! - What is not HTTP, is malformed, or has become something else (`Upgrade`, `CONNECT`) passes without a look, and is counted.
//! - What is decided for a request is decided when its head is complete; a toxic that goes lets go what it delays.
//! - Memory: one head of at most 1 MiB or one frame per way and connection, besides what the lanes count.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::counters::Counters;
use super::toxic::{Item, Way};

mod abort;
mod answer;
mod codec;
mod corrupt;
mod cursor;
pub(super) mod fuzzing;
mod grpc;
mod h1;
mod h2;
mod message;
mod outbox;
mod rules;
mod spec;
mod touched;
mod unread;

pub use abort::Abort;
pub use grpc::GrpcCode;
pub use spec::{HeaderMatch, Http, HttpAction, Message, Part, RequestMatch};
pub use touched::Touched;
pub use unread::Unread;

pub(super) use codec::Codec;
pub(super) use rules::{Requests, Rule};

/// One way's end of a connection's codec. Its lock is taken under the connection's, so it is never contended.
pub(super) struct Tap {
    way: Way,
    codec: Arc<Mutex<Codec>>,
}

impl Tap {
    pub(super) fn new(way: Way, codec: &Arc<Mutex<Codec>>) -> Self {
        Self { way, codec: Arc::clone(codec) }
    }

    /// Takes in what the source sent.
    pub(super) fn push(&self, now: Instant, item: Item, counters: &Counters) {
        self.codec.lock().feed(self.way, now, item, counters);
    }

    /// What goes on by `now`, and since when it might have.
    pub(super) fn next(&self, now: Instant) -> Option<(Instant, Item)> {
        self.codec.lock().next(self.way, now)
    }

    /// When there is something to go on; the past when the other way has caused something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.codec.lock().deadline(self.way)
    }

    /// Memory that it holds, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.codec.lock().cost(self.way)
    }

    /// Whether bytes may pass it by.
    pub(super) fn is_transparent(&self) -> bool {
        self.codec.lock().is_transparent()
    }

    /// Forgets all that it holds.
    pub(super) fn clear(&self) {
        self.codec.lock().clear(self.way);
    }
}
