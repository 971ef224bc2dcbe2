//! The answer that a caller gets in place of the callee's.

use http::HeaderValue;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::check_editable;
use crate::link::toxic::InvalidField;

/// Longest body, in bytes.
const BODY: usize = 16 << 10;

/// What the caller gets in place of the callee's answer. A status alone will do: `abort(503)`.
///
/// Headers that say how long the body is, when it was sent and what becomes of the connection are added; so is a header
/// that the status demands, such as `WWW-Authenticate` for 401.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// `200..=599`.
    pub status: u16,
    /// Headers by name; not one that frames the message, such as `content-length`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// At most 16 KiB; none with a status that has no body (204, 205, 304).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

impl Abort {
    /// This status, and nothing with it.
    pub fn new(status: u16) -> Self {
        Self { status, headers: IndexMap::new(), body: String::new() }
    }

    /// With this header, in place of one of this name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into().to_ascii_lowercase(), value.into());
        self
    }

    /// With this body of this media type, such as `application/json`.
    ///
    /// ```
    /// use chaos_harness::fault::link;
    /// use chaos_harness::link::http::Abort;
    ///
    /// let answer = Abort::new(503).header("retry-after", "5").body(r#"{"error": "overloaded"}"#, "application/json");
    /// let overloaded = link("order", "inventory").http().post("/reserve").abort(answer);
    /// assert_eq!(overloaded.fault.to_string(), "abort 503 on POST /reserve on order -> inventory");
    /// ```
    pub fn body(mut self, body: impl Into<String>, media_type: impl Into<String>) -> Self {
        self.body = body.into();
        self.header("content-type", media_type)
    }

    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        let Self { status, headers, body } = self;
        if !(200..=599).contains(status) {
            return Err(InvalidField::new("status", format!("{status} is not within 200..=599")));
        }
        for (name, value) in headers {
            check_editable(name)?;
            let problem = |_| InvalidField::new("value", format!("{value:?} cannot be the value of a header"));
            HeaderValue::from_str(value).map_err(problem)?;
        }
        if matches!(status, 204 | 205 | 304) && !body.is_empty() {
            return Err(InvalidField::new("body", format!("a response with status {status} has no body")));
        }
        if body.len() > BODY {
            return Err(InvalidField::new("body", format!("{} bytes are more than {BODY}", body.len())));
        }
        Ok(())
    }
}

impl From<u16> for Abort {
    fn from(status: u16) -> Self {
        Self::new(status)
    }
}
