//! What the link answers in place of the callee.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::abort::Abort;
use super::grpc::{Grpc, GrpcCode, encode_message};
use super::h1::Asked;
use super::message::Request;

/// Flag of a gRPC-Web frame that holds trailers.
const TRAILERS: u8 = 0x80;

/// A response.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    /// Its length is told, as far as the status allows.
    sized: bool,
}

/// Headers without which a response of this status makes no sense: RFC 9110, 11.6.1, 11.7.1, 15.5.6.
fn demanded(status: u16) -> Option<(&'static str, &'static str)> {
    match status {
        401 => Some(("www-authenticate", "Basic realm=\"chaos-harness\"")),
        405 => Some(("allow", "")),
        407 => Some(("proxy-authenticate", "Basic realm=\"chaos-harness\"")),
        _ => None,
    }
}

impl Answer {
    /// What `abort` says, and what the standard demands besides.
    pub(super) fn of(abort: &Abort) -> Self {
        let mut headers: Vec<(String, String)> =
            abort.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        let missing = |name: &str| !headers.iter().any(|(other, _)| other == name);
        let demanded = demanded(abort.status).filter(|(name, _)| missing(name));
        headers.extend(demanded.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Self { status: abort.status, headers, body: Bytes::from(abort.body.clone()), sized: true }
    }

    pub(super) fn too_many(retry_after: u64) -> Self {
        Self::of(&Abort::new(429).header("retry-after", retry_after.to_string()))
    }

    /// A status of gRPC, by the protocol in which `request` asks.
    pub(super) fn grpc(code: GrpcCode, message: &str, request: &Request<'_>) -> Self {
        let protocol = request.grpc().unwrap_or_default();
        let mut trailers = vec![("grpc-status".to_owned(), (code as u8).to_string())];
        if !message.is_empty() {
            trailers.push(("grpc-message".to_owned(), encode_message(message)));
        }
        let mut headers = vec![("content-type".to_owned(), protocol.content_type)];
        let mut body = Bytes::new();
        if protocol.web {
            body = trailers_frame(&trailers);
            if protocol.text {
                body = base64(&body).into();
            }
        } else {
            // A response of trailers alone.
            headers.extend(trailers);
        }
        Self { status: 200, headers, body, sized: protocol.web }
    }

    fn is_bodiless(&self, method: &str) -> bool {
        matches!(self.status, 204 | 205 | 304) || method == "HEAD" || method == "CONNECT" && self.status < 300
    }

    /// The body that goes with it.
    pub(super) fn body(&self, method: &str) -> Bytes {
        if self.is_bodiless(method) { Bytes::new() } else { self.body.clone() }
    }

    /// All headers, but for those that are about the connection.
    pub(super) fn headers(&self, method: &str) -> Vec<(String, String)> {
        let mut headers = self.headers.clone();
        if !headers.iter().any(|(name, _)| name == "date") {
            let now = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now());
            headers.extend(now.ok().map(|now| ("date".to_owned(), now)));
        }
        // RFC 9110, 8.6; a 205 says that it has none.
        let unsized_by_status = matches!(self.status, 204 | 304) || method == "CONNECT" && self.status < 300;
        if self.sized && !unsized_by_status {
            let length = if self.status == 205 { 0 } else { self.body.len() };
            headers.push(("content-length".to_owned(), length.to_string()));
        }
        headers
    }

    /// The head as HTTP/1.1 has it.
    pub(super) fn head(&self, method: &str, asked: Asked) -> Bytes {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason.unwrap_or_default());
        for (name, value) in self.headers(method) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !self.sized {
            head.push_str("content-length: 0\r\n");
        }
        let upgrade = self.status == 426;
        if upgrade {
            head.push_str("upgrade: HTTP/2.0\r\n");
        }
        // In HTTP/1.0 it does not go without saying that the connection stays: RFC 9112, 9.3.
        let options = [(asked.closes, "close"), (asked.keeps && !asked.closes, "keep-alive"), (upgrade, "upgrade")];
        let options: Vec<&str> = options.into_iter().filter(|(said, _)| *said).map(|(_, option)| option).collect();
        if !options.is_empty() {
            let _ = write!(head, "connection: {}\r\n", options.join(", "));
        }
        head.push_str("\r\n");
        head.into()
    }
}

/// The trailers as gRPC-Web has them: a frame of the body.
fn trailers_frame(trailers: &[(String, String)]) -> Bytes {
    let text: String = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut frame = BytesMut::new();
    frame.put_u8(TRAILERS);
    frame.put_u32(text.len() as u32);
    frame.put_slice(text.as_bytes());
    frame.freeze()
}

/// RFC 4648, 4.
fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        let digit = |at: usize| match at <= chunk.len() {
            true => char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]),
            false => '=',
        };
        [digit(0), digit(1), digit(2), digit(3)]
    };
    data.chunks(3).flat_map(group).collect()
}

impl Grpc {
    /// What `content_type` says, if it is gRPC's; a gRPC-Web client may `accept` text.
    pub(super) fn of(content_type: &[u8], accept: Option<&[u8]>) -> Option<Self> {
        let media_type = |value: &[u8]| {
            let text = std::str::from_utf8(value).ok()?;
            Some(text.split([';', ',']).next().unwrap_or_default().trim().to_ascii_lowercase())
        };
        let text = "application/grpc-web-text";
        let content_type = media_type(content_type)?;
        let is = |base: &str| {
            content_type == base || content_type.strip_prefix(base).is_some_and(|rest| rest.starts_with('+'))
        };
        let web = is("application/grpc-web") || is(text);
        let accepted = accept.and_then(media_type).filter(|accepted| web && accepted.starts_with(text));
        let content_type = match accepted {
            Some(accepted) => accepted,
            None if web || is("application/grpc") => content_type,
            None => return None,
        };
        Some(Self { web, text: content_type.starts_with(text), content_type })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::http::h1::Kind;

    fn head(answer: &Answer, method: &str) -> String {
        let asked = Asked { kind: Kind::Plain, closes: false, keeps: false };
        String::from_utf8(answer.head(method, asked).to_vec()).unwrap()
    }

    #[test]
    fn the_body_and_its_length_follow_the_status_and_the_method() {
        let answer = |status| Answer::of(&Abort::new(status).body("{}", "application/json"));
        for (status, method, length, body) in [
            (503, "GET", Some("2"), "{}"),
            (503, "HEAD", Some("2"), ""),
            (204, "GET", None, ""),
            (205, "GET", Some("0"), ""),
            (304, "GET", None, ""),
            (200, "CONNECT", None, ""),
            (503, "CONNECT", Some("2"), "{}"),
        ] {
            let answer = answer(status);
            let headers = answer.headers(method);
            let told = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| &value[..]);
            assert_eq!((told, &answer.body(method)[..]), (length, body.as_bytes()), "{status} to {method}");
            assert_eq!(headers.iter().filter(|(name, _)| name == "date").count(), 1);
        }
    }

    #[test]
    fn what_a_status_demands_is_there() {
        for (status, header) in [
            (401, "www-authenticate: Basic "),
            (405, "allow: \r\n"),
            (407, "proxy-authenticate: Basic "),
            (426, "upgrade: HTTP/2.0\r\nconnection: upgrade\r\n"),
        ] {
            let head = head(&Answer::of(&Abort::new(status)), "GET");
            assert!(head.contains(header), "{head}");
        }
        let own = head(&Answer::of(&Abort::new(405).header("Allow", "GET")), "POST");
        assert!(own.contains("allow: GET\r\n") && own.matches("allow").count() == 1, "{own}");
        assert!(head(&Answer::too_many(7), "GET").contains("retry-after: 7\r\n"));
    }

    #[test]
    fn grpc_is_answered_in_its_own_protocol() {
        let answer = |content_type: &'static str, accept: Option<&'static str>| {
            let mut headers = vec![(&b"content-type"[..], content_type.as_bytes())];
            headers.extend(accept.map(|accept| (&b"accept"[..], accept.as_bytes())));
            let request = Request { method: "POST", target: "/a/b", headers };
            request.grpc().map(|_| Answer::grpc(GrpcCode::Unavailable, "100% \n", &request))
        };
        let frame = b"\x80\0\0\0\x2bgrpc-status: 14\r\ngrpc-message: 100%25 %0A\r\n";
        for (content_type, accept, told, body) in [
            ("application/grpc", None, "application/grpc", &b""[..]),
            ("Application/gRPC+proto; x=y", None, "application/grpc+proto", b""),
            ("application/grpc-web", None, "application/grpc-web", frame),
            ("application/grpc-web+proto", Some("*/*"), "application/grpc-web+proto", frame),
        ] {
            let answer = answer(content_type, accept).unwrap();
            assert_eq!(answer.headers[0].1, told);
            assert_eq!((answer.status, answer.body.escape_ascii().to_string()), (200, body.escape_ascii().to_string()));
            assert_eq!(answer.headers.iter().any(|(name, _)| name == "grpc-status"), body.is_empty());
        }
        for (content_type, accept) in
            [("application/grpc-web-text+proto", None), ("application/grpc-web", Some("application/grpc-web-text"))]
        {
            let answer = answer(content_type, accept).unwrap();
            assert!(answer.headers[0].1.starts_with("application/grpc-web-text"));
            assert_eq!(&answer.body[..], &base64(frame).into_bytes()[..]);
        }
        for other in ["application/grpcish", "application/json", "application/grpc-webby", "text/application/grpc"] {
            assert!(answer(other, None).is_none(), "{other}");
        }
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("\u{fb}\u{ff}~", "w7vDv34="),
        ] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }
}
