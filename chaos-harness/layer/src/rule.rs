//! A rule as plain data: which requests, and what happens to them.

use std::time::Duration;

use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};

use crate::invalid::{Invalid, check_duration, check_share};

/// A fault on a share of the requests that fit.
///
/// Serialised: `{"when": {"path": "/stock/*"}, "share": 0.2, "seed": 7, "act": {"delay": {"by": "2s"}}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which requests; all unless it says otherwise.
    #[serde(default, skip_serializing_if = "When::is_all")]
    pub when: When,
    /// Share of these requests, `0.0..=1.0`: of every 128 as many as it says, give or take one.
    #[serde(default = "all")]
    pub share: f64,
    /// Decides which of them: the same seed, the same decisions in the order in which requests arrive.
    #[serde(default)]
    pub seed: u64,
    /// What happens to them.
    pub act: Act,
}

/// Which requests a rule is about. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// The method, as in `POST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path without its query; with a `*` at its end, how the path begins. For a service that does not speak
    /// HTTP, the name that was given to [`ChaosLayer::plain`](crate::ChaosLayer::plain).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Headers that the request has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
}

/// A header that a request must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "RuleHeader"))]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// Its name; upper and lower case are the same.
    pub name: String,
    /// Its value to the letter; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
#[non_exhaustive]
pub enum Act {
    /// The service looks at it later.
    Delay {
        /// By how much, at most one hour.
        #[serde(with = "humantime_serde")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        by: Duration,
        /// Give or take up to this much, drawn evenly; at most `by`.
        #[serde(default, with = "humantime_serde", skip_serializing_if = "Duration::is_zero")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        jitter: Duration,
    },
    /// The service does not see it, and the caller is told that it failed.
    Error {
        /// The HTTP status, `400..=599`. A gRPC call gets the code that gRPC makes of it.
        #[serde(default = "unavailable")]
        status: u16,
        /// The gRPC code, `1..=16`, for a gRPC call in place of that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grpc: Option<u8>,
    },
    /// The service does not see it, and nobody answers until the caller gives up. One that does not is told after
    /// `at_most`, or when the rule goes, that it took too long: 504, for a gRPC call `DEADLINE_EXCEEDED`.
    Hang {
        /// At most one hour.
        #[serde(with = "humantime_serde")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        at_most: Duration,
    },
    /// The service does not see those beyond the limit; callers get 429 with `Retry-After`, for a gRPC call
    /// `RESOURCE_EXHAUSTED`.
    RateLimit {
        /// How many pass in each window.
        requests: u64,
        /// How long a window is, at most one hour; it begins with the first request after the one before.
        #[serde(with = "humantime_serde")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        per: Duration,
    },
}

fn all() -> f64 {
    1.0
}

fn unavailable() -> u16 {
    503
}

impl From<Act> for Rule {
    /// On every request.
    fn from(act: Act) -> Self {
        Self { when: When::default(), share: 1.0, seed: 0, act }
    }
}

impl Rule {
    /// Whether its values make sense.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.when.validate()?;
        check_share(self.share)?;
        match &self.act {
            Act::Delay { by, jitter } => {
                check_duration("by", *by)?;
                let wide = || Invalid::new("jitter", format!("{jitter:?} is more than the delay of {by:?}"));
                if jitter > by { Err(wide()) } else { Ok(()) }
            }
            Act::Error { status, .. } if !(400..=599).contains(status) => {
                Err(Invalid::new("status", format!("{status} is not within 400..=599")))
            }
            Act::Error { grpc: Some(code), .. } if !(1..=16).contains(code) => {
                Err(Invalid::new("grpc", format!("{code} is not within 1..=16")))
            }
            Act::Error { .. } => Ok(()),
            Act::Hang { at_most } => check_duration("at_most", *at_most),
            Act::RateLimit { per, .. } => check_duration("per", *per),
        }
    }
}

impl When {
    fn is_all(&self) -> bool {
        *self == Self::default()
    }

    fn validate(&self) -> Result<(), Invalid> {
        if let Some(method) = self.method.as_ref().filter(|method| Method::from_bytes(method.as_bytes()).is_err()) {
            return Err(Invalid::new("method", format!("{method:?} is not the name of a method")));
        }
        if let Some(path) = &self.path {
            let fixed = path.strip_suffix('*').unwrap_or(path);
            if path.is_empty() || fixed.contains('*') {
                return Err(Invalid::new("path", format!("{path:?} is not a path; `*` stands at its end alone")));
            }
        }
        for HeaderMatch { name, .. } in &self.headers {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(Invalid::new("name", format!("{name:?} cannot be the name of a header")));
            }
        }
        Ok(())
    }

    pub(crate) fn fits(&self, seen: &Seen<'_>) -> bool {
        self.fits_method(seen) && self.fits_path(seen.path) && self.headers.iter().all(|header| header.is_in(seen))
    }

    fn fits_method(&self, seen: &Seen<'_>) -> bool {
        self.method.as_ref().is_none_or(|wanted| seen.method.is_some_and(|method| method == wanted.as_str()))
    }

    fn fits_path(&self, path: &str) -> bool {
        self.path.as_ref().is_none_or(|wanted| match wanted.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == wanted,
        })
    }
}

impl HeaderMatch {
    fn is_in(&self, seen: &Seen<'_>) -> bool {
        let Some(headers) = seen.headers else { return false };
        let mut values = headers.get_all(self.name.as_str()).iter();
        match &self.value {
            None => values.next().is_some(),
            Some(wanted) => values.any(|value| value.as_bytes() == wanted.as_bytes()),
        }
    }
}

/// What a rule looks at in a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The method, where there is one.
    pub method: Option<&'a Method>,
    /// The path, or the name of a service that has none.
    pub path: &'a str,
    /// The headers, where there are any.
    pub headers: Option<&'a HeaderMap>,
}
