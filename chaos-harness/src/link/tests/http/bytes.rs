//! The codec alone: any valid conversation passes to the byte in any pieces, and nothing upsets it.

use loona_hpack::Encoder;
use proptest::prelude::*;

use crate::link::http::fuzzing::{Machine, fuzz_http};
use crate::link::toxic::Way;

/// What the caller says, and what the callee says to it.
type Step = (Vec<u8>, Vec<u8>);

/// A request and its response, as HTTP/1.1 has them.
fn exchange() -> impl Strategy<Value = Step> {
    let body = prop::collection::vec(any::<u8>(), 0..300);
    (0..5_usize, body.clone(), 0..6_usize, body).prop_map(|(method, sent, answer, got)| {
        let method = ["GET", "POST", "PUT", "HEAD", "X-OWN"][method];
        let mut request = format!("{method} /a/b?c HTTP/1.1\r\nHost: x\r\n").into_bytes();
        match (method, sent.len() % 2) {
            ("GET" | "HEAD", _) => request.extend(b"\r\n"),
            (_, 0) => request.extend([format!("Content-Length: {}\r\n\r\n", sent.len()).as_bytes(), &sent].concat()),
            _ => request.extend([b"transfer-encoding: gzip, Chunked\r\n\r\n", &chunked(&sent)[..]].concat()),
        }
        let length = format!("content-length: {}\r\n\r\n", got.len()).into_bytes();
        let got_here = if method == "HEAD" { &[][..] } else { &got };
        let response = match answer {
            0 => b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n".to_vec(),
            1 => [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", &length[..], got_here].concat(),
            2 if method != "HEAD" => [b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", &chunked(&got)[..]].concat(),
            3 => [b"\r\nHTTP/1.0 404 Not Found\r\n", &length[..], got_here].concat(),
            _ => [b"HTTP/1.1 200 OK\r\n", &length[..], got_here].concat(),
        };
        (request, response)
    })
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let chunk = |part: &[u8]| [format!("{:X};x=y\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    [body.chunks(37).map(chunk).collect::<Vec<_>>().concat(), b"0\r\nTrailer: x\r\n\r\n".to_vec()].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A conversation of HTTP/2: what the caller and the callee say, in steps that follow one another.
fn h2_steps(streams: Vec<(Vec<u8>, bool)>) -> Vec<Step> {
    let (mut up, mut down) = (Encoder::new(), Encoder::new());
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, &[])[..]].concat();
    let mut steps = vec![(preface, [frame(4, 0, 0, &[]), frame(4, 1, 0, &[])].concat())];
    for (index, (body, split)) in streams.into_iter().enumerate() {
        let stream = 2 * index as u32 + 1;
        let number = index.to_string().into_bytes();
        let fields: [(&[u8], &[u8]); 4] =
            [(b":method", b"POST"), (b":path", b"/a"), (b"x-one", b"1"), (b"x-n", &number)];
        let block = up.encode(fields);
        let (first, second) = block.split_at(if split { block.len() / 2 } else { block.len() });
        let head = match split {
            true => [frame(1, 0, stream, first), frame(9, 4, stream, second)].concat(),
            false => frame(1, 4 | 0x20, stream, &[&[0, 0, 0, 0, 5], first].concat()),
        };
        let padded = [&[3], &body[..], &[0, 0, 0]].concat();
        let request =
            [head, frame(0, 8, stream, &padded), frame(99, 0, stream, b"new"), frame(0, 1, stream, &[])].concat();
        let block = down.encode([(&b":status"[..], &b"200"[..]), (b"x-one", b"1"), (b"x-n", &number)]);
        let trailers = down.encode([(&b"x-end"[..], &number[..])]);
        let response =
            [frame(1, 4, stream, &block), frame(8, 0, 0, &[0, 0, 1, 0]), frame(0, 0, stream, &body)].concat();
        steps.push((request, [response, frame(1, 5, stream, &trailers)].concat()));
    }
    steps
}

/// Feeds the steps in pieces of the sizes given; what comes out, and how many requests and losses were counted.
fn converse(steps: &[Step], sizes: &[usize], ruled: bool) -> (Vec<u8>, Vec<u8>, u64, u64) {
    let mut machine = Machine::new(ruled);
    let mut sizes = sizes.iter().cycle();
    for (request, response) in steps {
        for (way, mut data) in [(Way::Up, &request[..]), (Way::Down, &response[..])] {
            while !data.is_empty() {
                let (piece, rest) = data.split_at(data.len().min(*sizes.next().unwrap()));
                machine.feed(way, piece);
                data = rest;
            }
        }
    }
    let counted = machine.counters();
    (machine.up.clone(), machine.down.clone(), counted.http_requests, counted.http_opaque)
}

fn check(steps: &[Step], requests: u64, sizes: &[usize], ruled: bool) -> Result<(), TestCaseError> {
    let (up, down, counted, opaque) = converse(steps, sizes, ruled);
    let all = |pick: fn(&Step) -> &[u8]| steps.iter().map(pick).collect::<Vec<_>>().concat();
    prop_assert_eq!(up.escape_ascii().to_string(), all(|step| &step.0).escape_ascii().to_string());
    prop_assert_eq!(down.escape_ascii().to_string(), all(|step| &step.1).escape_ascii().to_string());
    prop_assert_eq!((counted, opaque), (requests, 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_http1_passes_in_any_pieces(
        exchanges in prop::collection::vec(exchange(), 1..6),
        sizes in prop::collection::vec(1..200_usize, 1..20),
        ruled in any::<bool>(),
        pipelined in any::<bool>(),
    ) {
        let count = exchanges.len() as u64;
        let steps = if pipelined {
            let (up, down): (Vec<_>, Vec<_>) = exchanges.into_iter().unzip();
            vec![(up.concat(), down.concat())]
        } else {
            exchanges
        };
        check(&steps, count, &sizes, ruled)?;
    }

    #[test]
    fn any_http2_passes_in_any_pieces(
        streams in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<bool>()), 1..8),
        sizes in prop::collection::vec(1..200_usize, 1..20),
        ruled in any::<bool>(),
    ) {
        let count = streams.len() as u64;
        check(&h2_steps(streams), count, &sizes, ruled)?;
    }

    #[test]
    fn nothing_upsets_it(data in prop::collection::vec(any::<u8>(), 0..2000)) {
        fuzz_http(&data);
    }

    #[test]
    fn damaged_http2_upsets_nothing(
        streams in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..50), any::<bool>()), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        flags in 0..2_u8,
        toxics in any::<u8>(),
    ) {
        let mut input = vec![flags, toxics];
        for (request, response) in h2_steps(streams) {
            for (way, data) in [(0, request), (128, response)] {
                for piece in data.chunks(100) {
                    input.push(way | piece.len() as u8);
                    input.extend(piece);
                }
            }
        }
        for (place, byte) in damage {
            let place = place.index(input.len());
            input[place] = byte;
        }
        fuzz_http(&input);
    }
}
