//! How a test writes a fault on chosen HTTP requests: `link("order", "inventory").http().post("/reserve").abort(503)`.

use std::time::Duration;

use super::{Injection, LinkRef};
use crate::link::http::{Abort, GrpcCode, HeaderMatch, Http, HttpAction, Message, Part, RequestMatch};

/// Requests on a link that is declared HTTP, to apply a fault to; see [`LinkRef::http`].
///
/// All that is said of them must hold. A share or a number is of the requests for which the rest holds.
#[derive(Clone, Debug)]
#[must_use = "requests by themselves do nothing; name a fault, such as `.abort(503)`"]
pub struct HttpRef {
    link: LinkRef,
    when: RequestMatch,
}

impl LinkRef {
    /// Acts on requests and their responses instead of on bytes. The link must be declared HTTP.
    ///
    /// ```
    /// use std::time::Duration;
    /// use chaos_harness::fault::link;
    ///
    /// let failing = link("order", "inventory").http().post("/reserve").abort(503);
    /// assert_eq!(failing.fault.to_string(), "abort 503 on POST /reserve on order -> inventory");
    /// let slow = link("order", "inventory").http().path("/stock/*").share(0.2).delay(Duration::from_secs(2));
    /// assert_eq!(slow.fault.to_string(), "delay 2s on 20% of /stock/* on order -> inventory");
    /// ```
    pub fn http(self) -> HttpRef {
        HttpRef { link: self, when: RequestMatch::default() }
    }
}

impl HttpRef {
    /// Only requests of this method.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.when.method = Some(method.into());
        self
    }

    /// Only requests to this path, in which `*` stands for any characters.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.when.path = Some(path.into());
        self
    }

    /// Only `GET` of this path, in which `*` stands for any characters.
    pub fn get(self, path: impl Into<String>) -> Self {
        self.method("GET").path(path)
    }

    /// Only `POST` to this path, in which `*` stands for any characters.
    pub fn post(self, path: impl Into<String>) -> Self {
        self.method("POST").path(path)
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
    pub fn share(mut self, share: f64) -> Self {
        self.when.share = share;
        self
    }

    /// Only every nth request: with 3 the third, the sixth and so on.
    pub fn every(mut self, n: u64) -> Self {
        self.when.every = Some(n);
        self
    }

    /// No more than the first `n` requests.
    pub fn first(mut self, n: u64) -> Self {
        self.when.first = Some(n);
        self
    }

    /// Only the nth request of each W3C trace, from 1: with 2 the first retry. The blast radius is then
    /// [`SingleRequest`](crate::safety::BlastRadius::SingleRequest).
    ///
    /// ```
    /// use chaos_harness::fault::link;
    ///
    /// let retry = link("order", "inventory").http().post("/reserve").nth_of_trace(2).abort(503);
    /// assert_eq!(retry.fault.to_string(), "abort 503 on call 2 of each trace to POST /reserve on order -> inventory");
    /// ```
    pub fn nth_of_trace(mut self, n: u64) -> Self {
        self.when.nth_of_trace = Some(n);
        self
    }

    /// They do not reach the callee; the caller gets this status, `200..=599`, or this [answer](Abort) with headers and
    /// a body.
    pub fn abort(self, answer: impl Into<Abort>) -> Injection {
        self.act(HttpAction::Abort(answer.into()))
    }

    /// The gRPC calls among them do not reach the callee; the caller gets this status.
    pub fn grpc_abort(self, code: GrpcCode) -> Injection {
        self.act(HttpAction::GrpcAbort { code, message: String::new() })
    }

    /// They reach the callee later by `by`, which is what Envoy and Istio call a delay. Over HTTP/2 other
    /// requests do not wait.
    ///
    /// ```
    /// use std::time::Duration;
    /// use chaos_harness::fault::link;
    ///
    /// let late = link("order", "inventory").http().post("/reserve").delay_request(Duration::from_secs(2));
    /// assert_eq!(late.fault.to_string(), "delay of the request 2s on POST /reserve on order -> inventory");
    /// ```
    pub fn delay_request(self, by: Duration) -> Injection {
        self.act(HttpAction::Delay { by, before: Part::Request })
    }

    /// Their responses arrive later by `by`: the callee has done its work in time. See also [`Self::delay_request`].
    pub fn delay(self, by: Duration) -> Injection {
        self.act(HttpAction::Delay { by, before: Part::Headers })
    }

    /// The bodies of their responses arrive later by `by`, the headers in time.
    pub fn delay_body(self, by: Duration) -> Injection {
        self.act(HttpAction::Delay { by, before: Part::Body })
    }

    /// Their responses break off after so many bytes of the body.
    pub fn truncate(self, after: u64) -> Injection {
        self.act(HttpAction::Truncate { after })
    }

    /// One bit in about 100 bytes of their responses' bodies is flipped, the first one in the first byte.
    pub fn corrupt(self) -> Injection {
        self.act(HttpAction::Corrupt { every: 100 })
    }

    /// A header of theirs, or of their responses, gets this value in place of all that it had.
    pub fn set_header(self, on: Message, name: impl Into<String>, value: impl Into<String>) -> Injection {
        self.act(HttpAction::SetHeader { on, name: name.into(), value: value.into() })
    }

    /// A header of theirs, or of their responses, goes.
    pub fn drop_header(self, on: Message, name: impl Into<String>) -> Injection {
        self.act(HttpAction::DropHeader { on, name: name.into() })
    }

    /// Beyond `requests` in each window of length `per` they get `429` with `Retry-After`.
    pub fn rate_limit(self, requests: u64, per: Duration) -> Injection {
        self.act(HttpAction::RateLimit { requests, per })
    }

    /// Any action.
    pub fn act(self, act: HttpAction) -> Injection {
        self.link.toxic(Http { when: self.when, act })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{FaultKind, link};
    use crate::safety::BlastRadius;
    use crate::topology::{Protocol, Service, Topology, USERS};

    fn topology(protocol: Protocol) -> Topology {
        Topology::new("t").service(Service::new("web").cargo("p", "b")).link_over(USERS, "web", protocol)
    }

    #[test]
    fn they_read_as_people_say_it() {
        let http = || link("order", "inventory").http();
        for (injection, text) in [
            (http().grpc_abort(GrpcCode::Unavailable), "abort UNAVAILABLE on requests"),
            (
                http().get("/stock/*").header("x-tenant", "a").has_header("x-b").every(3).first(5).abort(500),
                "abort 500 on every 3rd of the first 5 of GET /stock/* with x-tenant: a and x-b",
            ),
            (http().rate_limit(10, Duration::from_secs(60)), "limit of 10 per 1m on requests"),
            (http().method("PUT").truncate(100), "truncate after 100 bytes on PUT"),
            (http().drop_header(Message::Response, "etag"), "drop response header etag on requests"),
            (link("order", "inventory").up().http().abort(503), "abort 503 on requests"),
        ] {
            assert_eq!(injection.fault.to_string(), format!("{text} on order -> inventory"));
        }
    }

    #[test]
    fn single_requests_of_a_trace_are_the_least_radius() {
        let radius = |injection: Injection| injection.fault.radius();
        let http = || link(USERS, "web").http().path("/a");
        assert_eq!(radius(http().nth_of_trace(1).abort(503)), BlastRadius::SingleRequest);
        assert_eq!(radius(http().abort(503)), BlastRadius::SingleService);
    }

    #[test]
    fn they_need_a_link_declared_http() {
        let abort = || link(USERS, "web").http().abort(503);
        abort().validate(&topology(Protocol::Http)).unwrap();
        let error = abort().validate(&topology(Protocol::Tcp)).unwrap_err().to_string();
        assert!(error.starts_with("`abort 503 on requests on users -> web` needs http, but"), "{error}");
        let error = link(USERS, "web").http().abort(99).validate(&topology(Protocol::Http)).unwrap_err();
        assert!(error.to_string().contains("`status`: 99 is not within 200..=599"), "{error}");
    }
}
