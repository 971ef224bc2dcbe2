//! Datagrams are lost in bursts.

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fate, InvalidField, Kind, Shaper, check_share};

/// Datagrams are lost in bursts, as on radio links and at full queues: the model of Gilbert, in which the line is either
/// good and loses nothing, or bad and loses all. It belongs to the link, so all sessions suffer from the same burst.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BurstLoss {
    /// Share of the datagrams that is lost in the long run, from 0 to less than 1.
    pub share: f64,
    /// Mean number of datagrams lost in a row, at least 1.
    pub length: f64,
}

impl BurstLoss {
    /// Loses `share` of the datagrams, `length` in a row on average.
    pub fn new(share: f64, length: f64) -> Self {
        Self { share, length }
    }

    /// The chance of each datagram that the line turns bad before it.
    fn turns_bad(&self) -> f64 {
        self.share / (self.length * (1.0 - self.share))
    }
}

impl Default for BurstLoss {
    /// One in ten, five in a row.
    fn default() -> Self {
        Self::new(0.1, 5.0)
    }
}

impl Kind for BurstLoss {
    fn validate(&self) -> Result<(), InvalidField> {
        check_share("share", self.share)?;
        if !(1.0..=1e6).contains(&self.length) {
            return Err(InvalidField::new("length", format!("{} is not within 1..=1000000", self.length)));
        }
        // A share of 1 divides by zero, and infinity is refused like the rest.
        if self.turns_bad() > 1.0 {
            let most = self.length / (1.0 + self.length);
            let problem = format!("bursts of {} cannot make up {}; at most {most:.3}", self.length, self.share);
            return Err(InvalidField::new("share", problem));
        }
        Ok(())
    }

    fn shaper(&self) -> Shaper {
        let (share, turns_bad, turns_good) = (self.share, self.turns_bad(), 1.0 / self.length);
        let mut bad = None;
        Box::new(move |arrival| {
            let turn = arrival.rng.random::<f64>();
            // The line is found as it would be after a long time.
            let now_bad = match bad {
                None => turn < share,
                Some(true) => turn >= turns_good,
                Some(false) => turn < turns_bad,
            };
            bad = Some(now_bad);
            if now_bad { Fate::Drop } else { Fate::Pass }
        })
    }
}
