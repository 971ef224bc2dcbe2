//! Which HTTP/1.1 messages are read, as RFC 9112 and RFC 9110 have it, and what is said of those that are not.

use crate::link::http::fuzzing::Machine;
use crate::link::http::{HttpAction, RequestMatch, Unread};
use crate::link::toxic::Way;

/// What comes of `request`, in pieces of `size` bytes and followed by another one, where a rule looks at requests.
fn read(request: &[u8], size: usize) -> (u64, Vec<(Unread, u64)>) {
    let mut machine = Machine::new(true);
    let all = [request, b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n"].concat();
    all.chunks(size).for_each(|piece| machine.feed(Way::Up, piece));
    assert_eq!(machine.up.escape_ascii().to_string(), all.escape_ascii().to_string(), "it passes as it came");
    (machine.counters().http_requests, machine.counters().http_unread())
}

/// A request with these header lines.
fn with(lines: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nhost: a\r\n{lines}\r\n").into_bytes()
}

#[test]
fn what_a_proxy_may_read_is_read() {
    let requests = [
        b"get /a HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"M-SEARCH * HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"a!#$%&'*+.^_`|~9 /a HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"\r\n\r\nGET /a HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"\nGET /a HTTP/1.1\nhost: a\n\n".to_vec(),
        b"GET http://a/b?c HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"GET /a HTTP/1.9\r\nhost: a\r\n\r\n".to_vec(),
        b"GET /a HTTP/1.0\r\n\r\n".to_vec(),
        with("x: folded\r\n  into\r\n\tthree lines\r\n"),
        with("x: \r\n folded\r\n \r\n"),
        with("x:no space \t\r\ny:\r\n"),
        with(&(0..5_000).map(|n| format!("x-{n}: {n}\r\n")).collect::<String>()),
        with(&format!("x: {}\r\n", "v".repeat(900_000))),
        [with("content-length: 2, 2\r\n"), b"ab".to_vec()].concat(),
        [with("content-length: 02\r\ncontent-length: 2\r\n"), b"ab".to_vec()].concat(),
        [with("transfer-encoding: gzip,chunked\r\n"), b"2;a=\"b\";c\r\nab\r\n000\r\nx: y\r\n\r\n".to_vec()].concat(),
        [with("transfer-encoding: gzip\r\nTransfer-Encoding: Chunked\r\n"), b"0\n\n".to_vec()].concat(),
    ];
    for request in requests {
        for size in [usize::MAX, 1000, 7] {
            let name = request[..request.len().min(200)].escape_ascii();
            assert_eq!(read(&request, size.min(request.len())), (2, vec![]), "{name} by {size}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_counted_with_its_reason() {
    let two = |lines: &str| [with(lines), b"2\r\nab\r\n0\r\n\r\n".to_vec()].concat();
    for (request, reason) in [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), Unread::Tls),
        (b"*1\r\n$4\r\nPING\r\n".to_vec(), Unread::Foreign),
        (b"get key\r\n".to_vec(), Unread::Foreign),
        (b"GET /a\r\n\r\n".to_vec(), Unread::Foreign),
        (b"GET /a HTTP/2.0\r\n\r\n".to_vec(), Unread::Foreign),
        (with(&format!("x: {}\r\n", "v".repeat(1 << 20))), Unread::TooLarge),
        (two("transfer-encoding: chunked\r\ncontent-length: 12\r\n"), Unread::Malformed),
        (two("transfer-encoding: chunked, gzip\r\n"), Unread::Malformed),
        (two("transfer-encoding: chunked, chunked\r\n"), Unread::Malformed),
        (b"POST /a HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(), Unread::Malformed),
        (two("content-length: 2, 3\r\n"), Unread::Malformed),
        (two("content-length: 2,\r\n"), Unread::Malformed),
        (two("content-length: +2\r\n"), Unread::Malformed),
        (two("content-length: 99999999999999999999\r\n"), Unread::Malformed),
        (two("content-length : 2\r\n"), Unread::Malformed),
        (two("x y: 2\r\n"), Unread::Malformed),
        (b"GET /a HTTP/1.1\r\n host: a\r\n\r\n".to_vec(), Unread::Malformed),
        (b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), Unread::Foreign),
    ] {
        let name = request[..request.len().min(200)].escape_ascii().to_string();
        assert_eq!(read(&request, request.len()).1, [(reason, 1)], "{name}");
    }
    // The same words later on are no foreign protocol.
    let later = [&with("")[..], b"hello there\r\n"].concat();
    assert_eq!(read(&later, later.len()), (1, vec![(Unread::Malformed, 1)]));
}

#[test]
fn as_many_requests_may_wait_as_callers_send() {
    let mut machine = Machine::new(true);
    let requests = with("").repeat(60_000);
    machine.feed(Way::Up, &requests);
    let responses = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1".repeat(60_000);
    machine.feed(Way::Down, &responses);
    assert!(machine.up == requests && machine.down == responses);
    assert_eq!((machine.counters().http_requests, machine.counters().http_unread()), (60_000, vec![]));
}

/// What becomes of `response` to a request, followed by another exchange, and what is counted.
fn answered(request: &[u8], response: &[u8]) -> Vec<(Unread, u64)> {
    let mut machine = Machine::new(true);
    machine.feed(Way::Up, request);
    let all = [response, b"HTTP/1.1 204 No Content\r\n\r\n"].concat();
    machine.feed(Way::Down, response);
    machine.feed(Way::Up, &with(""));
    machine.feed(Way::Down, b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(machine.down.escape_ascii().to_string(), all.escape_ascii().to_string());
    machine.counters().http_unread()
}

#[test]
fn responses_are_read_as_a_client_may_read_them() {
    let get = &with("")[..];
    for response in [
        &b"HTTP/1.1 200\r\ncontent-length: 1\r\n\r\na"[..],
        b"HTTP/1.1 200 \r\ncontent-length : 1\r\n\r\na",
        b"HTTP/1.7 200 OK\r\ncontent-length: 1,1\r\n\r\na",
        b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nx: a\r\n  b\r\ncontent-length:\r\n 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\ncontent-length: 7\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
    ] {
        assert_eq!(answered(get, response), [], "{}", response.escape_ascii());
    }
    for response in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\na"[..],
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
    ] {
        assert_eq!(answered(get, response), [(Unread::Malformed, 1)], "{}", response.escape_ascii());
    }
}

#[test]
fn upgrades_are_told_apart() {
    let asked = |to: &str| with(&format!("connection: upgrade\r\nupgrade: {to}\r\n"));
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    assert_eq!(answered(&asked("h2c"), switched), [(Unread::H2c, 1)]);
    assert_eq!(answered(&asked("websocket"), switched), [(Unread::Upgraded, 1)]);
    assert_eq!(
        answered(b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
        [(Unread::Upgraded, 1)]
    );
    assert_eq!(answered(&asked("h2c"), b"HTTP/1.1 204 No Content\r\n\r\n"), [], "it was not taken up");
}

#[test]
fn a_fold_goes_with_its_header() {
    let mut machine = Machine::new(false);
    let drop = HttpAction::DropHeader { on: super::Message::Request, name: "x".to_owned() };
    machine.rule(1, RequestMatch::default(), drop);
    machine.feed(Way::Up, &with("x: a\r\n b\r\ny: c\r\n\td\r\nX: e\r\n"));
    assert_eq!(machine.up.escape_ascii().to_string(), with("y: c  \td\r\n").escape_ascii().to_string());
}
