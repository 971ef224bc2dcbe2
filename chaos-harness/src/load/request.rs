//! One kind of request in a load.

use std::fmt;
use std::ops::RangeInclusive;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One kind of request: to whom, what, how often among others, and which statuses its user accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Name of the route, in hypotheses and reports.
    pub name: String,
    /// The service that is asked.
    pub service: String,
    /// HTTP method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Statuses that serve the user.
    #[serde(default)]
    pub expect: Statuses,
    /// How often it is chosen, in relation to the other weights.
    #[serde(default = "one")]
    pub weight: u32,
    /// Why the body has no JSON form; kept until validation, which can report it.
    #[serde(skip)]
    pub(super) body_error: Option<String>,
}

fn one() -> u32 {
    1
}

/// HTTP method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Head => Self::HEAD,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
            Method::Delete => Self::DELETE,
        }
    }
}

impl Request {
    /// A request of `method` to `path` of `service`, named after its path, with weight 1; 200 to 299 are accepted.
    pub fn new(method: Method, service: impl Into<String>, path: impl Into<String>) -> Self {
        let path = path.into();
        Self {
            name: path.clone(),
            service: service.into(),
            method,
            path,
            headers: IndexMap::new(),
            body: None,
            expect: Statuses::default(),
            weight: 1,
            body_error: None,
        }
    }

    /// A GET request.
    pub fn get(service: impl Into<String>, path: impl Into<String>) -> Self {
        Self::new(Method::Get, service, path)
    }

    /// A POST request.
    pub fn post(service: impl Into<String>, path: impl Into<String>) -> Self {
        Self::new(Method::Post, service, path)
    }

    /// Names the route.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sends `body` as JSON. One that has no JSON form is reported when the load is validated.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        (self.body, self.body_error) = match serde_json::to_value(body) {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error.to_string())),
        };
        self
    }

    /// Sends a header; the last value given for a name counts.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Accepts these statuses instead of 200 to 299: one, a list or a range.
    pub fn expect(mut self, statuses: impl Into<Statuses>) -> Self {
        self.expect = statuses.into();
        self
    }

    /// Sets how often it is chosen, in relation to the weights of the other requests.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}

/// A set of HTTP statuses, as ranges with both ends included: `[[200, 299], [404, 404]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Statuses(Vec<(u16, u16)>);

impl Statuses {
    /// Whether `status` is one of them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }

    /// Whether some real status is one of them, and every range is one.
    pub(super) fn is_possible(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(from, to)| from <= to && *from >= 100 && *to <= 999)
    }
}

impl Default for Statuses {
    /// 200 to 299.
    fn default() -> Self {
        Self(vec![(200, 299)])
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (from, to)) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            if from == to { write!(f, "{comma}{from}")? } else { write!(f, "{comma}{from}..={to}")? }
        }
        Ok(())
    }
}

impl From<u16> for Statuses {
    fn from(status: u16) -> Self {
        Self(vec![(status, status)])
    }
}

impl From<RangeInclusive<u16>> for Statuses {
    fn from(range: RangeInclusive<u16>) -> Self {
        Self(vec![(*range.start(), *range.end())])
    }
}

impl<const N: usize> From<[u16; N]> for Statuses {
    fn from(list: [u16; N]) -> Self {
        Self(list.map(|status| (status, status)).to_vec())
    }
}

impl<const N: usize> From<[RangeInclusive<u16>; N]> for Statuses {
    fn from(ranges: [RangeInclusive<u16>; N]) -> Self {
        Self(ranges.map(|range| (*range.start(), *range.end())).to_vec())
    }
}
