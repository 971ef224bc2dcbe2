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
//! | `GET /metrics` | for Prometheus: bytes received and sent with `--proxy-metrics`, `process_*` with `--runtime-metrics` | 200 |
//!
//! Errors are `{"error": "proxy not found", "status": 404}`: 400 for what makes no sense, 404 for what there is not,
//! 405 for a method that a path does not take, 403 for browsers. A disabled proxy has no listener and no connections;
//! it keeps its toxics. `upstream` is a host and a port, looked up anew for every connection.
//!
//! | type | attributes | does | stands on |
//! |---|---|---|---|
//! | `noop` | none | nothing | a latency of 0 |
//! | `latency` | `latency`, `jitter` in ms | bytes arrive later | [`Latency`](crate::link::toxic::Latency) |
//! | `bandwidth` | `rate` in kB/s; 0 lets nothing through | bytes arrive no faster | [`Bandwidth`](crate::link::toxic::Bandwidth) |
//! | `slow_close` | `delay` in ms | the end arrives later | [`SlowClose`](crate::link::toxic::SlowClose) |
//! | `timeout` | `timeout` in ms; 0 for never | bytes are lost, then the connection closes, or when the toxic goes | [`BlackHole`](crate::link::toxic::BlackHole) |
//! | `reset_peer` | `timeout` in ms | connections are reset, so long after their first data or end of stream; that is not passed on | [`Reset`](crate::link::toxic::Reset) |
//! | `slicer` | `average_size`, `size_variation` in bytes, `delay` in µs | the stream arrives in pieces | [`Slicer`](crate::link::toxic::Slicer) |
//! | `limit_data` | `bytes` | connections close after so many bytes | [`LimitData`](crate::link::toxic::LimitData) |
//!
//! # What differs
//!
//! - The seed is used: it decides toxicity, jitter and slices, the same for the same name of a proxy, the same toxics
//!   and connections in the same order. Toxiproxy takes `--seed`, but its decisions follow no order.
//! - Delays are exact to a fraction of a millisecond where the machine has time, and a change holds for every live
//!   connection when it is answered.
//! - Half-closed connections stay half open; toxiproxy closes both ways.
//! - Without a host (`:1234`, or nothing) a proxy listens on loopback, and one line says so; with `--all-interfaces` it
//!   listens on every interface, as toxiproxy does, and so it does when the control API itself does (`--host ''`,
//!   `0.0.0.0`, `::`): whoever reaches that one can open any port anyway. The answer names the address. `0.0.0.0:1234` and
//!   `[::]:1234` are every interface over both families, as in Go.
//! - Numbers are taken as toxiproxy takes them, those below zero as 0, and told as they came. Times above an hour act as
//!   an hour, a `rate` above 100 GB/s and slices above 1 MiB as those; a `size_variation` not below the `average_size` acts
//!   as one byte less than that.
//! - What ends toxiproxy is refused with 400: a `rate` or a `size_variation` below 0, an `average_size` below 1. So are a
//!   toxicity beyond 0 and 1, and with 413 bodies above [`BODY_LIMIT`].
//! - A `jitter` above the `latency` is spread evenly over 0 to their sum, where toxiproxy has more at 0.
//! - `timeout` counts from the opening of a connection, or from the toxic for a live one; toxiproxy counts from the last
//!   bytes. A changed `limit_data` counts anew.
//! - `reset_peer` resets live connections too, which toxiproxy closes. When it is removed before its time, what it kept
//!   goes on; in toxiproxy it is lost.
//! - Of several addresses of an `upstream` the first that answers is taken, each tried 250 ms after the one before (RFC 8305).
//! - Web pages are refused by their `Origin` and `Sec-Fetch-Site` too, and so are names in `Host` that a page could have
//!   (DNS rebinding): those with a dot that neither `--host` nor `--allow-host` names. Addresses, `localhost` and names
//!   without a dot, as those of services in a Docker network, are fine.
//! - A connection that is idle for 15 s is closed, in toxiproxy after 60 s. Both give the head of a request 15 s, and then
//!   its body, which is answered with 408 here. No more than 512 connections are accepted at a time.
//! - Text in errors that comes from Go's JSON reader has other words behind `bad request body: `.
//! - Metrics are live, not only of connections that have ended. There is no Go runtime, so there is no `go_*`.
//! - A configuration that cannot be read or applied ends the program, and so does a `--seed` that does not fit 64 bits.
//!
//! # Map
//!
//! | file | holds |
//! |---|---|
//! | `server.rs`, `connections.rs`, `access.rs` | HTTP in front of it all, its bounds, and who may speak to it |
//! | `call.rs` | from bytes to what is asked for: pure, and fuzzed |
//! | `fields.rs`, `listen.rs` | JSON and addresses as generously as Go reads them |
//! | `attributes.rs` | the types of toxic, and the link's toxics behind them |
//! | `control.rs`, `proxy.rs` | the proxies, and what a request does to them |
//! | `metrics.rs`, `process.rs`, `error.rs` | what is told |

mod access;
mod attributes;
mod call;
mod connections;
mod control;
mod error;
mod fields;
mod listen;
mod metrics;
mod process;
mod proxy;
mod server;

pub use attributes::{Attributes, Stream, Toxicity};
pub use call::{Body, Call, NewProxy, NewToxic, ProxyChange, ToxicChange};
pub use control::{Control, Reply, Settings};
pub use error::ApiError;
pub use listen::{AddressError, wildcard};
pub use server::serve;

/// Largest body that a request may have, in bytes.
pub const BODY_LIMIT: usize = 1 << 20;

/// The version of toxiproxy whose interface this is, and the library's own behind it.
pub const VERSION: &str = concat!("2.12.0+chaos-harness.", env!("CARGO_PKG_VERSION"));
