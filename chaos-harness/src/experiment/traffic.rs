//! Reads the counters of the links while an experiment runs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::environment::Counted;
use crate::journal::{LinkInterval, TrafficInterval};
use crate::link::{LinkName, is_level};
use crate::topology::InstanceId;

/// How often the links are read, besides at the edges of phases.
const INTERVAL: Duration = Duration::from_millis(250);

/// What the links had counted when they were last read.
#[derive(Debug)]
pub(super) struct TrafficWatch {
    at: Duration,
    before: BTreeMap<(InstanceId, InstanceId), BTreeMap<&'static str, u64>>,
}

impl TrafficWatch {
    /// Before the links are bound, and have counted nothing.
    pub(super) fn new(at: Duration) -> Self {
        Self { at, before: BTreeMap::new() }
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        now >= self.at + INTERVAL
    }

    /// What has been counted since the last reading. The first one names every link; later ones leave out those on which nothing
    /// was counted or open.
    pub(super) fn read(&mut self, now: Duration, readings: impl Iterator<Item = Counted>) -> TrafficInterval {
        let is_first = self.before.is_empty();
        let mut links: BTreeMap<LinkName, LinkInterval> = BTreeMap::new();
        for (pair, counters) in readings {
            let link = LinkName::new(&pair.0.service, &pair.1.service);
            let empty = LinkInterval { link: link.clone(), open: 0, counted: BTreeMap::new() };
            add(links.entry(link).or_insert(empty), &counters, self.before.get(&pair));
            self.before.insert(pair, counters);
        }
        let links = links.into_values().filter(|link| is_first || link.open > 0 || !link.counted.is_empty()).collect();
        let from = std::mem::replace(&mut self.at, now);
        TrafficInterval { from_us: micros(from), until_us: micros(now), links }
    }
}

/// Adds what one pair of instances counted since `before`. A count below an earlier one began again at zero.
fn add(sum: &mut LinkInterval, counters: &BTreeMap<&'static str, u64>, before: Option<&BTreeMap<&'static str, u64>>) {
    for (&name, &count) in counters {
        if is_level(name) {
            sum.open += count;
            continue;
        }
        let earlier = before.and_then(|before| before.get(name)).copied().unwrap_or(0);
        let new = count.checked_sub(earlier).unwrap_or(count);
        if new > 0 {
            *sum.counted.entry(name.to_owned()).or_default() += new;
        }
    }
}

fn micros(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Traffic;

    fn reading(caller: u16, callee: u16, counters: &[(&'static str, u64)]) -> Counted {
        let pair = (InstanceId::new("order", caller), InstanceId::new("inventory", callee));
        (pair, counters.iter().copied().collect())
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn pairs_of_instances_are_summed() {
        let mut watch = TrafficWatch::new(ms(10));
        let first =
            [reading(1, 1, &[("accepted", 3), ("active", 2)]), reading(1, 2, &[("accepted", 4), ("active", 1)])];
        let interval = watch.read(ms(20), first.into_iter());
        let [link] = interval.links.as_slice() else { panic!("{interval:?}") };
        assert_eq!((link.link.to_string().as_str(), link.open), ("order -> inventory", 3));
        assert_eq!(link.counted, [("accepted".to_owned(), 7)].into());
        assert_eq!((interval.from_us, interval.until_us), (10_000, 20_000));
    }

    #[test]
    fn a_link_that_begins_again_at_zero_loses_nothing() {
        let mut watch = TrafficWatch::new(ms(0));
        let mut traffic = Traffic::default();
        // The second pair goes on; its counts must not hide that the first began again.
        for (at, one, two) in [(1, 100, 10), (2, 130, 500), (3, 20, 900), (4, 25, 900)] {
            let readings = [reading(1, 1, &[("bytes_up", one)]), reading(2, 1, &[("bytes_up", two)])];
            traffic.push(watch.read(ms(at), readings.into_iter()));
        }
        assert_eq!(traffic.each[0].counted["bytes_up"], [110, 520, 420, 5]);
        assert_eq!(traffic.each[0].total("bytes_up"), 130 + 25 + 900);
    }

    #[test]
    fn a_silent_link_is_named_once() {
        let mut watch = TrafficWatch::new(ms(0));
        let silent = || [reading(1, 1, &[("accepted", 0), ("active", 0)])].into_iter();
        assert_eq!(watch.read(ms(1), silent()).links.len(), 1);
        assert!(watch.read(ms(2), silent()).links.is_empty());
        assert!(!watch.is_due(ms(251)));
        assert!(watch.is_due(ms(252)));
    }
}
