//! What can be wrong with a request, in toxiproxy's words.

use serde::Serialize;

use super::listen::AddressError;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The body is not what the endpoint takes.
    #[error("bad request body: {0}")]
    BadBody(String),
    /// The body is larger than [`super::BODY_LIMIT`].
    #[error("request body too large: the limit is {} bytes", super::BODY_LIMIT)]
    TooLarge,
    /// A proxy needs this field.
    #[error("missing required field: {0}")]
    MissingField(String),
    /// There is no proxy of that name.
    #[error("proxy not found")]
    ProxyNotFound,
    /// There is a proxy of that name.
    #[error("proxy already exists")]
    ProxyAlreadyExists,
    /// The stream is neither of the two.
    #[error("stream was invalid, can be either upstream or downstream")]
    InvalidStream,
    /// There is no toxic of that type.
    #[error("invalid toxic type")]
    InvalidToxicType,
    /// The proxy has a toxic of that name.
    #[error("toxic already exists")]
    ToxicAlreadyExists,
    /// The proxy has no toxic of that name.
    #[error("toxic not found")]
    ToxicNotFound,
    /// The address to listen on makes no sense.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The proxy cannot listen.
    #[error("listen tcp{0}")]
    Listen(String),
    /// There is no such path.
    #[error("404 page not found")]
    NoSuchPath,
    /// The path does not take this method.
    #[error("method not allowed")]
    MethodNotAllowed,
}

/// As it goes over the wire: `{"error": "proxy not found", "status": 404}`.
#[derive(Serialize)]
pub(super) struct Wire {
    error: String,
    status: u16,
}

impl ApiError {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadBody(_) | Self::MissingField(_) | Self::InvalidStream | Self::InvalidToxicType => 400,
            Self::ProxyNotFound | Self::ToxicNotFound | Self::NoSuchPath => 404,
            Self::MethodNotAllowed => 405,
            Self::ProxyAlreadyExists | Self::ToxicAlreadyExists => 409,
            Self::TooLarge => 413,
            Self::Address(_) | Self::Listen(_) => 500,
        }
    }

    pub(super) fn wire(&self) -> Wire {
        Wire { error: self.to_string(), status: self.status() }
    }
}
