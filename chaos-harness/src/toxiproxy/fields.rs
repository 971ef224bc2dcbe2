//! Reads JSON as generously as toxiproxy does: keys in any case, `null` for absent, unknown keys, bytes after the value.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::ApiError;

/// The first JSON value of `body`.
pub(super) fn value(body: &[u8]) -> Result<Value, ApiError> {
    Value::deserialize(&mut serde_json::Deserializer::from_slice(body)).map_err(|error| {
        ApiError::BadBody(match error.is_eof() {
            true if body.trim_ascii().is_empty() => "EOF".to_owned(),
            true => "unexpected EOF".to_owned(),
            false => error.to_string(),
        })
    })
}

/// The fields of a JSON object.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        Self::from_value(value(body)?)
    }

    pub(super) fn from_value(value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Null => Ok(Self::default()),
            value => Self::want(&value).ok_or_else(|| mismatch("", Self::WHAT, &value)),
        }
    }

    /// The field of that name, if it is there.
    pub(super) fn get<T: Want>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let other_case = || self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        match self.0.get(name).or_else(other_case) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::want(value).map(Some).ok_or_else(|| mismatch(&format!("{name}: "), T::WHAT, value)),
        }
    }
}

fn mismatch(place: &str, what: &str, value: &Value) -> ApiError {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    ApiError::BadBody(format!("{place}expected {what}, found {found}"))
}

/// A type that a field can have.
pub(super) trait Want: Sized {
    const WHAT: &'static str;

    fn want(value: &Value) -> Option<Self>;
}

impl Want for String {
    const WHAT: &'static str = "a string";

    fn want(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Want for bool {
    const WHAT: &'static str = "true or false";

    fn want(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Want for i64 {
    const WHAT: &'static str = "a whole number of 64 bits";

    fn want(value: &Value) -> Option<Self> {
        value.as_i64()
    }
}

impl Want for Fields {
    const WHAT: &'static str = "an object";

    fn want(value: &Value) -> Option<Self> {
        value.as_object().cloned().map(Self)
    }
}
