//! What is known of a request, and changes of headers.

use std::borrow::Cow;

use super::grpc::Grpc;
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

    /// The path, with the query, without scheme and host; `/` where an absolute target has none (RFC 9110, 4.2.3).
    pub(super) fn path(&self) -> Cow<'_, str> {
        let Some((_, rest)) = self.target.split_once("://").filter(|_| !self.target.starts_with('/')) else {
            return Cow::Borrowed(self.target);
        };
        let path = &rest[rest.find(['/', '?']).unwrap_or(rest.len())..];
        if path.starts_with('/') { Cow::Borrowed(path) } else { Cow::Owned(format!("/{path}")) }
    }

    /// The protocol, if it is a gRPC call.
    pub(super) fn grpc(&self) -> Option<Grpc> {
        let accept = self.values("accept").next();
        self.values("content-type").find_map(|value| Grpc::of(value, accept))
    }

    /// The id of its W3C trace. Two headers are none: nobody can say which one is meant.
    pub(super) fn trace(&self) -> Option<TraceId> {
        let mut values = self.values("traceparent");
        let value = values.next()?;
        values.next().is_none().then(|| parse_traceparent(value)).flatten()
    }

    /// Whether `when` fits, as far as the request alone can tell.
    pub(super) fn fits(&self, when: &RequestMatch) -> bool {
        when.method.as_ref().is_none_or(|method| method == self.method)
            && when.path.as_ref().is_none_or(|pattern| path_fits(pattern, &self.path()))
            && when.headers.iter().all(|header| self.has(header))
    }

    fn has(&self, HeaderMatch { name, value }: &HeaderMatch) -> bool {
        let name = name.to_ascii_lowercase();
        self.values(&name).any(|found| value.as_ref().is_none_or(|value| value.as_bytes() == found))
    }
}

/// The id of a W3C trace: 32 hexadecimal digits in lower case.
pub(super) type TraceId = [u8; 32];

/// Reads `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`: W3C Trace Context, 3.2. Later versions may add
/// something behind another dash.
fn parse_traceparent(value: &[u8]) -> Option<TraceId> {
    let (known, more) = value.trim_ascii().split_at_checked(55)?;
    let (version, trace, parent, flags) = (&known[..2], &known[3..35], &known[36..52], &known[53..]);
    let hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_some_id = |part: &[u8]| hex(part) && part.iter().any(|digit| *digit != b'0');
    let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
    let ends = more.is_empty() || more[0] == b'-' && version != b"00";
    let valid =
        dashes && ends && hex(version) && version != b"ff" && is_some_id(trace) && is_some_id(parent) && hex(flags);
    valid.then(|| trace.try_into().ok()).flatten()
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
        let (id, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let read = |value: &str| parse_traceparent(value.as_bytes()).map(|id| String::from_utf8(id.to_vec()).unwrap());
        for right in [
            format!("00-{id}-{parent}-01"),
            format!("00-{id}-{parent}-ff"),
            format!(" 00-{id}-{parent}-00\t"),
            format!("cc-{id}-{parent}-01"),
            format!("cc-{id}-{parent}-01-more"),
            format!("01-{id}-{parent}-01-"),
        ] {
            assert_eq!(read(&right).as_deref(), Some(id), "{right}");
        }
        let zeros = "0".repeat(32);
        for wrong in [
            format!("ff-{id}-{parent}-01"),
            format!("00-{zeros}-{parent}-01"),
            format!("00-{id}-{}-01", &zeros[..16]),
            format!("00-{}-{parent}-01", id.to_uppercase()),
            format!("00-{id}-{}-01", parent.to_uppercase()),
            format!("00-{id}-{parent}-1"),
            format!("00-{id}-{parent}-01."),
            format!("00-{id}-{parent}-0G"),
            format!("00-{id}-{parent}-0A"),
            format!("00-{id}-{parent}-01-more"),
            format!("01-{id}-{parent}-01."),
            format!("01-{id}-{parent}-012"),
            format!("00-{id}-{parent}"),
            format!("00-{id}-{parent}-"),
            format!("0-{id}-{parent}-011"),
            format!("00_{id}_{parent}_01"),
            format!("00-{}-{parent}0-01", &id[1..]),
            format!("00-{id}"),
            id.to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn two_trace_headers_are_none() {
        let value = &b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"[..];
        let of = |count: usize| {
            let headers = vec![(&b"TraceParent"[..], value); count];
            Request { method: "GET", target: "/", headers }.trace().is_some()
        };
        assert_eq!([0, 1, 2].map(of), [false, true, false]);
    }

    #[test]
    fn a_target_may_name_the_host() {
        let path = |target| Request { method: "GET", target, headers: vec![] }.path().into_owned();
        assert_eq!(path("/a?b=http://c/d"), "/a?b=http://c/d");
        assert_eq!(path("http://host:1/a?b"), "/a?b");
        assert_eq!(path("HTTP://host"), "/");
        assert_eq!(path("http://host?a=/b"), "/?a=/b");
        assert_eq!(path("*"), "*");
        assert_eq!(path("host:443"), "host:443");
    }
}
