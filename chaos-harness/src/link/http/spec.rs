//! HTTP toxics as plain data: which requests, and what happens to them.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::abort::Abort;
use super::grpc::GrpcCode;
use crate::link::CountersSnapshot;
use crate::link::counters::Counters;
use crate::link::toxic::{InvalidField, check_duration};

/// Acts on chosen requests of a link that is declared HTTP, or on their responses.
///
/// HTTP toxics see what the peers sent, before any other toxic of the link, in the order in which they
/// were added; none sees a request that one before it answered. The direction means nothing here: an
/// exchange goes both ways. The probability is a share of the connections; for a share of the requests
/// see [`RequestMatch::share`].
///
/// Serialised: `{"kind": "http", "when": {"method": "POST", "path": "/reserve"}, "act": {"abort": {"status": 503}}}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Which requests; all unless it says otherwise.
    #[serde(default, skip_serializing_if = "RequestMatch::is_all")]
    pub when: RequestMatch,
    /// What happens to them.
    pub act: HttpAction,
}

/// Which requests an HTTP toxic acts on. All that is given must hold, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestMatch {
    /// The method, as in `POST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path, in which `*` stands for any characters: `/stock/*`. The query counts only where the pattern has a `?`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Headers that the request has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// Only the nth of these requests within its trace, from 1. Needs a W3C `traceparent`; a request without
    /// one is left alone. The latest 10 000 traces are remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth_of_trace: Option<u64>,
    /// Every nth of these requests on the link: with 3 the third, the sixth and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Share of these requests, `0.0..=1.0`, decided for each by the link's seed and its number.
    pub share: f64,
    /// No more than this many requests on the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

impl Default for RequestMatch {
    fn default() -> Self {
        let (method, path, headers) = (None, None, Vec::new());
        Self { method, path, headers, nth_of_trace: None, every: None, share: 1.0, first: None }
    }
}

/// A header that a request must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// Its name; upper and lower case are the same.
    pub name: String,
    /// Its value to the letter; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What an HTTP toxic does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
#[non_exhaustive]
pub enum HttpAction {
    /// The request does not reach the callee; the caller gets this answer.
    Abort(Abort),
    /// The call does not reach the callee; the caller gets this gRPC status. Requests that are not gRPC are left alone.
    GrpcAbort {
        /// The status, by its name in gRPC: `UNAVAILABLE`.
        code: GrpcCode,
        /// For people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
    },
    /// The request, or its response, arrives later.
    Delay {
        /// By how much, at most one hour.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        by: Duration,
        /// What waits: the request on its way to the callee, all of the response, or its body.
        #[serde(default)]
        before: Part,
    },
    /// The response breaks off: the connection ends (HTTP/1.1), or the stream is reset (HTTP/2).
    Truncate {
        /// Bytes of the body that arrive first. A body that is no longer than this is left alone.
        after: u64,
    },
    /// Bits in the response's body are flipped, chosen by the seed. Its length stays, and so does the framing of gRPC messages.
    Corrupt {
        /// One bit is flipped in each run of so many bytes, on average, the first one in the first byte.
        every: u64,
    },
    /// A header gets this value, in place of all that it had.
    SetHeader {
        /// Where.
        on: Message,
        /// Its name; not one that frames the message, such as `content-length`.
        name: String,
        /// Its value.
        value: String,
    },
    /// A header goes.
    DropHeader {
        /// Where.
        on: Message,
        /// Its name; not one that frames the message, such as `content-length`.
        name: String,
    },
    /// Requests beyond the limit do not reach the callee; the caller gets `429` and `Retry-After`.
    RateLimit {
        /// How many requests pass in each window, on all connections of the link together.
        requests: u64,
        /// How long a window is, at most one hour; it begins with the first request after the one before.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        per: Duration,
    },
}

impl Default for HttpAction {
    fn default() -> Self {
        Self::Abort(Abort::new(503))
    }
}

/// A part of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of it: the request waits before it reaches the callee.
    Request,
    /// The response, from its status and headers on.
    #[default]
    Headers,
    /// The body of the response.
    Body,
}

/// One half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// What the caller sends.
    Request,
    /// What the callee answers.
    Response,
}

/// Headers that say where a message ends or what becomes of the connection: without them nothing else is understood.
const FRAMING: [&str; 7] =
    ["content-length", "transfer-encoding", "connection", "proxy-connection", "upgrade", "keep-alive", "te"];

impl Http {
    /// Whether its values make sense.
    pub(in crate::link) fn validate(&self) -> Result<(), InvalidField> {
        self.when.validate()?;
        match &self.act {
            HttpAction::Abort(abort) => abort.validate(),
            HttpAction::Delay { by, .. } => check_duration("by", *by),
            HttpAction::Corrupt { every: 0 } => Err(at_least_one("every")),
            HttpAction::SetHeader { name, value, .. } => {
                check_editable(name)?;
                let problem = |_| InvalidField::new("value", format!("{value:?} cannot be the value of a header"));
                HeaderValue::from_str(value).map(drop).map_err(problem)
            }
            HttpAction::DropHeader { name, .. } => check_editable(name),
            HttpAction::RateLimit { per, .. } if per.is_zero() => Err(InvalidField::new("per", "must be over 0s")),
            HttpAction::RateLimit { per, .. } => check_duration("per", *per),
            _ => Ok(()),
        }
    }

    /// How often it has bitten, by what its link counted meanwhile, and what that is.
    pub(crate) fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        match &self.act {
            HttpAction::Abort(_) | HttpAction::GrpcAbort { .. } => (counted.http_aborted, "requests aborted"),
            HttpAction::Delay { before: Part::Request, .. } => (counted.http_delayed, "requests delayed"),
            HttpAction::Delay { .. } => (counted.http_delayed, "responses delayed"),
            HttpAction::Truncate { .. } => (counted.http_truncated, "responses broken off"),
            HttpAction::Corrupt { .. } => (counted.http_corrupted, "responses corrupted"),
            HttpAction::SetHeader { .. } | HttpAction::DropHeader { .. } => {
                (counted.http_rewritten, "messages rewritten")
            }
            HttpAction::RateLimit { .. } => (counted.http_rate_limited, "requests turned away"),
        }
    }
}

impl HttpAction {
    /// Counts a request that it acts upon.
    pub(super) fn count(&self, counters: &Counters) {
        let counter = match self {
            Self::Abort(_) | Self::GrpcAbort { .. } => &counters.http_aborted,
            Self::Delay { .. } => &counters.http_delayed,
            Self::Truncate { .. } => &counters.http_truncated,
            Self::Corrupt { .. } => &counters.http_corrupted,
            Self::SetHeader { .. } | Self::DropHeader { .. } => &counters.http_rewritten,
            Self::RateLimit { .. } => &counters.http_rate_limited,
        };
        counter.add(1);
    }
}

impl RequestMatch {
    fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it picks single requests of a trace.
    pub fn is_single_request(&self) -> bool {
        self.nth_of_trace.is_some()
    }

    fn validate(&self) -> Result<(), InvalidField> {
        if let Some(method) = self.method.as_ref().filter(|method| Method::from_bytes(method.as_bytes()).is_err()) {
            return Err(InvalidField::new("method", format!("{method:?} is not the name of a method")));
        }
        if let Some(path) = self.path.as_ref().filter(|path| !path.starts_with(['/', '*'])) {
            return Err(InvalidField::new("path", format!("{path:?} begins with neither `/` nor `*`")));
        }
        self.headers.iter().try_for_each(|header| check_name(&header.name).map(drop))?;
        if !(0.0..=1.0).contains(&self.share) {
            return Err(InvalidField::new("share", format!("{} is not within 0..=1", self.share)));
        }
        let counts = [("nth_of_trace", self.nth_of_trace), ("every", self.every), ("first", self.first)];
        counts.into_iter().try_for_each(|(field, n)| if n == Some(0) { Err(at_least_one(field)) } else { Ok(()) })
    }
}

fn at_least_one(field: &'static str) -> InvalidField {
    InvalidField::new(field, "must be at least 1")
}

pub(super) fn check_name(name: &str) -> Result<HeaderName, InvalidField> {
    let problem = |_| InvalidField::new("name", format!("{name:?} cannot be the name of a header"));
    HeaderName::from_bytes(name.as_bytes()).map_err(problem)
}

pub(super) fn check_editable(name: &str) -> Result<(), InvalidField> {
    match FRAMING.contains(&check_name(name)?.as_str()) {
        true => Err(InvalidField::new("name", format!("`{name}` frames the message, so it cannot be changed"))),
        false => Ok(()),
    }
}

impl fmt::Display for Http {
    /// `abort 503 on POST /reserve`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.act, self.when)
    }
}

impl fmt::Display for HttpAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |duration: &Duration| humantime::format_duration(*duration).to_string();
        match self {
            Self::Abort(abort) => write!(f, "abort {}", abort.status),
            Self::GrpcAbort { code, .. } => write!(f, "abort {code}"),
            Self::Delay { by, before: Part::Request } => write!(f, "delay of the request {}", time(by)),
            Self::Delay { by, before: Part::Headers } => write!(f, "delay {}", time(by)),
            Self::Delay { by, before: Part::Body } => write!(f, "delay of the body {}", time(by)),
            Self::Truncate { after } => write!(f, "truncate after {after} bytes"),
            Self::Corrupt { every } => write!(f, "corrupt a bit in {every} bytes"),
            Self::SetHeader { on, name, value } => write!(f, "set {on} header {name}: {value}"),
            Self::DropHeader { on, name } => write!(f, "drop {on} header {name}"),
            Self::RateLimit { requests, per } => write!(f, "limit of {requests} per {}", time(per)),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Request { "request" } else { "response" })
    }
}

impl fmt::Display for RequestMatch {
    /// `20% of GET /stock/* with x-tenant: a`; `requests` when it is all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(n) = self.nth_of_trace {
            write!(f, "call {n} of each trace to ")?;
        }
        if let Some(n) = self.every {
            write!(f, "every {} of ", ordinal(n))?;
        }
        if self.share < 1.0 {
            write!(f, "{}% of ", (self.share * 1000.0).round() / 10.0)?;
        }
        if let Some(n) = self.first {
            write!(f, "the first {n} of ")?;
        }
        match (&self.method, &self.path) {
            (Some(method), Some(path)) => write!(f, "{method} {path}")?,
            (Some(one), None) | (None, Some(one)) => f.write_str(one)?,
            (None, None) => f.write_str("requests")?,
        }
        for (index, HeaderMatch { name, value }) in self.headers.iter().enumerate() {
            write!(f, " {} {name}", if index == 0 { "with" } else { "and" })?;
            value.as_ref().map_or(Ok(()), |value| write!(f, ": {value}"))?;
        }
        Ok(())
    }
}

/// `1st`, `2nd`, `11th`.
fn ordinal(n: u64) -> String {
    let ending = match (n % 10, n % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}
