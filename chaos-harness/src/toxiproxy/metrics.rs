//! What the proxies have carried, in the text format of Prometheus, with toxiproxy's names.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::link::{CountersSnapshot, Received};

/// The labels of a proxy: its name, where it listens, where it connects on to.
type Labels = [String; 3];

/// Bytes one way: from the one end, and on to the other.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    received: u64,
    sent: u64,
}

impl Traffic {
    fn add(&mut self, other: Self) {
        self.received += other.received;
        self.sent += other.sent;
    }
}

/// What one proxy has carried while it listened at one place.
pub(super) struct Series {
    labels: Labels,
    up: Traffic,
    down: Traffic,
}

impl Series {
    pub(super) fn new(labels: [&str; 3], received: Received, counters: CountersSnapshot) -> Self {
        Self {
            labels: labels.map(str::to_owned),
            up: Traffic { received: received.up, sent: counters.bytes_up },
            down: Traffic { received: received.down, sent: counters.bytes_down },
        }
    }
}

/// What all proxies have carried, those too that are gone: a counter never falls.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(BTreeMap<Labels, [Traffic; 2]>);

impl Ledger {
    pub(super) fn add(&mut self, series: Series) {
        let [down, up] = self.0.entry(series.labels).or_default();
        down.add(series.down);
        up.add(series.up);
    }

    /// The page that Prometheus reads.
    pub(super) fn render(&self) -> String {
        let mut page = String::new();
        self.family(&mut page, "received", |traffic| traffic.received);
        self.family(&mut page, "sent", |traffic| traffic.sent);
        page
    }

    fn family(&self, page: &mut String, what: &str, value: fn(&Traffic) -> u64) {
        let name = format!("toxiproxy_proxy_{what}_bytes_total");
        let _ = writeln!(page, "# HELP {name} \n# TYPE {name} counter");
        for (index, direction) in ["downstream", "upstream"].iter().enumerate() {
            for (labels, traffic) in &self.0 {
                let [proxy, listener, upstream] = labels.each_ref().map(|label| escape(label));
                let labels =
                    format!(r#"direction="{direction}",listener="{listener}",proxy="{proxy}",upstream="{upstream}""#);
                let _ = writeln!(page, "{name}{{{labels}}} {}", value(&traffic[index]));
            }
        }
    }
}

fn escape(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_still_counts_and_labels_are_escaped() {
        let mut ledger = Ledger::default();
        for _ in 0..2 {
            let counters = CountersSnapshot { bytes_up: 1, bytes_down: 20, ..CountersSnapshot::default() };
            let received = Received { up: 2, down: 20 };
            ledger.add(Series::new(["a\"b\\c\nd", "127.0.0.1:1", "localhost:2"], received, counters));
        }
        let labels = |direction| {
            format!(r#"direction="{direction}",listener="127.0.0.1:1",proxy="a\"b\\c\nd",upstream="localhost:2""#)
        };
        let (down, up) = (labels("downstream"), labels("upstream"));
        let expected = format!(
            "# HELP toxiproxy_proxy_received_bytes_total \n\
             # TYPE toxiproxy_proxy_received_bytes_total counter\n\
             toxiproxy_proxy_received_bytes_total{{{down}}} 40\n\
             toxiproxy_proxy_received_bytes_total{{{up}}} 4\n\
             # HELP toxiproxy_proxy_sent_bytes_total \n\
             # TYPE toxiproxy_proxy_sent_bytes_total counter\n\
             toxiproxy_proxy_sent_bytes_total{{{down}}} 40\n\
             toxiproxy_proxy_sent_bytes_total{{{up}}} 2\n"
        );
        assert_eq!(ledger.render(), expected);
    }
}
