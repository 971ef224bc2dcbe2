//! Faults inside a service, switched on and off by its resilience tests while it runs.
//!
//! A [`ChaosLayer`] stands in front of a service or a client and delays requests, fails them, lets them hang or limits
//! their rate: a share of them, chosen by path or header and by a seed. A [`fail_point!`] does the same inside a
//! function. Both do nothing until a [`ChaosControl`] switches them on; what is on ends with its lease, so a test
//! that dies leaves nothing behind.
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use chaos_layer::{Act, ChaosControl, ChaosLayer, Rule, When};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let control = ChaosControl::new();
//! // Where a test may switch it from: only if CHAOS_CONTROL_LISTEN is set.
//! control.listen_from_env().await?;
//! let app: Router = Router::new().route("/stock", get(async || "7")).layer(ChaosLayer::new(control.clone()));
//!
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! tokio::spawn(axum::serve(listener, app).into_future());
//! # let reqwest = reqwest::Client::builder().no_proxy().build()?;
//! # let url = format!("http://{address}/stock");
//! assert_eq!(reqwest.get(&url).send().await?.status(), 200);
//!
//! // What `target("inventory").in_process().path("/stock").error(503)` of chaos-harness does from outside:
//! let when = When { path: Some("/stock".to_owned()), ..When::default() };
//! let failing = Rule { when, ..Act::Error { status: 503, grpc: None }.into() };
//! control.put("failing", failing, Duration::from_secs(10))?;
//! assert_eq!(reqwest.get(&url).send().await?.status(), 503);
//! # Ok(())
//! # }
//! ```
//!
//! # In front of what
//! | | how |
//! |---|---|
//! | axum | `Router::layer(ChaosLayer::new(control))` |
//! | tonic server | `Server::builder().layer(ChaosLayer::new(control))`; a gRPC call is refused with a gRPC status |
//! | tonic client | `ServiceBuilder::new().layer(ChaosLayer::new(control)).service(channel)` |
//! | reqwest client | `ServiceBuilder::new().layer(ChaosLayer::new(control)).service(client)`, feature `reqwest`; a connector layer of `ClientBuilder` never sees requests |
//! | any other tower service | [`ChaosLayer::plain`]; it is refused with a [`Fault`] |
//!
//! # Fail points
//! With the feature `fail-points`, [`fail_point!`] evaluates a point of the [`fail`](https://docs.rs/fail) crate when
//! it is switched on for this call; without the feature it compiles to nothing. Turn it on in the builds that are tested.
//!
//! # Features
//! `control` (default): the control endpoint. `fail-points`, `reqwest`: as above. `schema`: JSON Schema of the data.

mod active;
mod answer;
mod control;
mod dice;
#[cfg(feature = "control")]
mod endpoint;
mod future;
mod invalid;
mod layer;
#[cfg(feature = "control")]
mod listen;
mod plan;
mod point;
#[cfg(feature = "fail-points")]
pub mod points;
mod rule;
mod speaks;
mod wire;
mod words;

pub use control::ChaosControl;
#[cfg(feature = "control")]
pub use endpoint::ControlEndpoint;
#[doc(hidden)]
#[cfg(feature = "fail-points")]
pub use fail as __fail;
pub use future::ResponseFuture;
pub use invalid::{Invalid, check_name};
pub use layer::{Chaos, ChaosLayer};
#[cfg(feature = "control")]
pub use listen::ListenError;
pub use plan::Refusal;
pub use point::{FailPoint, PointAct};
pub use rule::{Act, HeaderMatch, Rule, Seen, When};
pub use speaks::{Fault, Http, Plain, Speaks};
pub use wire::{CONTROL_LISTEN, InForce, Order, Refused, Report};

/// A place in a function where a test can make something go wrong: `fail_point!(name)` sleeps or panics,
/// `fail_point!(name, closure)` also returns from the function what the closure makes of an `Option<String>`.
///
/// It is evaluated by the `fail` crate under the same name, once the share and the seed of the
/// [`FailPoint`] have picked this call. While no point is on it costs one relaxed load; without the feature
/// `fail-points` it is nothing. A name is 1 to 100 of `A-Z a-z 0-9 - _ . :`. A point without a closure that is told
/// to return panics, as it does with `fail` itself.
///
/// Points that are written with `fail`'s own macro are switched as well, but in every call and without being counted,
/// so a test cannot show that they have bitten.
///
/// ```
/// use std::time::Duration;
/// use chaos_layer::{PointAct, fail_point, points};
///
/// fn reserve(pieces: u32) -> Result<u32, String> {
///     fail_point!("stock::reserve", |value: Option<String>| Err(value.unwrap_or_default()));
///     Ok(pieces)
/// }
///
/// assert_eq!(reserve(3), Ok(3));
/// // What `target("inventory").fail_point("stock::reserve").returns("disk full")` does from outside:
/// points::put("stock::reserve", PointAct::Return { value: "disk full".to_owned() }, Duration::from_secs(10))?;
/// assert_eq!(reserve(3), Err("disk full".to_owned()));
/// points::remove("stock::reserve");
/// assert_eq!(reserve(3), Ok(3));
/// # Ok::<(), chaos_layer::Invalid>(())
/// ```
#[cfg(feature = "fail-points")]
#[macro_export]
macro_rules! fail_point {
    ($name:expr) => {
        if $crate::points::strikes($name) {
            $crate::__fail::fail_point!($name);
        }
    };
    ($name:expr, $returns:expr) => {
        if $crate::points::strikes($name) {
            $crate::__fail::fail_point!($name, $returns);
        }
    };
}

/// A place in a function where a test can make something go wrong; nothing without the feature `fail-points`.
#[cfg(not(feature = "fail-points"))]
#[macro_export]
macro_rules! fail_point {
    ($name:expr) => {};
    ($name:expr, $returns:expr) => {};
}
