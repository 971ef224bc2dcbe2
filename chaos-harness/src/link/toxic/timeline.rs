//! When a toxic acts: the course of its profile.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Item, Profile, Schedule, Shaper, Toxic};

/// Steps in which the share of the connections grows.
const STEPS: u64 = 100;

/// A toxic's profile at one moment, and when it changes; drawn windows come from the seed alone.
#[derive(Clone)]
pub(in crate::link) struct Timeline {
    profile: Profile,
    rng: ChaCha8Rng,
    part: Part,
    /// Number of the part, from 0.
    index: u64,
    /// When the part ends.
    until: Option<Instant>,
}

/// A time in which nothing changes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    /// Share of what the toxic can do.
    share: f64,
    lasts: Option<Duration>,
}

impl Part {
    fn of(share: f64, lasts: Duration) -> Self {
        Self { share, lasts: Some(lasts) }
    }

    fn forever(share: f64) -> Self {
        Self { share, lasts: None }
    }
}

impl Timeline {
    /// The course of `toxic`'s profile from `since` on.
    pub(in crate::link) fn new(toxic: &Toxic, since: Instant, rng: ChaCha8Rng) -> Self {
        // What grows in size does so within its stages; to the link it is there all the time.
        let profile = if toxic.ramp().is_some() { Profile::Always } else { toxic.profile.clone() };
        let mut timeline = Self { profile, rng, part: Part::forever(0.0), index: 0, until: None };
        timeline.part = timeline.draw();
        timeline.until = timeline.part.lasts.map(|lasts| since + lasts);
        // A first part may last no time at all.
        timeline.advance(since);
        timeline
    }

    /// Goes on to `now`; says whether anything changed.
    pub(in crate::link) fn advance(&mut self, now: Instant) -> bool {
        let before = self.index;
        while let Some(end) = self.until.filter(|end| *end <= now) {
            self.index += 1;
            self.part = self.draw();
            self.until = self.part.lasts.map(|lasts| end + lasts);
        }
        self.index != before
    }

    /// When it changes next.
    pub(in crate::link) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Share of the connections on which the toxic acts now, of those that it can act on.
    pub(in crate::link) fn share(&self) -> f64 {
        self.part.share
    }

    /// Number of the part that it is in, from 0.
    pub(in crate::link) fn index(&self) -> u64 {
        self.index
    }

    /// The part at `index`; called once for each, in order.
    fn draw(&mut self) -> Part {
        let first = self.index.is_multiple_of(2);
        match self.profile {
            Profile::Always => Part::forever(1.0),
            Profile::Ramp { .. } if self.index >= STEPS => Part::forever(1.0),
            Profile::Ramp { over } => Part::of(self.index as f64 / STEPS as f64, over / STEPS as u32),
            Profile::Pulse { after, .. } if self.index == 0 => Part::of(0.0, after),
            Profile::Pulse { lasts, .. } if self.index == 1 => Part::of(1.0, lasts),
            Profile::Pulse { .. } => Part::forever(0.0),
            Profile::Square { on, .. } if first => Part::of(1.0, on),
            Profile::Square { period, on } => Part::of(0.0, period.saturating_sub(on)),
            Profile::Windows { on, jitter, .. } if first => Part::of(1.0, self.jittered(on, jitter)),
            Profile::Windows { off, jitter, .. } => Part::of(0.0, self.jittered(off, jitter)),
        }
    }

    fn jittered(&mut self, mean: Duration, jitter: f64) -> Duration {
        mean.mul_f64(1.0 + jitter * self.rng.random_range(-1.0..=1.0))
    }
}

/// A shaper whose toxic grows in size.
pub(in crate::link) struct Ramp {
    pub(in crate::link) inner: Box<dyn Shaper>,
    pub(in crate::link) since: Instant,
    pub(in crate::link) over: Duration,
}

impl Ramp {
    fn scale(&mut self, now: Instant) {
        let grown = now.saturating_duration_since(self.since).as_secs_f64();
        self.inner.scale((grown / self.over.as_secs_f64()).min(1.0));
    }
}

impl Shaper for Ramp {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        self.scale(now);
        self.inner.shape(now, item, schedule);
    }

    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    fn expire(&mut self, now: Instant, schedule: &mut Schedule<'_>) {
        self.inner.expire(now, schedule);
    }

    fn is_opaque(&self) -> bool {
        self.inner.is_opaque()
    }

    fn appetite(&self) -> usize {
        self.inner.appetite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::toxic::{Dice, Latency, Reset, ToxicSpec};

    const SECOND: Duration = Duration::from_secs(1);

    /// The first parts of a profile: share, beginning and end.
    fn course(spec: impl Into<ToxicSpec>, profile: Profile, seed: u64, parts: usize) -> Vec<(f64, Duration, Duration)> {
        let toxic = Toxic::new(spec).profile(profile);
        let since = Instant::now();
        let mut timeline = Timeline::new(&toxic, since, Dice::of_profile(seed, 3));
        let mut course = Vec::new();
        let mut from = since;
        while let (Some(until), true) = (timeline.until(), course.len() < parts) {
            course.push((timeline.share(), from - since, until - since));
            from = until;
            assert!(!timeline.advance(until - Duration::from_nanos(1)), "never early");
            assert!(timeline.advance(until));
        }
        course.push((timeline.share(), from - since, Duration::MAX));
        course
    }

    #[test]
    fn a_pulse_is_one_window() {
        let pulse = Profile::Pulse { after: SECOND, lasts: SECOND };
        let wanted = [(0.0, Duration::ZERO, SECOND), (1.0, SECOND, SECOND * 2), (0.0, SECOND * 2, Duration::MAX)];
        assert_eq!(course(Reset::default(), pulse, 7, 9), wanted);
    }

    #[test]
    fn a_square_does_not_drift() {
        let square = Profile::Square { period: SECOND * 3, on: SECOND };
        let course = course(Reset::default(), square, 7, 1000);
        assert_eq!(course[998], (1.0, SECOND * 3 * 499, SECOND * 3 * 499 + SECOND));
        assert_eq!(course[999], (0.0, SECOND * 3 * 499 + SECOND, SECOND * 3 * 500));
    }

    #[test]
    fn a_ramp_grows_the_share_of_what_has_no_size() {
        let ramp = Profile::Ramp { over: SECOND };
        let steps = course(Reset::default(), ramp.clone(), 7, 1000);
        assert_eq!((steps[0].0, steps[50].0, steps[100]), (0.0, 0.5, (1.0, SECOND, Duration::MAX)));
        assert!(steps.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(course(Latency::default(), ramp, 7, 9), [(1.0, Duration::ZERO, Duration::MAX)]);
    }

    #[test]
    fn the_seed_alone_draws_the_windows() {
        let windows = || Profile::windows(SECOND, SECOND * 3);
        let drawn = course(Reset::default(), windows(), 7, 2000);
        assert_eq!(drawn, course(Reset::default(), windows(), 7, 2000));
        assert_ne!(drawn, course(Reset::default(), windows(), 8, 2000));
        let mut total = Duration::ZERO;
        for (share, from, until) in &drawn[..2000] {
            let mean = if *share == 1.0 { SECOND } else { SECOND * 3 };
            assert!((mean / 2..=mean * 3 / 2).contains(&(*until - *from)));
            total += *until - *from;
        }
        assert!((3900..4100).contains(&total.as_secs()), "{total:?} for 1000 times 4 s");
    }

    #[test]
    fn lateness_skips_nothing_and_shifts_nothing() {
        let since = Instant::now();
        let toxic = Toxic::new(Reset::default()).profile(Profile::windows(SECOND, SECOND));
        let new = || Timeline::new(&toxic, since, Dice::of_profile(7, 3));
        let (mut prompt, mut late) = (new(), new());
        (0..100_000).for_each(|ms| _ = prompt.advance(since + Duration::from_millis(ms)));
        late.advance(since + Duration::from_millis(99_999));
        assert_eq!((prompt.index(), prompt.share(), prompt.until()), (late.index(), late.share(), late.until()));
    }
}
