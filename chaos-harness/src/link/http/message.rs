//! What is known of a request, and what is sent in place of or along with what the peers said.

use std::fmt::Write as _;

use bytes::Bytes;
use http::StatusCode;

use super::grpc::{GrpcCode, encode_message};
use super::spec::{HeaderMatch, RequestMatch};

/// A request up to its body, as it was sent.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) headers: Vec<(&'a [u8], &'a [u8])>,
}

impl Request<'_> {
    /// The values of a header, whose name is given in lower case.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |(other, _): &&(&[u8], &[u8])| other.eq_ignore_ascii_case(name.as_bytes());
        self.headers.iter().filter(named).map(|(_, value)| *value)
    }

    /// The path, with the query, without scheme and host.
    pub(super) fn path(&self) -> &str {
        let after_host = |rest: &'_ str| rest.find('/').map_or(rest.len(), |slash| slash);
        match self.target.split_once("://") {
            Some((_, rest)) if !self.target.starts_with('/') => &rest[after_host(rest)..],
            _ => self.target,
        }
    }

    /// Whether it is a gRPC call.
    pub(super) fn is_grpc(&self) -> bool {
        self.values("content-type").any(|value| value.starts_with(b"application/grpc"))
    }

    /// The id of its W3C trace.
    pub(super) fn trace(&self) -> Option<TraceId> {
        self.values("traceparent").find_map(parse_traceparent)
    }

    /// Whether `when` fits, as far as the request alone can tell.
    pub(super) fn fits(&self, when: &RequestMatch) -> bool {
        when.method.as_ref().is_none_or(|method| method == self.method)
            && when.path.as_ref().is_none_or(|pattern| path_fits(pattern, self.path()))
            && when.headers.iter().all(|header| self.has(header))
    }

    fn has(&self, HeaderMatch { name, value }: &HeaderMatch) -> bool {
        let name = name.to_ascii_lowercase();
        self.values(&name).any(|found| value.as_ref().is_none_or(|value| value.as_bytes() == found))
    }
}

/// The id of a W3C trace: 32 hexadecimal digits in lower case.
pub(super) type TraceId = [u8; 32];

/// Reads `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
fn parse_traceparent(value: &[u8]) -> Option<TraceId> {
    let mut parts = value.split(|byte| *byte == b'-');
    let hex = |part: &&[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let version = parts.next().filter(hex)?;
    let trace: TraceId = parts.next().filter(hex)?.try_into().ok()?;
    let known = version.len() == 2 && version != b"ff" && parts.next().is_some_and(|parent| parent.len() == 16);
    (known && trace != [b'0'; 32]).then_some(trace)
}

fn path_fits(pattern: &str, path: &str) -> bool {
    let path = if pattern.contains('?') { path } else { path.split('?').next().unwrap_or(path) };
    glob(pattern, path)
}

/// Whether `text` is `pattern`, in which `*` stands for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    // The first place where a part fits leaves the most for those behind it.
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(tail)
}

/// What the caller gets in place of the callee's response: a status and headers, no body.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        // These have no body by definition and must not say how long it is.
        let headers = if matches!(status, 204 | 304) { vec![] } else { vec![("content-length", "0".to_owned())] };
        Self { status, headers }
    }

    pub(super) fn too_many(retry_after: u64) -> Self {
        let mut answer = Self::status(429);
        answer.headers.push(("retry-after", retry_after.to_string()));
        answer
    }

    /// A response of trailers alone, as gRPC has it.
    pub(super) fn grpc(code: GrpcCode, message: &str) -> Self {
        let mut headers =
            vec![("content-type", "application/grpc".to_owned()), ("grpc-status", (code as u8).to_string())];
        if !message.is_empty() {
            headers.push(("grpc-message", encode_message(message)));
        }
        Self { status: 200, headers }
    }

    /// As HTTP/1.1 has it; the connection `closes` behind it, or the caller `keeps` it if told so.
    pub(super) fn head(&self, closes: bool, keeps: bool) -> Bytes {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason.unwrap_or_default());
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !self.headers.iter().any(|(name, _)| *name == "content-length") && !matches!(self.status, 204 | 304) {
            head.push_str("content-length: 0\r\n");
        }
        head.push_str(match (closes, keeps) {
            (true, _) => "connection: close\r\n\r\n",
            // In HTTP/1.0 this does not go without saying: RFC 9112, 9.3.
            (false, true) => "connection: keep-alive\r\n\r\n",
            (false, false) => "\r\n",
        });
        head.into()
    }
}

/// A change to the headers of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// The header has this value and no other.
    Set(String, String),
    /// The header is not there.
    Drop(String),
}

impl Edit {
    /// The name of the header that it is about.
    pub(super) fn name(&self) -> &str {
        let (Self::Set(name, _) | Self::Drop(name)) = self;
        name
    }

    /// The header that is there afterwards.
    pub(super) fn header(&self) -> Option<(&str, &str)> {
        if let Self::Set(name, value) = self { Some((name, value)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, path, fits) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a", "/a?x=1", true),
            ("/a?x=1", "/a?x=1", true),
            ("/a?x=*", "/a?x=12", true),
            ("/a/*", "/a/", true),
            ("/a/*", "/a/b/c", true),
            ("/a/*", "/a", false),
            ("*", "/anything", true),
            ("/*/items/*", "/shop/items/7", true),
            ("/*/items/*", "/shop/item/7", false),
            ("/a*a", "/a", false),
            ("/*ab*ab", "/abab", true),
            ("/*ab*ab", "/ab", false),
        ] {
            assert_eq!(path_fits(pattern, path), fits, "{pattern} {path}");
        }
    }

    #[test]
    fn a_trace_is_known_by_its_parent_header() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read =
            |value: String| parse_traceparent(value.as_bytes()).map(|id| String::from_utf8(id.to_vec()).unwrap());
        assert_eq!(read(format!("00-{id}-00f067aa0ba902b7-01")).as_deref(), Some(id));
        assert_eq!(read(format!("cc-{id}-00f067aa0ba902b7-01-more")).as_deref(), Some(id));
        for wrong in [
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{id}"),
            id.to_owned(),
            String::new(),
        ] {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn a_target_may_name_the_host() {
        let path = |target| Request { method: "GET", target, headers: vec![] }.path().to_owned();
        assert_eq!(path("/a?b=http://c/d"), "/a?b=http://c/d");
        assert_eq!(path("http://host:1/a?b"), "/a?b");
        assert_eq!(path("http://host"), "");
        assert_eq!(path("*"), "*");
    }
}
