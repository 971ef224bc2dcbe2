//! The heads of HTTP/1.1 messages: finding, reading and changing them.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::body::{Body, Chunked};
use super::{Asked, Kind};
use crate::link::http::cursor::{Cursor, Piece, Place};
use crate::link::http::message::{Edit, Request};
use crate::link::http::outbox::Outbox;
use crate::link::http::unread::Unread;

/// Longest head that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// Longest method that is taken for one, in bytes.
const METHOD: usize = 64;

/// What the version of a message begins with.
const VERSION: &[u8] = b"HTTP/1.";

/// Up to so many headers need no memory of their own.
const FEW: usize = 64;

/// Collects a head until it is complete.
#[derive(Debug, Default)]
pub(super) struct HeadBuffer {
    kept: BytesMut,
    /// Whether what is kept has been let pass already: a copy is enough to follow the messages.
    passed: bool,
    /// Whether the line that has begun has anything in it.
    in_line: bool,
    /// The first line is complete, and that of a message.
    begun: bool,
}

/// How far a head has come.
pub(super) enum Taken {
    /// The rest is still to come.
    Part,
    Head(Piece),
    /// It is not one that can be read.
    Unread(Unread),
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
            (self.passed, self.begun) = (pass, false);
            if cursor.is_done() {
                return Taken::Part;
            }
        }
        let end = self.end(cursor.rest());
        let n = end.unwrap_or(cursor.rest().len());
        if self.kept.len() + n > LONGEST {
            return Taken::Unread(Unread::TooLarge);
        }
        if self.is_empty() && end.is_some() {
            let bytes = cursor.peek(n);
            return if begins(&bytes) {
                Taken::Head(Piece { bytes, place: Place::Ahead })
            } else {
                Taken::Unread(Unread::Foreign)
            };
        }
        let begun = self.begun;
        self.begun |= cursor.rest()[..n].contains(&b'\n');
        self.kept.extend_from_slice(&cursor.rest()[..n]);
        if !begun && !begins(&self.kept) {
            self.kept.truncate(self.kept.len() - n);
            return Taken::Unread(Unread::Foreign);
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

/// Whether a request may begin like this: a method, a target and `HTTP/1.`, one space between them.
pub(super) fn begins_request(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_whole = line.len() < head.len();
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let method = parts.next().unwrap_or_default();
    if method.is_empty() || method.len() > METHOD || !method.iter().copied().all(is_token) {
        return false;
    }
    let (target, version) = (parts.next(), parts.next());
    target.is_none_or(|target| target.iter().all(|byte| *byte > b' ' && *byte != 0x7f))
        && version.is_none_or(begins_response)
        && (!is_whole || version.is_some_and(|version| version.len() > VERSION.len()))
}

/// Whether a response may begin like this.
pub(super) fn begins_response(head: &[u8]) -> bool {
    head.iter().zip(VERSION).all(|(a, b)| a == b)
}

/// Whether `byte` may be part of a method's name.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What matters of a request to follow the messages.
pub(super) struct RequestInfo {
    pub(super) body: Body,
    pub(super) asked: Asked,
    /// It would have the connection be used for another protocol, which is HTTP/2.
    pub(super) h2c: bool,
}

/// What matters of a response.
pub(super) struct ResponseInfo {
    pub(super) status: u16,
    /// As far as the head tells.
    pub(super) body: Body,
}

/// Reads a request and hands it to `look`.
pub(super) fn read_request<T>(head: &[u8], look: impl FnOnce(&Request<'_>) -> T) -> Result<(RequestInfo, T), Unread> {
    let head = plain(head);
    with_headers(&head, |headers| {
        let mut parsed = httparse::Request::new(headers);
        let complete = parsed.parse(&head).is_ok_and(|status| status.is_complete());
        let (true, Some(method), Some(target)) = (complete, parsed.method, parsed.path) else {
            return Err(Unread::Malformed);
        };
        let headers = parsed.headers.iter().map(|header| (header.name.as_bytes(), header.value)).collect();
        let request = Request { method, target, headers };
        let old = parsed.version == Some(0);
        let body = match (transfer_encoding(&request), content_length(&request)?) {
            (None, length) => Body::Length(length.unwrap_or(0)),
            (Some(true), None) if !old => Body::Chunked(Chunked::default()),
            // Who reads it differently sees another request begin in it.
            (Some(_), _) => return Err(Unread::Malformed),
        };
        let says = |name, word: &str| request.values(name).any(|value| has_word(value, word));
        let keeps = old && says("connection", "keep-alive");
        let asked = Asked {
            kind: match method {
                "HEAD" => Kind::Head,
                "CONNECT" => Kind::Connect,
                _ => Kind::Plain,
            },
            // Whoever waits for leave to send a body may send it or not after another answer, and whoever asked for a
            // tunnel may take a success for one.
            closes: says("expect", "100-continue")
                || says("connection", "close")
                || method == "CONNECT"
                || old && !keeps,
            keeps,
        };
        Ok((RequestInfo { body, asked, h2c: says("upgrade", "h2c") }, look(&request)))
    })
}

/// Reads a response.
pub(super) fn read_response(head: &[u8]) -> Result<ResponseInfo, Unread> {
    let head = plain(head);
    with_headers(&head, |headers| {
        let mut parsed = httparse::Response::new(headers);
        let mut config = httparse::ParserConfig::default();
        config.allow_spaces_after_header_name_in_responses(true);
        let complete = config.parse_response(&mut parsed, &head).is_ok_and(|status| status.is_complete());
        let (true, Some(status)) = (complete, parsed.code) else { return Err(Unread::Malformed) };
        let headers = parsed.headers.iter().map(|header| (header.name.as_bytes(), header.value)).collect();
        let response = Request { method: "", target: "", headers };
        let body = match transfer_encoding(&response) {
            Some(_) if parsed.version == Some(0) => return Err(Unread::Malformed),
            Some(true) => Body::Chunked(Chunked::default()),
            Some(false) => Body::UntilEnd,
            None => content_length(&response)?.map_or(Body::UntilEnd, Body::Length),
        };
        Ok(ResponseInfo { status, body })
    })
}

/// Calls `parse` with room for the headers of `head`.
fn with_headers<'a, T>(head: &'a [u8], parse: impl FnOnce(&mut [httparse::Header<'a>]) -> T) -> T {
    let lines = head.iter().filter(|byte| **byte == b'\n').count();
    match lines <= FEW {
        true => parse(&mut [httparse::EMPTY_HEADER; FEW]),
        false => parse(&mut vec![httparse::EMPTY_HEADER; lines]),
    }
}

/// The head as the parser knows it: unfolded, and with a minor version that is newer read as the newest known
/// (RFC 9110, 6.2).
fn plain(head: &[u8]) -> Cow<'_, [u8]> {
    let mut head = unfolded(head);
    let line = head.split(|byte| *byte == b'\n').next();
    if let Some(at) = line.and_then(minor_version).filter(|at| head[*at] > b'1') {
        head.to_mut()[at] = b'1';
    }
    head
}

/// The head with each header on one line: spaces in place of line ends that go on (RFC 9112, 5.2).
fn unfolded(head: &[u8]) -> Cow<'_, [u8]> {
    let is_fold = |pair: &[u8]| pair[0] == b'\n' && matches!(pair[1], b' ' | b'\t');
    if !head.windows(2).any(is_fold) {
        return Cow::Borrowed(head);
    }
    let mut unfolded = head.to_vec();
    for at in 1..head.len() {
        if is_fold(&head[at - 1..=at]) {
            unfolded[at - 1] = b' ';
            if at > 1 && head[at - 2] == b'\r' {
                unfolded[at - 2] = b' ';
            }
        }
    }
    Cow::Owned(unfolded)
}

/// Where the digit of the minor version is in the first line of a message.
fn minor_version(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let in_response = line.starts_with(VERSION).then_some(VERSION.len());
    let in_request = line.len().checked_sub(1).filter(|last| line[..*last].ends_with(VERSION));
    in_response.or(in_request).filter(|at| line.get(*at).is_some_and(u8::is_ascii_digit))
}

/// The length that the headers tell, if they do. One that is told several times must be the same each time.
fn content_length(message: &Request<'_>) -> Result<Option<u64>, Unread> {
    let mut length = None;
    for value in message.values("content-length").flat_map(|value| value.split(|byte| *byte == b',')) {
        let value = value.trim_ascii();
        let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let this = digits.and_then(|digits| digits.parse().ok()).ok_or(Unread::Malformed)?;
        if length.is_some_and(|length| length != this) {
            return Err(Unread::Malformed);
        }
        length = Some(this);
    }
    Ok(length)
}

/// Whether the body is chunked, as its last coding and only once; `None` when there is no coding.
fn transfer_encoding(message: &Request<'_>) -> Option<bool> {
    let mut values = message.values("transfer-encoding").peekable();
    values.peek()?;
    let codings: Vec<&[u8]> =
        values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).collect();
    let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    Some(
        codings.last().is_some_and(is_chunked)
            && codings.iter().copied().filter(|coding| is_chunked(coding)).count() == 1,
    )
}

fn has_word(value: &[u8], word: &str) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// The head with `edits` made; the lines that they do not name stay as they are, but for folds.
pub(super) fn rewrite(head: &[u8], edits: &[Edit]) -> Bytes {
    let named = |line: &[u8], name: &str| {
        let found = line.split(|byte| *byte == b':').next().unwrap_or_default();
        found.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
    };
    let head = unfolded(head);
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
