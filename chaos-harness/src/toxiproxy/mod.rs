//! The link proxy on its own, with [toxiproxy](https://github.com/Shopify/toxiproxy)'s control API.
//!
//! Whatever speaks to `toxiproxy-server` speaks to `chaos-proxy`: the same paths, JSON, names, defaults, status codes
//! and error texts, those of toxiproxy 2.12. [`serve`] is the server as a function.
//!
//! ```sh
//! cargo run --package chaos-harness --features toxiproxy --bin chaos-proxy -- --config toxiproxy.json --seed 7
//! ```
//!
//! | endpoint | does | answers |
//! |---|---|---|
//! | `GET /proxies` | all proxies with their toxics, by name | 200 |
//! | `POST /proxies` | a new proxy: `name`, `listen`, `upstream`, `enabled` (true) | 201; 409 taken; 500 cannot listen |
//! | `POST /populate` | a list of them: keeps what is the same, replaces the rest, stops at the first that fails | 201 |
//! | `GET /proxies/{name}` | one proxy | 200 |
//! | `POST`, `PATCH /proxies/{name}` | changes `listen`, `upstream`, `enabled` | 200; 500 cannot listen |
//! | `DELETE /proxies/{name}` | stops and forgets it | 204 |
//! | `GET /proxies/{name}/toxics` | its toxics: those of the stream upstream first, in the order of addition | 200 |
//! | `POST /proxies/{name}/toxics` | a new toxic: `type`, `name` (`<type>_<stream>`), `stream` (`downstream`), `toxicity` (1), `attributes` (0 each) | 200; 409 taken |
//! | `GET /proxies/{name}/toxics/{toxic}` | one toxic | 200 |
//! | `POST`, `PATCH /proxies/{name}/toxics/{toxic}` | changes `toxicity` and the `attributes` that are named | 200 |
//! | `DELETE /proxies/{name}/toxics/{toxic}` | removes it, for live connections too | 204 |
//! | `POST /reset` | enables all proxies, removes all toxics | 204 |
//! | `GET /version` | the version of the interface | 200 |
//! | `GET /metrics` | bytes received and sent, for Prometheus; with `--proxy-metrics` | 200 |
//!
//! Errors are `{"error": "proxy not found", "status": 404}`: 400 for what makes no sense, 404 for what there is not,
//! 405 for a method that a path does not take, 403 for browsers. A disabled proxy has no listener and no connections;
//! it keeps its toxics. `upstream` is a host and a port, looked up anew for every connection.
//!
//! | type | attributes | does | stands on |
//! |---|---|---|---|
//! | `latency` | `latency`, `jitter` in ms | bytes arrive later | [`Latency`](crate::link::toxic::Latency) |
//! | `bandwidth` | `rate` in kB/s; 0 lets nothing through | bytes arrive no faster | [`Bandwidth`](crate::link::toxic::Bandwidth) |
//! | `slow_close` | `delay` in ms | the end arrives later | [`SlowClose`](crate::link::toxic::SlowClose) |
//! | `timeout` | `timeout` in ms; 0 for never | bytes are lost, then the connection closes, or when the toxic goes | [`BlackHole`](crate::link::toxic::BlackHole) |
//! | `reset_peer` | `timeout` in ms | connections are reset | [`Reset`](crate::link::toxic::Reset) |
//! | `slicer` | `average_size`, `size_variation` in bytes, `delay` in µs | the stream arrives in pieces | [`Slicer`](crate::link::toxic::Slicer) |
//! | `limit_data` | `bytes` | connections close after so many bytes | [`LimitData`](crate::link::toxic::LimitData) |
//!
//! # What differs
//!
//! - The seed is used: it decides toxicity, jitter and slices, the same for the same name of a proxy, the same toxics
//!   and connections in the same order. Toxiproxy takes `--seed`, but its decisions follow no order.
//! - Delays are exact to a fraction of a millisecond where the machine has time, and a change holds for every live
//!   connection when it is answered.
//! - Half-closed connections stay half open, and a callee that is down resets its callers; toxiproxy closes both.
//! - Without a host a proxy listens on loopback (`:1234`), not on every interface; `0.0.0.0:1234` means what it says.
//! - Values that make no sense are refused with 400: below 0, longer than an hour, a toxicity beyond 0 and 1, slices of
//!   no size, bodies above [`BODY_LIMIT`] with 413. Toxiproxy takes them, and some end it.
//! - A `jitter` above the `latency` is spread evenly over 0 to their sum, where toxiproxy has more at 0.
//! - `timeout` and `reset_peer` count from the opening of a connection, or from the toxic for a live one; toxiproxy
//!   counts from the last or the first bytes. A changed `limit_data` counts anew.
//! - Text in errors that comes from Go's JSON reader has other words behind `bad request body: `.
//! - Metrics are live, not only of connections that have ended. `--runtime-metrics` has no Go runtime to tell of.
//! - A configuration that cannot be read or applied ends the program.
//!
//! # Map
//!
//! | file | holds |
//! |---|---|
//! | `server.rs` | HTTP in front of it all |
//! | `call.rs` | from bytes to what is asked for: pure, and fuzzed |
//! | `fields.rs`, `listen.rs` | JSON and addresses as generously as Go reads them |
//! | `attributes.rs` | the types of toxic, and the link's toxics behind them |
//! | `control.rs`, `proxy.rs` | the proxies, and what a request does to them |
//! | `metrics.rs`, `error.rs` | what is told |

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
