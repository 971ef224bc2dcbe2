//! Which request leaves when.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Load, Rate};

/// One request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// When, after the start of the load.
    pub at: Duration,
    /// Index of the request in the load.
    pub route: u16,
}

/// The slots of a load, without end: request `n` (from 0) is due when the integral of the rate reaches `n`.
///
/// The same load and seed give the same slots.
#[derive(Clone, Debug)]
pub struct Schedule {
    times: Times,
    urn: Urn,
    rng: ChaCha8Rng,
}

/// Routes are drawn without putting them back until each has had its turns, so that no stretch of a load has much less
/// of a route than its weight says.
#[derive(Clone, Debug)]
struct Urn {
    weights: Vec<u64>,
    left: Vec<u64>,
}

impl Urn {
    fn new(weights: impl Iterator<Item = u64>) -> Self {
        let weights: Vec<u64> = weights.collect();
        let common = weights.iter().copied().fold(0, gcd).max(1);
        let weights: Vec<u64> = weights.into_iter().map(|weight| weight / common).collect();
        Self { left: vec![0; weights.len()], weights }
    }

    /// The next route; `None` only without any.
    fn draw(&mut self, rng: &mut ChaCha8Rng) -> Option<u16> {
        if self.left.iter().all(|left| *left == 0) {
            self.left.clone_from(&self.weights);
        }
        let all: u64 = self.left.iter().sum();
        let mut number = (all > 0).then(|| rng.random_range(0..all))?;
        let drawn = self.left.iter().position(|left| {
            let is_drawn = number < *left;
            number = number.saturating_sub(*left);
            is_drawn
        })?;
        self.left[drawn] -= 1;
        u16::try_from(drawn).ok()
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Schedule {
    /// The schedule of a [valid](Load::validate) load.
    pub fn new(load: &Load, seed: u64) -> Self {
        let weights = load.requests.iter().map(|request| u64::from(request.weight));
        Self { times: Times::new(&load.rate), urn: Urn::new(weights), rng: ChaCha8Rng::seed_from_u64(seed) }
    }
}

impl Iterator for Schedule {
    type Item = Slot;

    /// The next slot; `None` only for a load that is not valid.
    fn next(&mut self) -> Option<Slot> {
        let route = self.urn.draw(&mut self.rng)?;
        Some(Slot { at: self.times.next()?, route })
    }
}

/// The moments at which the integral of a rate reaches 0, 1, 2 and so on.
#[derive(Clone, Debug)]
struct Times {
    stages: Vec<Stage>,
    current: usize,
    next: u64,
}

/// A stretch of linear rate.
#[derive(Clone, Copy, Debug)]
struct Stage {
    /// Seconds at which it begins.
    begin: f64,
    /// Requests due before it.
    before: f64,
    /// Requests per second at its begin.
    rate: f64,
    /// Change of the rate per second.
    slope: f64,
    /// Requests due before its end.
    until: f64,
}

impl Times {
    fn new(rate: &Rate) -> Self {
        let mut stages = Vec::new();
        let (mut begin, mut before, mut now) = (0.0, 0.0, rate.start);
        for ramp in &rate.ramps {
            let over = ramp.over.as_secs_f64();
            if over > 0.0 {
                let until = before + (now + ramp.to) / 2.0 * over;
                stages.push(Stage { begin, before, rate: now, slope: (ramp.to - now) / over, until });
                (begin, before) = (begin + over, until);
            }
            now = ramp.to;
        }
        if now > 0.0 {
            stages.push(Stage { begin, before, rate: now, slope: 0.0, until: f64::INFINITY });
        }
        Self { stages, current: 0, next: 0 }
    }
}

impl Iterator for Times {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let n = self.next as f64;
        while self.stages.get(self.current)?.until <= n {
            self.current += 1;
        }
        self.next += 1;
        Duration::try_from_secs_f64(self.stages[self.current].reaches(n)).ok()
    }
}

impl Stage {
    /// Seconds at which `n` requests are due: the positive root of `rate t + slope t²/2 = n - before`,
    /// in the form that neither divides by a slope of zero nor cancels.
    fn reaches(&self, n: f64) -> f64 {
        let due = n - self.before;
        if due <= 0.0 {
            return self.begin;
        }
        let discriminant = (self.rate * self.rate + 2.0 * self.slope * due).max(0.0);
        self.begin + 2.0 * due / (self.rate + discriminant.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::{Ramp, Request};

    fn times(load: &Load, count: usize) -> Vec<u128> {
        Schedule::new(load, 1).take(count).map(|slot| slot.at.as_millis()).collect()
    }

    #[test]
    fn a_constant_rate_is_even() {
        assert_eq!(times(&Load::get("a", "/").rate(100), 4), [0, 10, 20, 30]);
    }

    #[test]
    fn a_ramp_is_the_inverse_of_its_integral() {
        // 0 to 10/s over 2 s is 2.5 t²: request 10 is due at 2 s, the ones after it every 100 ms.
        let load = Load::get("a", "/").ramp(0, 10, Duration::from_secs(2));
        assert_eq!(times(&load, 13), [0, 632, 894, 1095, 1264, 1414, 1549, 1673, 1788, 1897, 2000, 2100, 2200]);
    }

    #[test]
    fn a_pause_is_left_out() {
        let second = Duration::from_secs(1);
        let load =
            Load::get("a", "/").ramp(2, 2, second).then(0, Duration::ZERO).then(0, second).then(2, Duration::ZERO);
        assert_eq!(times(&load, 4), [0, 500, 2000, 2500]);
    }

    #[test]
    fn the_seed_decides_the_routes() {
        let load = Load::get("a", "/").weight(3).also(Request::get("a", "/b"));
        let routes = |seed| Schedule::new(&load, seed).take(1_000).map(|slot| slot.route).collect::<Vec<_>>();
        assert_eq!(routes(7), routes(7));
        assert_ne!(routes(7), routes(8));
        for eight in routes(7).windows(8) {
            let first = eight.iter().filter(|route| **route == 0).count();
            assert!((4..=8).contains(&first), "{first} of 8 at a share of 3/4");
        }
        assert_eq!(routes(7).iter().filter(|route| **route == 0).count(), 750);
    }

    #[test]
    fn weights_without_a_common_divisor_are_met_too() {
        let load = Load::get("a", "/").weight(u32::MAX).also(Request::get("a", "/b").weight(u32::MAX / 2));
        let second = Schedule::new(&load, 7).take(3_000).filter(|slot| slot.route == 1).count();
        assert!((900..1_100).contains(&second), "{second} of 3000 at a share of 1/3");
    }

    fn rates() -> impl Strategy<Value = Rate> {
        let ramp =
            (0.0..5_000.0f64, 0..5_000u64).prop_map(|(to, millis)| Ramp { to, over: Duration::from_millis(millis) });
        (0.0..5_000.0f64, prop::collection::vec(ramp, 0..4), 0.1..5_000.0f64).prop_map(|(start, mut ramps, last)| {
            ramps.push(Ramp { to: last, over: Duration::from_millis(700) });
            Rate { start, ramps }
        })
    }

    proptest! {
        #[test]
        fn as_many_are_due_as_the_rate_integrates_to(rate in rates(), millis in 1..20_000u64) {
            let elapsed = Duration::from_millis(millis);
            let due = Times::new(&rate).take_while(|at| *at < elapsed).count() as f64;
            let expected = rate.requests_within(elapsed);
            prop_assert!((due - expected).abs() <= 1.0 + 1e-6 * expected, "{due} for {expected}");
        }

        #[test]
        fn times_never_go_back(rate in rates()) {
            let times: Vec<_> = Times::new(&rate).take(5_000).collect();
            prop_assert_eq!(times.len(), 5_000);
            prop_assert!(times.is_sorted());
        }
    }
}
