//! The load as plain data.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Method, Ramp, Rate, Request, Statuses};

/// What users ask of the system, and how often.
///
/// Settings of a request apply to the one named last:
///
/// ```
/// use std::time::Duration;
/// use chaos_harness::load::{Load, Request};
///
/// let load = Load::post("gateway", "/orders")
///     .json(&serde_json::json!({ "sku": "a-1" }))
///     .expect(200..=202)
///     .rate(100)
///     .also(Request::get("gateway", "/catalog").weight(3))
///     .deadline(Duration::from_secs(2));
/// assert_eq!(load.route("/catalog"), Some(1));
/// assert!(load.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// What is sent; which one leaves next is drawn by weight.
    pub requests: Vec<Request>,
    /// How many leave per second, all together.
    #[serde(default)]
    pub rate: Rate,
    /// From a request's intended start to the end of its answer; later ones count as timed out. 1 s unless set:
    /// about as long as users wait before they notice.
    #[serde(default = "one_second", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub deadline: Duration,
    /// An accepted answer that carries this header was degraded.
    #[serde(default = "x_degraded")]
    pub degraded_header: String,
    /// Most requests under way at a time; what is due beyond that is not sent, fails, and voids the run.
    #[serde(default = "many")]
    pub max_in_flight: u32,
}

fn one_second() -> Duration {
    Duration::from_secs(1)
}

fn x_degraded() -> String {
    "x-degraded".to_owned()
}

fn many() -> u32 {
    4096
}

impl From<Request> for Load {
    fn from(request: Request) -> Self {
        Self {
            requests: vec![request],
            rate: Rate::default(),
            deadline: one_second(),
            degraded_header: x_degraded(),
            max_in_flight: many(),
        }
    }
}

impl Load {
    /// GET requests, 50 per second, with a deadline of 1 s.
    pub fn get(service: impl Into<String>, path: impl Into<String>) -> Self {
        Request::new(Method::Get, service, path).into()
    }

    /// POST requests, 50 per second, with a deadline of 1 s.
    pub fn post(service: impl Into<String>, path: impl Into<String>) -> Self {
        Request::new(Method::Post, service, path).into()
    }

    /// Sends `request` too. The rate is shared among all requests by their weights.
    pub fn also(mut self, request: Request) -> Self {
        self.requests.push(request);
        self
    }

    /// Sends `per_second` requests per second all the time.
    pub fn rate(mut self, per_second: impl Into<f64>) -> Self {
        self.rate = Rate::constant(per_second.into());
        self
    }

    /// Begins with `from` requests per second and changes evenly to `to`, which stays.
    pub fn ramp(mut self, from: impl Into<f64>, to: impl Into<f64>, over: Duration) -> Self {
        self.rate = Rate { start: from.into(), ramps: vec![Ramp { to: to.into(), over }] };
        self
    }

    /// Afterwards changes evenly to `to` requests per second, which stays. The same rate again is a plateau.
    pub fn then(mut self, to: impl Into<f64>, over: Duration) -> Self {
        self.rate.ramps.push(Ramp { to: to.into(), over });
        self
    }

    /// Counts answers as timed out that are not complete this long after the intended start of the request.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Counts accepted answers with this header as degraded (`x-degraded` unless set).
    pub fn degraded_header(mut self, name: impl Into<String>) -> Self {
        self.degraded_header = name.into();
        self
    }

    /// Bounds the requests under way at a time (4096 unless set).
    pub fn max_in_flight(mut self, requests: u32) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// [`Request::named`], for the last request.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.last(|request| request.named(name))
    }

    /// [`Request::json`], for the last request.
    pub fn json(self, body: &(impl Serialize + ?Sized)) -> Self {
        self.last(|request| request.json(body))
    }

    /// [`Request::header`], for the last request.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.last(|request| request.header(name, value))
    }

    /// [`Request::expect`], for the last request.
    pub fn expect(self, statuses: impl Into<Statuses>) -> Self {
        self.last(|request| request.expect(statuses))
    }

    /// [`Request::weight`], for the last request.
    pub fn weight(self, weight: u32) -> Self {
        self.last(|request| request.weight(weight))
    }

    fn last(mut self, change: impl FnOnce(Request) -> Request) -> Self {
        self.requests = match self.requests.pop() {
            Some(last) => self.requests.into_iter().chain([change(last)]).collect(),
            None => self.requests,
        };
        self
    }

    /// Index of the route called `name`, as in [`Sample::route`](crate::measure::Sample::route).
    pub fn route(&self, name: &str) -> Option<u16> {
        self.requests.iter().position(|request| request.name == name).and_then(|at| u16::try_from(at).ok())
    }

    /// Names of the routes, by their index.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        self.requests.iter().map(|request| request.name.as_str())
    }
}
