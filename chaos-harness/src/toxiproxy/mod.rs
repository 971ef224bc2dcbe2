//! A stand-alone TCP proxy with toxiproxy's control API.

mod attributes;
mod call;
mod control;
mod error;
mod fields;
mod listen;
mod metrics;
mod proxy;
mod server;

pub use attributes::{Attributes, Stream, Toxicity};
pub use call::{Body, Call, NewProxy, NewToxic, ProxyChange, ToxicChange};
pub use control::{Control, Reply, Settings};
pub use error::ApiError;
pub use listen::AddressError;
pub use server::serve;

/// Largest body that a request may have, in bytes.
pub const BODY_LIMIT: usize = 1 << 20;

/// The version of toxiproxy whose interface this is, and the library's own behind it.
pub const VERSION: &str = concat!("2.12.0+chaos-harness.", env!("CARGO_PKG_VERSION"));
