//! The heads of HTTP/1.1 messages: finding, reading and changing them.

use bytes::{Bytes, BytesMut};

use super::Kind;
use super::body::{Body, Chunked};
use crate::link::http::cursor::{Cursor, Piece, Place};
use crate::link::http::message::{Edit, Request};
use crate::link::http::outbox::Outbox;

/// Longest head that is understood, in bytes.
const LONGEST: usize = 64 << 10;

/// Most headers that a head may have.
const HEADERS: usize = 256;

/// Collects a head until it is complete.
#[derive(Debug, Default)]
pub(super) struct HeadBuffer {
    kept: BytesMut,
    /// Whether what is kept has been let pass already: a copy is enough to follow the messages.
    passed: bool,
    /// Whether the line that has begun has anything in it.
    in_line: bool,
}

/// How far a head has come.
pub(super) enum Taken {
    /// The rest is still to come.
    Part,
    Head(Piece),
    /// This is not HTTP.
    Foreign,
}

impl HeadBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Takes the next bytes of a head, `pass` telling whether one that is incomplete passes.
    pub(super) fn take(
        &mut self,
        cursor: &mut Cursor,
        out: &mut Outbox,
        pass: bool,
        begins: fn(&[u8]) -> bool,
    ) -> Taken {
        if self.is_empty() {
            // Empty lines before a message are allowed and mean nothing.
            let blank = cursor.rest().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            cursor.pass(blank);
            self.passed = pass;
            if cursor.is_done() {
                return Taken::Part;
            }
        }
        let end = self.end(cursor.rest());
        let n = end.unwrap_or(cursor.rest().len());
        if self.kept.len() + n > LONGEST {
            return Taken::Foreign;
        }
        if self.is_empty() && end.is_some() {
            let bytes = cursor.peek(n);
            return if begins(&bytes) { Taken::Head(Piece { bytes, place: Place::Ahead }) } else { Taken::Foreign };
        }
        self.kept.extend_from_slice(&cursor.rest()[..n]);
        if !begins(&self.kept) {
            self.kept.truncate(self.kept.len() - n);
            return Taken::Foreign;
        }
        match self.passed {
            true => cursor.pass(n),
            false => drop(cursor.take(n, out)),
        }
        if end.is_none() {
            return Taken::Part;
        }
        let place = if self.passed { Place::Passed } else { Place::Kept };
        Taken::Head(Piece { bytes: self.kept.split().freeze(), place })
    }

    /// What is kept and has not passed.
    pub(super) fn flush(&mut self) -> Bytes {
        let kept = self.kept.split().freeze();
        if self.passed { Bytes::new() } else { kept }
    }

    /// Where the head ends in `data`, which follows what is kept: behind the first empty line.
    fn end(&mut self, data: &[u8]) -> Option<usize> {
        for (index, byte) in data.iter().enumerate() {
            match byte {
                b'\n' if !std::mem::replace(&mut self.in_line, false) => return Some(index + 1),
                b'\n' | b'\r' => {}
                _ => self.in_line = true,
            }
        }
        None
    }
}

/// Whether a request may begin like this. Methods are upper case in practice, which tells them from other protocols.
pub(super) fn begins_request(head: &[u8]) -> bool {
    let method = head.split(|byte| *byte == b' ').next().unwrap_or_default();
    method.len() <= 32 && method.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'-' | b'_')) && head[0] != b' '
}

/// Whether a response may begin like this.
pub(super) fn begins_response(head: &[u8]) -> bool {
    head.iter().zip(b"HTTP/1.").all(|(a, b)| a == b)
}

/// What matters of a request to follow the messages.
pub(super) struct RequestInfo {
    pub(super) body: Body,
    pub(super) kind: Kind,
    /// After the answer of a link the connection cannot go on.
    pub(super) closes: bool,
}

/// Reads a request and hands it to `look`; `None` when it is malformed.
pub(super) fn read_request<T>(head: &[u8], look: impl FnOnce(&Request<'_>) -> T) -> Option<(RequestInfo, T)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    if !parsed.parse(head).ok()?.is_complete() {
        return None;
    }
    let headers = parsed.headers.iter().map(|header| (header.name.as_bytes(), header.value)).collect();
    let request = Request { method: parsed.method?, target: parsed.path?, headers };
    let length = content_length(&request)?;
    let body = match (transfer_encoding(&request), length) {
        (None, length) => Body::Length(length.unwrap_or(0)),
        (Some(true), None) => Body::Chunked(Chunked::default()),
        // Nobody can say where such a request ends.
        (Some(_), _) => return None,
    };
    let says = |name, word: &str| request.values(name).any(|value| has_word(value, word));
    let closes = says("expect", "100-continue")
        || says("connection", "close")
        || parsed.version == Some(0) && !says("connection", "keep-alive");
    let kind = match request.method {
        "HEAD" => Kind::Head,
        "CONNECT" => Kind::Connect,
        _ => Kind::Plain,
    };
    Some((RequestInfo { body, kind, closes }, look(&request)))
}

/// Reads a response: its status, and its body as far as its head tells; `None` when it is malformed.
pub(super) fn read_response(head: &[u8]) -> Option<(u16, Body)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    if !parsed.parse(head).ok()?.is_complete() {
        return None;
    }
    let headers = parsed.headers.iter().map(|header| (header.name.as_bytes(), header.value)).collect();
    let response = Request { method: "", target: "", headers };
    let body = match (transfer_encoding(&response), content_length(&response)?) {
        (Some(true), _) => Body::Chunked(Chunked::default()),
        (Some(false), _) | (None, None) => Body::UntilEnd,
        (None, Some(length)) => Body::Length(length),
    };
    Some((parsed.code?, body))
}

/// Outer `None` when it makes no sense, inner `None` when there is none.
fn content_length(message: &Request<'_>) -> Option<Option<u64>> {
    let mut length = None;
    for value in message.values("content-length") {
        let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        let this = digits.parse().ok()?;
        if length.is_some_and(|length| length != this) {
            return None;
        }
        length = Some(this);
    }
    Some(length)
}

/// Whether the last coding is chunked; `None` when there is none.
fn transfer_encoding(message: &Request<'_>) -> Option<bool> {
    let last = message.values("transfer-encoding").last()?;
    let last = last.rsplit(|byte| *byte == b',').next().unwrap_or_default();
    Some(last.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

fn has_word(value: &[u8], word: &str) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// The head with `edits` made; the lines that they do not name stay as they are.
pub(super) fn rewrite(head: &[u8], edits: &[Edit]) -> Bytes {
    let named = |line: &[u8], name: &str| {
        line.split(|byte| *byte == b':').next().is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
    };
    let mut lines: Vec<Vec<u8>> = head.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let end = lines.pop().unwrap_or_default();
    for edit in edits {
        let mut index = 0;
        lines.retain(|line| {
            index += 1;
            index == 1 || !named(line, edit.name())
        });
        if let Some((name, value)) = edit.header() {
            lines.push(format!("{name}: {value}\r\n").into_bytes());
        }
    }
    lines.push(end);
    lines.concat().into()
}
