//! The toxics of links, as they are listed: `link.rs` and `udp.rs` say how they are applied.

use std::time::Duration;

use super::catalogue::{Catalogued, Entry};
use super::{LinkFault, UdpFault, link};
use crate::fault::LinkRef;
use crate::link::http::Message;
use crate::topology::USERS;

/// Long enough to be told from a healthy answer.
const SLOW: Duration = Duration::from_millis(300);

fn users() -> LinkRef {
    link(USERS, "product")
}

impl Catalogued for LinkFault {
    fn entries() -> Vec<Entry> {
        vec![
            Entry::new(
                "latency, with jitter: uniform, normal or pareto",
                "`link(\"a\", \"b\").latency(5.secs())`, `.jittery_latency(..)`, `.distributed_latency(..)`",
                [users().latency(SLOW), users().jittery_latency(SLOW, SLOW / 3)],
            ),
            Entry::new(
                "bandwidth, of each connection or of all",
                "`.bandwidth(1_000_000)`, `.shared_bandwidth(..)`",
                [users().bandwidth(1200), users().shared_bandwidth(1200)],
            ),
            Entry::new(
                "black hole, half-open connections",
                "`.black_hole()`, `.half_open()`",
                [users().black_hole(), users().half_open()],
            ),
            Entry::new(
                "refused, reset, limited connections",
                "`.refuse()`, `.reset()`, `.connection_limit(10)`, `.connection_queue(10)`",
                [users().refuse(), users().reset(), users().connection_limit(0), users().connection_queue(0)],
            ),
            Entry::new(
                "slow open, slow close, cut after n bytes",
                "`.slow_open(..)`, `.slow_close(..)`, `.limit_data(..)`",
                [users().slow_open(SLOW), users().slow_close(SLOW), users().limit_data(200)],
            ),
            Entry::new(
                "slices, flipped bits",
                "`.slicer(..)`, `.corrupt(0.01)`",
                [users().slicer(50, SLOW / 6), users().corrupt(1.0)],
            ),
            http(),
        ]
    }
}

fn http() -> Entry {
    let http = || users().http();
    Entry::new(
        "HTTP and gRPC requests aborted, delayed, broken off, corrupted, rewritten, turned away",
        "`.http().post(\"/reserve\").share(0.2).abort(503)`, `.delay(..)`, `.delay_request(..)`, `.truncate(..)`, `.corrupt()`, \
         `.set_header(..)`, `.rate_limit(10, 60.secs())`, `.grpc_abort(..)`; `.nth_of_trace(2)` picks one request of a \
         trace",
        [
            http().get("/products").abort(503),
            http().delay(SLOW),
            http().truncate(10),
            http().corrupt(),
            http().set_header(Message::Request, "x-tenant", "a"),
            http().rate_limit(0, SLOW * 100),
        ],
    )
}

impl Catalogued for UdpFault {
    fn entries() -> Vec<Entry> {
        let udp = || users().udp();
        vec![Entry::new(
            "datagrams lost, also in bursts, delayed, duplicated, reordered, corrupted",
            "`.udp().loss(0.1)`, `.burst_loss(..)`, `.delay(..)`, `.duplicate(..)`, `.reorder(..)`, `.corrupt(..)`",
            [
                udp().loss(1.0),
                udp().burst_loss(0.99, 1e6),
                udp().delay(SLOW),
                udp().duplicate(1.0),
                udp().reorder(0.5),
                udp().corrupt(1.0),
            ],
        )]
    }
}
