//! Refusals as HTTP and gRPC have them.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::plan::Refusal;
use crate::rule::Seen;

const GRPC: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

const UNKNOWN: u8 = 2;
const DEADLINE_EXCEEDED: u8 = 4;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// gRPC-Web frames its trailers in the body, so it is not taken for gRPC.
pub(crate) fn is_grpc(seen: &Seen<'_>) -> bool {
    let content_type = seen.headers.and_then(|headers| headers.get(header::CONTENT_TYPE)?.to_str().ok());
    let rest = content_type.and_then(|value| value.strip_prefix(GRPC));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// A response without a body.
pub(crate) fn answer(refusal: &Refusal, grpc: bool) -> Response<()> {
    let mut response = if grpc { trailers_only(code(refusal)) } else { plain(refusal) };
    if let Refusal::TooMany { retry_after } = refusal {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(*retry_after)));
    }
    response
}

/// At least one: a caller that is told to wait for 0 s would come back too early.
fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

fn plain(refusal: &Refusal) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = match refusal {
        Refusal::Failed { status, .. } => StatusCode::from_u16(*status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
        Refusal::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        Refusal::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
    };
    response
}

/// The short form of a gRPC response: the status stands in the headers, and no message follows.
fn trailers_only(code: u8) -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(GRPC));
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(code)));
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static("as a chaos rule says"));
    response
}

fn code(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::Failed { grpc: Some(code), .. } => *code,
        Refusal::Failed { status, .. } => code_of(*status),
        Refusal::TimedOut => DEADLINE_EXCEEDED,
        Refusal::TooMany { .. } => RESOURCE_EXHAUSTED,
    }
}

/// What gRPC takes an HTTP status for.
fn code_of(status: u16) -> u8 {
    match status {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502..=504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(status: u16) -> Refusal {
        Refusal::Failed { status, grpc: None }
    }

    #[test]
    fn a_grpc_call_gets_a_status_in_the_headers() {
        for (refusal, expected) in [
            (failed(503), "14"),
            (failed(500), "2"),
            (failed(404), "12"),
            (Refusal::Failed { status: 503, grpc: Some(9) }, "9"),
            (Refusal::TimedOut, "4"),
            (Refusal::TooMany { retry_after: Duration::ZERO }, "8"),
        ] {
            let response = answer(&refusal, true);
            assert_eq!(
                (response.status(), response.headers()["grpc-status"].to_str().unwrap()),
                (StatusCode::OK, expected)
            );
            assert_eq!(response.headers()["content-type"], GRPC);
        }
    }

    #[test]
    fn others_get_a_status() {
        let status = |refusal| answer(&refusal, false).status().as_u16();
        assert_eq!([status(failed(418)), status(Refusal::TimedOut)], [418, 504]);
        for (left, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2")] {
            let response = answer(&Refusal::TooMany { retry_after: Duration::from_millis(left) }, false);
            assert_eq!(
                (response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()),
                (429, seconds)
            );
        }
    }

    #[test]
    fn what_is_grpc_says_so() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; x=y", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))].into_iter().collect();
            assert_eq!(is_grpc(&Seen { headers: Some(&headers), ..Seen::default() }), expected, "{content_type}");
        }
        assert!(!is_grpc(&Seen::default()));
    }
}
