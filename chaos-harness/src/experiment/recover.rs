//! Waiting for the steady state after a fault.

use tokio::time::Instant;

use super::session::{Steps, TICK};
use crate::error::Result;
use crate::journal::{Phase, What};
use crate::measure::{Recovery, Sample, Window};

impl Steps {
    /// Waits until the steady state is back and holds, at most for the plan's recovery time.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(super) async fn recover(&mut self) -> Result<()> {
        self.phase(Phase::Recover, "waiting for the steady state")?;
        self.settle(self.deadline.end_of(self.plan.timing.recovery)).await?;
        self.measure_injections(self.clock.now())?;
        self.repetition += 1;
        Ok(())
    }

    /// Waits until the steady state has held for long enough, at most until `end`.
    async fn settle(&mut self, end: Instant) -> Result<()> {
        while self.aborted.is_none() {
            self.look()?;
            if self.is_steady_again() {
                return self.log.event(What::Steady);
            }
            if Instant::now() >= end {
                break;
            }
            self.progress.tick(end.saturating_duration_since(Instant::now()), self.watch.samples());
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    }

    /// An outage may come when the steady state has been back already. Observation does not end in the middle of it:
    /// what happens then would be known to no one.
    pub(super) async fn settle_again(&mut self) -> Result<()> {
        let over = self.log.journal().injections.iter().filter_map(|injection| injection.rolled_back).max();
        let Some(over) = over.filter(|_| !self.is_over() && self.plan.load.is_some()) else { return Ok(()) };
        let longest = over + self.plan.timing.recovery + self.plan.timing.after;
        self.look()?;
        if self.is_steady_again() {
            return Ok(());
        }
        self.settle(self.deadline.end_of(longest.saturating_sub(self.clock.now()))).await
    }

    /// Whether every injection of the latest repetition is over, and the steady state has held since for long enough.
    fn is_steady_again(&self) -> bool {
        let injections = &self.log.journal().injections;
        let latest = injections.iter().map(|injection| injection.repetition).max();
        // While nothing at all is heard, it is not known to hold.
        let until = match &self.plan.load {
            Some(_) => self.watch.samples().iter().map(Sample::known_at).max().unwrap_or_default(),
            None => self.clock.now(),
        };
        injections.iter().filter(|injection| Some(injection.repetition) == latest).all(|injection| {
            let over = injection.rolled_back.unwrap_or(until);
            let watch = Window::new(injection.began, until);
            match self.steady.recovery(self.watch.samples(), watch, over).0 {
                Recovery::NoImpact | Recovery::TooFewSamples(_) => until >= over + self.steady.hold(),
                Recovery::Recovered { .. } => true,
                Recovery::AlreadyDown { until: back } => {
                    back.is_some_and(|back| until >= over.max(back) + self.steady.hold())
                }
                Recovery::NotRecovered { .. } => false,
            }
        })
    }
}
