//! Why a load cannot be sent.

use std::time::Duration;

/// What is wrong with a load, found before anything is sent.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is nothing to send.
    #[error("the load has no requests; begin it with `Load::get` or `Load::post`")]
    NoRequests,
    /// More requests than a sample can index.
    #[error("the load has {count} requests; at most 65535 are possible")]
    TooManyRequests {
        /// How many.
        count: usize,
    },
    /// A rate that is not a number from 0 to the bound, or a load that ends without one.
    #[error("a rate of {rate} requests/s is not possible; give more than 0 and at most {most}")]
    Rate {
        /// The rate.
        rate: f64,
        /// The highest one.
        most: f64,
    },
    /// A ramp that takes longer than any experiment.
    #[error("a ramp over {over:?} is not possible; give at most {most:?}")]
    Ramp {
        /// How long it takes.
        over: Duration,
        /// The longest.
        most: Duration,
    },
    /// A path that is no path.
    #[error("path `{path}` of route `{route}` is not valid; it must begin with `/` and hold no spaces")]
    Path {
        /// The route.
        route: String,
        /// Its path.
        path: String,
    },
    /// A request that would never be chosen.
    #[error("route `{route}` has weight 0 and would never be sent; give it at least 1, or remove it")]
    Weight {
        /// The route.
        route: String,
    },
    /// Two requests share a name.
    #[error("two requests are called `{route}`; give one another name with `.named(..)`")]
    DuplicateRoute {
        /// The name.
        route: String,
    },
    /// A deadline of nothing, or an absurd one.
    #[error("a deadline of {deadline:?} is not possible; give more than 0 and at most {most:?}")]
    Deadline {
        /// The deadline.
        deadline: Duration,
        /// The longest one.
        most: Duration,
    },
    /// A header that HTTP does not allow.
    #[error("header `{header}` of route `{route}` is not valid in HTTP: check its name and value")]
    Header {
        /// The route.
        route: String,
        /// The name of the header.
        header: String,
    },
    /// A name for the degraded header that HTTP does not allow.
    #[error("`{header}` is no valid header name for degraded answers")]
    DegradedHeader {
        /// The name.
        header: String,
    },
    /// No answer could ever be good.
    #[error("route `{route}` accepts no status: `{statuses}` holds none from 100 to 999")]
    Statuses {
        /// The route.
        route: String,
        /// What it accepts.
        statuses: String,
    },
    /// No request could ever be under way.
    #[error("`max_in_flight` must be from 1 to {most}, not {given}")]
    MaxInFlight {
        /// What was given.
        given: u32,
        /// The highest one.
        most: u32,
    },
    /// A body that has no JSON form.
    #[error("the body of route `{route}` has no JSON form: {reason}")]
    Body {
        /// The route.
        route: String,
        /// Why.
        reason: String,
    },
    /// A service that the topology does not have.
    #[error("route `{route}` goes to service `{service}`, which the topology does not have")]
    UnknownService {
        /// The route.
        route: String,
        /// The service.
        service: String,
    },
    /// The generator's threads could not be started.
    #[error("cannot start the load generator's threads: {0}")]
    Threads(#[from] std::io::Error),
    /// The HTTP client could not be made.
    #[error("cannot make the load generator's HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}
