//! Urgent data (`MSG_OOB`) stays in its place and stays urgent.

use std::io::{Read, Write};

use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::*;
use crate::link::socket::{is_at_urgent, prepare};

/// A caller and a callee with a link between them; the callee reads urgent data in line, the caller as well.
struct Pair {
    caller: std::net::TcpStream,
    callee: std::net::TcpStream,
    link: LinkProxy,
}

/// Both read urgent data in line or, as is usual, apart from the stream.
async fn pair(in_line: bool, toxic: Option<Toxic>) -> Pair {
    let listener = std::net::TcpListener::bind((LOCAL, 0)).unwrap();
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    link.set_upstream(Some(listener.local_addr().unwrap()));
    if let Some(toxic) = toxic {
        link.toxics().add("toxic", toxic).unwrap();
    }
    let addr = link.addr();
    let ends = tokio::task::spawn_blocking(move || {
        if in_line {
            prepare(&listener);
        }
        let caller = std::net::TcpStream::connect(addr).unwrap();
        let (callee, _) = listener.accept().unwrap();
        for end in [&caller, &callee] {
            if in_line {
                prepare(end);
            }
            end.set_nodelay(true).unwrap();
            end.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        }
        (caller, callee)
    });
    let (caller, callee) = soon(ends).await.unwrap();
    Pair { caller, callee, link }
}

/// What is sent: bytes, and which of them are urgent.
#[derive(Clone, Debug)]
struct Script(Vec<(Vec<u8>, bool)>);

impl Script {
    fn new(parts: &[(&[u8], bool)]) -> Self {
        Self(parts.iter().map(|(bytes, urgent)| (bytes.to_vec(), *urgent)).collect())
    }

    fn send(&self, mut to: &std::net::TcpStream) {
        for (bytes, urgent) in &self.0 {
            match urgent {
                true => assert_eq!(send(to, bytes, SendFlags::OOB).unwrap(), 1),
                false => to.write_all(bytes).unwrap(),
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
    }

    /// Where the last urgent byte is, which is the one that the kernel tells of.
    fn last_urgent(&self) -> usize {
        let urgent = self.0.iter().rposition(|(_, urgent)| *urgent).unwrap();
        self.0[..urgent].iter().map(|(bytes, _)| bytes.len()).sum()
    }
}

/// Reads `len` bytes in line; says which of them were urgent.
fn read_in_line(mut from: &std::net::TcpStream, len: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut urgent) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 64 << 10];
    while bytes.len() < len {
        // Waits for something to read, without reading it.
        assert_eq!(from.peek(&mut [0]).unwrap(), 1, "after {} of {len} bytes", bytes.len());
        if is_at_urgent(from) {
            urgent.push(bytes.len());
        }
        let read = from.read(&mut buffer).unwrap();
        bytes.extend_from_slice(&buffer[..read]);
    }
    (bytes, urgent)
}

/// Sends the script both ways and looks at what arrives.
async fn assert_carried(script: Script, toxic: Option<Toxic>) {
    let what = format!("{toxic:?}, {} bytes", script.bytes().len());
    let Pair { caller, callee, link } = pair(true, toxic).await;
    for (from, to) in [(&caller, &callee), (&callee, &caller)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let (sent, all) = (script.clone(), script.bytes().len());
        let sender = tokio::task::spawn_blocking(move || sent.send(&from));
        let reader = tokio::task::spawn_blocking(move || read_in_line(&to, all));
        soon(sender).await.unwrap();
        let (bytes, urgent) = soon(reader).await.unwrap();
        assert!(bytes == script.bytes(), "{what}: other bytes arrived");
        assert_eq!(urgent.last(), Some(&script.last_urgent()), "{what}");
    }
    drop((caller, callee));
    soon(link.shutdown()).await;
}

#[tokio::test]
async fn urgent_data_stays_in_its_place() {
    let slicer = toxic::Slicer { size: 3, variation: 1, delay: Duration::ZERO };
    for toxic in
        [None, Some(latency(ms(5))), Some(Toxic::new(slicer)), Some(Toxic::new(toxic::Bandwidth::new(100_000)))]
    {
        for parts in [
            &[(&b"ab"[..], false), (b"!", true), (b"cd", false)][..],
            &[(b"!", true), (b"behind", false)],
            // Nothing comes behind it that could wake a link which overlooks it.
            &[(b"before", false), (b"!", true)],
            &[(b"!", true)],
        ] {
            assert_carried(Script::new(parts), toxic.clone()).await;
        }
    }
}

#[tokio::test]
async fn urgent_data_stays_in_its_place_between_bytes_that_pass_without_a_copy() {
    let bulk = random_bytes(9, 5 << 20);
    for toxic in [None, Some(latency(ms(5)))] {
        let parts = [(&bulk[..], false), (b"!", true), (&bulk[..], false), (b"?", true), (b"end", false)];
        assert_carried(Script::new(&parts), toxic).await;
    }
}

#[tokio::test]
async fn who_reads_urgent_data_apart_gets_it_apart() {
    let Pair { mut caller, callee, link } = pair(false, None).await;
    caller.write_all(b"ab").unwrap();
    assert_eq!(send(&caller, b"!", SendFlags::OOB).unwrap(), 1);
    caller.write_all(b"cd").unwrap();
    let read = tokio::task::spawn_blocking(move || {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
        poll(&mut [PollFd::new(&callee, PollFlags::PRI)], Some(&patience)).unwrap();
        let (mut urgent, mut stream) = ([0; 1], [0; 4]);
        let read = recv(&callee, &mut urgent, RecvFlags::OOB).map(|(_, n)| n);
        (&callee).read_exact(&mut stream).unwrap();
        (read, urgent, stream)
    });
    assert_eq!(soon(read).await.unwrap(), (Ok(1), *b"!", *b"abcd"));
    assert_eq!(link.counters().bytes_up, 5);
}
