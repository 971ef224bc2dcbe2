//! The faults on packets, as they are listed.

use std::time::Duration;

use super::{Cut, DnsDelay, DnsFailure, NetemFault, NetworkLoss, NetworkRate, Partition, network, partition};
use crate::fault::catalogue::{Catalogued, Entry};

const PRIVILEGES: &str = "root, or a helper container";
const SLOW: Duration = Duration::from_millis(300);

impl Catalogued for Cut {
    fn entries() -> Vec<Entry> {
        let written = "`network(\"a\").cut()`, `.peer(\"b\").cut()`, `.outbound().cut()`, `.reject()`";
        let examples = [network("product").cut(), network("product").inbound().cut(), network("product").reject()];
        vec![Entry::new("packets dropped or rejected, both ways or one", written, examples).privileges(PRIVILEGES)]
    }
}

impl Catalogued for Partition {
    fn entries() -> Vec<Entry> {
        let examples = [partition([["inventory"], ["product"]])];
        let entry = Entry::new(
            "groups that cannot reach each other",
            "`partition! { a, b \\| c }`, `partition([[\"a\", \"b\"], [\"c\", \"d\"]])`",
            examples,
        );
        vec![
            entry
                .privileges(PRIVILEGES)
                .shown_by("`groups_that_cannot_reach_each_other` in tests/network/main.rs: users ask one service"),
        ]
    }
}

impl Catalogued for NetworkLoss {
    fn entries() -> Vec<Entry> {
        let examples = [network("product").loss(0.5), network("product").loss_every(3)];
        vec![
            Entry::new("packets lost", "`network(\"a\").loss(0.1)`, `.loss_every(10)`", examples)
                .privileges(PRIVILEGES),
        ]
    }
}

impl Catalogued for NetworkRate {
    fn entries() -> Vec<Entry> {
        let examples = [network("product").rate(200)];
        vec![
            Entry::new("packets beyond a rate dropped", "`network(\"a\").rate(64_000)`", examples)
                .privileges(PRIVILEGES),
        ]
    }
}

impl Catalogued for NetemFault {
    fn entries() -> Vec<Entry> {
        let product = || network("product").in_kernel();
        let examples = [
            product().jittery_latency(SLOW, SLOW / 3),
            product().duplicate(0.5),
            product().reorder(0.5, SLOW),
            product().corrupt(0.5),
        ];
        let written = "`network(\"a\").latency(100.millis())`, `.jittery_latency(..)`, `.duplicate(..)`, `.reorder(..)`, \
                       `.corrupt(..)`";
        let entry = Entry::new("packets late, twice, out of order, damaged", written, examples);
        vec![entry.privileges("root, or a helper container; a kernel with `sch_netem`, else the link does the latency")]
    }
}

impl Catalogued for DnsFailure {
    fn entries() -> Vec<Entry> {
        let examples = [network("product").dns_silent(), network("product").dns_refused()];
        let entry = Entry::new("names not found", "`network(\"a\").dns_silent()`, `.dns_refused()`", examples);
        vec![
            entry
                .privileges(PRIVILEGES)
                .shown_by("`names_are_not_found` in tests/network/names.rs: product looks up no names"),
        ]
    }
}

impl Catalogued for DnsDelay {
    fn entries() -> Vec<Entry> {
        let examples = [network("product").dns_delay(SLOW)];
        vec![
            Entry::new("names found late, over UDP", "`network(\"a\").dns_delay(2.secs())`", examples)
                .privileges("root, or a helper container; a kernel with `nfnetlink_queue`")
                .shown_by("`names_are_found_late` in tests/network/names.rs: product looks up no names"),
        ]
    }
}
