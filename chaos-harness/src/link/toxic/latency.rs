//! Bytes arrive later.

use std::fmt;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, Direction, InvalidField, Item, Kind, LONGEST, Schedule, Shaper};
use super::{check_duration, time};

/// Each chunk of bytes arrives `latency` later, give or take `jitter`. The opening of a connection is not delayed.
///
/// Chunks are delayed side by side, not one after the other, so throughput stays what it was. Jitter
/// never reorders: a chunk waits for those before it, as in TCP. A ramp grows latency and jitter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Mean delay, at most one hour.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub latency: Duration,
    /// How far delays spread around `latency`, as `distribution` says; at most `latency`. Without it all are the same.
    #[serde(default, with = "humantime_serde")]
    #[schemars(with = "String")]
    pub jitter: Duration,
    /// How delays spread.
    #[serde(default, skip_serializing_if = "Distribution::is_uniform")]
    pub distribution: Distribution,
}

/// How delays spread around their mean. None is ever negative, nor longer than [`LONGEST`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Distribution {
    /// Evenly over `latency - jitter..=latency + jitter`.
    #[default]
    Uniform,
    /// Normally, `jitter` being the standard deviation. Below zero it is cut off, which adds to the mean: 8% where
    /// the jitter is as large as the latency, 0.4% where it is half of it, 0.01% where it is a third.
    Normal,
    /// With a heavy tail, `jitter` being the standard deviation: a Pareto distribution of shape 3. netem's `pareto` is the
    /// same with a jitter 1.15 times as large, and ends at 4 jitters.
    ///
    /// Of all delays 70% are below the mean, down to 0.58 jitters under it; 1.5% are more than 3 jitters
    /// above it, 0.06% more than 12. In formula `latency + jitter * (u^(-1/3) - 3/2) / sqrt(3/4)`, where `u` is even over `0..1`.
    Pareto,
}

impl Distribution {
    fn is_uniform(&self) -> bool {
        *self == Self::Uniform
    }

    /// Draws how many jitters a delay is away from its mean.
    fn draw(self, rng: &mut ChaCha8Rng) -> f64 {
        match self {
            Self::Uniform => rng.random_range(-1.0..=1.0),
            // Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
            Self::Normal => {
                let radius = (-2.0 * positive(rng).ln()).sqrt();
                radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
            }
            // The inverse of 1 - x^-3, less its mean of 3/2, by its deviation of sqrt(3/4).
            Self::Pareto => (positive(rng).cbrt().recip() - 1.5) / 0.75_f64.sqrt(),
        }
    }
}

/// Even over `0..=1` without the zero.
fn positive(rng: &mut ChaCha8Rng) -> f64 {
    1.0 - rng.random::<f64>()
}

/// As it stands behind a jitter: nothing for the usual one.
impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "",
            Self::Normal => " (normal)",
            Self::Pareto => " (pareto)",
        })
    }
}

impl Latency {
    /// The same delay for every chunk.
    pub fn new(latency: Duration) -> Self {
        Self { latency, jitter: Duration::ZERO, distribution: Distribution::Uniform }
    }

    /// The same latency, spread by `jitter`: evenly, unless a [`distribution`](Self::distribution) is chosen.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// The same latency and jitter, spread as `distribution` says.
    pub fn distribution(self, distribution: Distribution) -> Self {
        Self { distribution, ..self }
    }
}

impl Kind for Latency {
    fn validate(&self) -> Result<(), InvalidField> {
        check_duration("latency", self.latency)?;
        if self.jitter > self.latency {
            let (jitter, latency) = (humantime::format_duration(self.jitter), humantime::format_duration(self.latency));
            return Err(InvalidField::new("jitter", format!("{jitter} is more than the latency of {latency}")));
        }
        Ok(())
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        let chance = (!self.jitter.is_zero()).then(|| Box::new(birth.rng()));
        Box::new(Delays { of: self.clone(), chance, share: 1.0 })
    }

    fn has_size(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        let Self { latency, jitter, distribution } = self;
        match jitter.is_zero() {
            true => format!("latency {}", time(*latency)),
            false => format!("latency {} +/- {}{distribution}", time(*latency), time(*jitter)),
        }
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.delayed_chunks, "chunks delayed")
    }

    fn usual(&self) -> Direction {
        Direction::Down
    }
}

/// The delays of one way through one connection.
struct Delays {
    of: Latency,
    /// What jitter is drawn from, if there is any.
    chance: Option<Box<ChaCha8Rng>>,
    share: f64,
}

impl Delays {
    fn draw(&mut self) -> Duration {
        let Latency { latency, jitter, distribution } = self.of;
        let away = self.chance.as_deref_mut().map_or(0.0, |rng| distribution.draw(rng));
        if away == 0.0 && self.share == 1.0 {
            return latency;
        }
        let seconds = (latency.as_secs_f64() + away * jitter.as_secs_f64()) * self.share;
        Duration::from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64()))
    }
}

impl Shaper for Delays {
    fn is_opaque(&self) -> bool {
        true
    }

    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        // Each item draws, so that the draws do not depend on what the items are.
        let delay = self.draw();
        schedule.at(if matches!(item, Item::Open) { now } else { now + delay }, item);
    }

    fn scale(&mut self, share: f64) {
        self.share = share;
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    /// 10,000 delays around 100 ms by 20 ms, sorted, in milliseconds.
    fn delays(distribution: Distribution) -> Vec<f64> {
        let ms = Duration::from_millis;
        let of = Latency::new(ms(100)).jitter(ms(20)).distribution(distribution);
        let mut delays = Delays { of, chance: Some(Box::new(ChaCha8Rng::seed_from_u64(7))), share: 1.0 };
        let mut drawn: Vec<f64> = (0..10_000).map(|_| delays.draw().as_secs_f64() * 1e3).collect();
        drawn.sort_by(f64::total_cmp);
        drawn
    }

    fn mean_and_deviation(drawn: &[f64]) -> (f64, f64) {
        let n = drawn.len() as f64;
        let mean = drawn.iter().sum::<f64>() / n;
        (mean, (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    #[track_caller]
    fn assert_near(what: &str, value: f64, wanted: f64, by: f64) {
        assert!((value - wanted).abs() <= by, "{what}: {value}, not {wanted} +/- {by}");
    }

    #[test]
    fn uniform_fills_its_range_evenly() {
        let drawn = delays(Distribution::Uniform);
        let (mean, deviation) = mean_and_deviation(&drawn);
        assert_near("mean", mean, 100.0, 1.0);
        assert_near("deviation", deviation, 20.0 / 3.0_f64.sqrt(), 0.5);
        assert!(drawn[0] >= 80.0 && drawn[9_999] <= 120.0, "{} to {}", drawn[0], drawn[9_999]);
    }

    #[test]
    fn normal_has_its_mean_its_deviation_and_thin_tails() {
        let drawn = delays(Distribution::Normal);
        let (mean, deviation) = mean_and_deviation(&drawn);
        assert_near("mean", mean, 100.0, 1.0);
        assert_near("deviation", deviation, 20.0, 1.0);
        assert_near("share within one deviation", share(&drawn, 80.0, 120.0), 0.683, 0.02);
        assert_near("share within two deviations", share(&drawn, 60.0, 140.0), 0.954, 0.02);
    }

    #[test]
    fn pareto_has_its_mean_and_a_heavy_tail_on_one_side() {
        let drawn = delays(Distribution::Pareto);
        let (mean, deviation) = mean_and_deviation(&drawn);
        assert_near("mean", mean, 100.0, 1.0);
        // The fourth moment is infinite, so the deviation of a sample strays far.
        assert_near("deviation", deviation, 20.0, 6.0);
        assert!(drawn[0] >= 100.0 - 20.0 / 3.0_f64.sqrt() - 1e-6, "{}", drawn[0]);
        assert_near("share below the mean", share(&drawn, 0.0, 100.0), 0.704, 0.02);
        assert_near("share above three deviations", share(&drawn, 160.0, f64::MAX), 0.0146, 0.005);
        assert!(drawn[9_999] > 100.0 + 12.0 * 20.0, "{}", drawn[9_999]);
    }

    fn share(drawn: &[f64], from: f64, to: f64) -> f64 {
        drawn.iter().filter(|x| (from..to).contains(*x)).count() as f64 / drawn.len() as f64
    }

    #[test]
    fn a_normal_delay_is_never_negative() {
        let second = Duration::from_secs(1);
        let of = Latency::new(second).jitter(second).distribution(Distribution::Normal);
        let mut delays = Delays { of, chance: Some(Box::new(ChaCha8Rng::seed_from_u64(7))), share: 1.0 };
        let drawn: Vec<f64> = (0..10_000).map(|_| delays.draw().as_secs_f64()).collect();
        assert!(drawn.contains(&0.0));
        assert_near("mean", mean_and_deviation(&drawn).0, 1.083, 0.03);
    }

    #[test]
    fn a_share_scales_latency_and_jitter() {
        let ms = Duration::from_millis;
        let of = Latency::new(ms(100)).jitter(ms(20));
        let mut delays = Delays { of, chance: Some(Box::new(ChaCha8Rng::seed_from_u64(7))), share: 1.0 };
        delays.scale(0.5);
        assert!((0..100).map(|_| delays.draw()).all(|delay| (ms(40)..=ms(60)).contains(&delay)));
        delays.scale(0.0);
        assert_eq!(delays.draw(), Duration::ZERO);
    }
}
