//! What the link knows of gRPC.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $number:literal, $text:literal;)+) => {
        /// A status code of gRPC.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum GrpcCode {
            $($(#[$doc])+ #[serde(rename = $text)] $name = $number,)+
        }

        impl fmt::Display for GrpcCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)+ })
            }
        }
    };
}

codes! {
    /// No error.
    Ok = 0, "OK";
    /// The caller gave up.
    Cancelled = 1, "CANCELLED";
    /// Nobody knows.
    Unknown = 2, "UNKNOWN";
    /// The caller said something that makes no sense.
    InvalidArgument = 3, "INVALID_ARGUMENT";
    /// It took too long.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED";
    /// There is no such thing.
    NotFound = 5, "NOT_FOUND";
    /// There is such a thing already.
    AlreadyExists = 6, "ALREADY_EXISTS";
    /// The caller may not.
    PermissionDenied = 7, "PERMISSION_DENIED";
    /// A quota or a resource is used up.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED";
    /// The system is not in a state for it.
    FailedPrecondition = 9, "FAILED_PRECONDITION";
    /// Another one was in the way.
    Aborted = 10, "ABORTED";
    /// Past the end.
    OutOfRange = 11, "OUT_OF_RANGE";
    /// The callee cannot do it.
    Unimplemented = 12, "UNIMPLEMENTED";
    /// Something is broken.
    Internal = 13, "INTERNAL";
    /// Not now; the caller may try again.
    Unavailable = 14, "UNAVAILABLE";
    /// Data is lost for good.
    DataLoss = 15, "DATA_LOSS";
    /// The caller has not said who it is.
    Unauthenticated = 16, "UNAUTHENTICATED";
}

/// The protocol in which a gRPC call asks and wants its answer.
#[derive(Clone, Debug)]
pub(super) struct Grpc {
    /// gRPC-Web, whose trailers are part of the body.
    pub(super) web: bool,
    /// gRPC-Web in base64.
    pub(super) text: bool,
    /// Of the answer.
    pub(super) content_type: String,
}

impl Default for Grpc {
    fn default() -> Self {
        Self { web: false, text: false, content_type: "application/grpc".to_owned() }
    }
}

/// `message` as the `grpc-message` header carries it: what is not printable ASCII, and `%`, percent-encoded.
pub(super) fn encode_message(message: &str) -> String {
    let encode = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    message.bytes().map(encode).collect()
}
