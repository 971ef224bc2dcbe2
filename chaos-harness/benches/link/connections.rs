//! Thousands of connections at once, and what an idle one costs.

use std::io::{Read, Write};

use serde::Serialize;

use super::contender::Contender;
use super::cpu;
use super::rig::Callee;

const CONNECTIONS: usize = 4000;

#[derive(Serialize)]
pub struct Connections {
    at_once: usize,
    lost: usize,
    bytes_per_idle_connection: u64,
}

/// Opens them all, lets each exchange a message twice over, and looks at the memory of the link's process.
pub fn measure() -> Connections {
    let callee = Callee::new();
    let link = Contender::Link.start(callee.addr(), cpu::PROXY);
    // What the first connection alone needs is no cost of a connection.
    let first = callee.connect(&link);
    let before = link.resident().unwrap();
    let mut pairs: Vec<_> = (0..CONNECTIONS).map(|_| callee.connect(&link)).collect();
    let mut lost = 0;
    for (caller, callee) in &mut pairs {
        let mut message = [0; 3];
        let mut exchange = || {
            caller.write_all(b"up!")?;
            callee.read_exact(&mut message)?;
            callee.write_all(b"ok.")?;
            caller.read_exact(&mut message)
        };
        lost += usize::from(exchange().is_err() || message != *b"ok.");
    }
    let bytes = (link.resident().unwrap() - before) / CONNECTIONS as u64;
    drop(first);
    println!("{CONNECTIONS} connections at once: {lost} lost, {bytes} bytes each while idle (bar 16384)");
    Connections { at_once: CONNECTIONS, lost, bytes_per_idle_connection: bytes }
}
