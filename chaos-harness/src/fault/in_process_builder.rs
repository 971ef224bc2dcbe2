//! How a test writes a fault inside a service: `target("inventory").in_process().path("/stock/*").error(503)`.

use std::time::Duration;

use chaos_layer::{Act, FailPoint, HeaderMatch, PointAct, Rule, When};

use super::{FailPointFault, InProcess, Injection, Instances, TargetRef};

impl TargetRef {
    /// Requests inside the service, which must have a `ChaosLayer` of the crate `chaos-layer` and a
    /// [control port](crate::topology::Service::control_port).
    ///
    /// ```
    /// use std::time::Duration;
    /// use chaos_harness::fault::target;
    ///
    /// let slow = target("inventory").in_process().path("/stock/*").share(0.2).delay(Duration::from_secs(2));
    /// assert_eq!(slow.fault.to_string(), "delay 2s on 20% of /stock/* in inventory");
    /// ```
    pub fn in_process(self) -> InProcessRef {
        InProcessRef { on: self.0, when: When::default(), share: 1.0, seed: 0 }
    }

    /// The `fail_point!` of that name inside the service, which must have a
    /// [control port](crate::topology::Service::control_port) and be built with the feature `fail-points` of the crate
    /// `chaos-layer`.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// let full = target("inventory").fail_point("stock::reserve").returns("disk full");
    /// assert_eq!(full.fault.to_string(), "return \"disk full\" in calls of `stock::reserve` in inventory");
    /// ```
    pub fn fail_point(self, point: impl Into<String>) -> FailPointRef {
        FailPointRef { on: self.0, point: point.into(), share: 1.0, seed: 0 }
    }
}

/// Requests inside a service, to apply a fault to; see [`TargetRef::in_process`]. All that is said of them must hold.
#[derive(Clone, Debug)]
#[must_use = "requests by themselves do nothing; name a fault, such as `.error(503)`"]
pub struct InProcessRef {
    on: Instances,
    when: When,
    share: f64,
    seed: u64,
}

impl InProcessRef {
    /// Only requests of this method.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.when.method = Some(method.into());
        self
    }

    /// Only requests to this path; with a `*` at its end, to paths that begin so.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.when.path = Some(path.into());
        self
    }

    /// Only requests with this header and value.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.when.headers.push(HeaderMatch { name: name.into(), value: Some(value.into()) });
        self
    }

    /// Only requests with this header, whatever its value.
    pub fn has_header(mut self, name: impl Into<String>) -> Self {
        self.when.headers.push(HeaderMatch { name: name.into(), value: None });
        self
    }

    /// Only this share of the requests, from 0 to 1, chosen by the seed.
    pub fn share(self, share: f64) -> Self {
        Self { share, ..self }
    }

    /// Another choice of the same share, for two faults that should not meet the same requests.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The service looks at them later by `by`.
    pub fn delay(self, by: Duration) -> Injection {
        self.jittery_delay(by, Duration::ZERO)
    }

    /// The service looks at them later by `by`, give or take up to `jitter`.
    pub fn jittery_delay(self, by: Duration, jitter: Duration) -> Injection {
        self.act(Act::Delay { by, jitter })
    }

    /// The service does not see them, and callers get this status, `400..=599`; for gRPC calls what gRPC makes of it.
    pub fn error(self, status: u16) -> Injection {
        self.act(Act::Error { status, grpc: None })
    }

    /// Nobody answers until callers give up, or for `at_most`: then they get 504.
    pub fn hang(self, at_most: Duration) -> Injection {
        self.act(Act::Hang { at_most })
    }

    /// Beyond `requests` in each window of length `per` they get 429 with `Retry-After`.
    pub fn rate_limit(self, requests: u64, per: Duration) -> Injection {
        self.act(Act::RateLimit { requests, per })
    }

    /// Any act.
    pub fn act(self, act: Act) -> Injection {
        let Self { on, when, share, seed } = self;
        Injection::new(InProcess { on, rule: Rule { when, share, seed, act } })
    }
}

/// A fail point inside a service, to apply a fault to; see [`TargetRef::fail_point`].
#[derive(Clone, Debug)]
#[must_use = "a fail point by itself does nothing; name a fault, such as `.returns(\"...\")`"]
pub struct FailPointRef {
    on: Instances,
    point: String,
    share: f64,
    seed: u64,
}

impl FailPointRef {
    /// Only this share of the calls, from 0 to 1, chosen by the seed.
    pub fn share(self, share: f64) -> Self {
        Self { share, ..self }
    }

    /// Another choice of the same share.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The function returns what the point's closure makes of `value`.
    pub fn returns(self, value: impl Into<String>) -> Injection {
        self.act(PointAct::Return { value: value.into() })
    }

    /// The thread sleeps; in an async function that holds up whatever else it runs.
    pub fn sleeps(self, time: Duration) -> Injection {
        self.act(PointAct::Sleep { time })
    }

    /// The thread panics.
    pub fn panics(self, message: impl Into<String>) -> Injection {
        self.act(PointAct::Panic { message: message.into() })
    }

    /// Any act.
    pub fn act(self, act: PointAct) -> Injection {
        let Self { on, point, share, seed } = self;
        Injection::new(FailPointFault { on, point, does: FailPoint { share, seed, act } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, target};
    use crate::topology::{Service, Topology};

    fn topology() -> Topology {
        let web = Service::new("web").cargo("p", "b").instances(2);
        Topology::new("t").service(web.clone().control_port(9100)).service(Service { name: "bare".to_owned(), ..web })
    }

    #[test]
    fn what_cannot_be_is_named() {
        let second = Duration::from_secs(1);
        let web = || target("web").in_process();
        web().error(503).validate(&topology()).unwrap();
        target("web").instance(2).fail_point("a::b").panics("").validate(&topology()).unwrap();
        for (injection, message) in [
            (target("no").in_process().error(503), "no service is named `no`"),
            (target("web").instance(3).in_process().error(503), "there is no web-3"),
            (
                target("bare").in_process().error(503),
                "`error 503 on requests in bare` needs a chaos control endpoint, and service `bare` declares none",
            ),
            (target("bare").fail_point("p").returns(""), "`return \"\" in calls of `p` in bare` needs a chaos control"),
            (web().error(200), "`error 200 on requests in web`: `status`: 200 is not within 400..=599"),
            (web().share(1.5).delay(second), "`delay 1s on requests in web`: `share`: 1.5 is not within 0..=1"),
            (web().path("/a*b").hang(second), "`hang of at most 1s on /a*b in web`: `path`: \"/a*b\" is not a path"),
            (target("web").fail_point("a/b").returns(""), "`return \"\" in calls of `a/b` in web`: `name`: \"a/b\""),
            (target("web").fail_point("a").sleeps(second * 7200), "`sleep 2h in calls of `a` in web`: `time`"),
        ] {
            let error = injection.validate(&topology()).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn they_are_data() {
        let web = || target("web").instance(1);
        for injection in [
            web().in_process().header("x-tenant", "a").has_header("x-b").seed(5).rate_limit(3, Duration::from_secs(1)),
            web().fail_point("a::b").share(0.5).sleeps(Duration::from_secs(1)),
        ] {
            let data = serde_json::to_string(&injection.fault).unwrap();
            assert_eq!(serde_json::from_str::<Fault>(&data).unwrap(), injection.fault, "{data}");
        }
    }
}
