//! Which samples a number is about.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Sample;

/// A stretch of an experiment's clock, half-open: `from` belongs to it, `to` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// First moment of the window.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub from: Duration,
    /// First moment after the window.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub to: Duration,
}

impl Window {
    /// The window `[from, to)`; empty when `to` does not lie after `from`.
    pub fn new(from: Duration, to: Duration) -> Self {
        Self { from, to }
    }

    /// Whether `moment` lies in the window.
    pub fn contains(&self, moment: Duration) -> bool {
        self.from <= moment && moment < self.to
    }

    /// Length of the window.
    pub fn length(&self) -> Duration {
        self.to.saturating_sub(self.from)
    }

    /// The samples that were intended to start in the window.
    pub fn of<'a>(&self, samples: impl IntoIterator<Item = &'a Sample>) -> impl Iterator<Item = &'a Sample> {
        let window = *self;
        samples.into_iter().filter(move |sample| window.contains(sample.intended))
    }
}

/// The samples of one route, or of all routes for `None`.
pub fn of_route<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
    route: Option<u16>,
) -> impl Iterator<Item = &'a Sample> {
    samples.into_iter().filter(move |sample| route.is_none_or(|route| sample.route == route))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::{good, ms};

    #[test]
    fn window_is_half_open_by_intended_start() {
        let samples = [good(9), good(10), good(19), good(20)];
        let chosen: Vec<_> = Window::new(ms(10), ms(20)).of(&samples).map(|s| s.intended).collect();
        assert_eq!(chosen, [ms(10), ms(19)]);
    }

    #[test]
    fn route_none_means_all() {
        let samples = [good(1), Sample { route: 1, ..good(2) }];
        assert_eq!(of_route(&samples, None).count(), 2);
        assert_eq!(of_route(&samples, Some(1)).count(), 1);
        assert_eq!(of_route(&samples, Some(2)).count(), 0);
    }
}
