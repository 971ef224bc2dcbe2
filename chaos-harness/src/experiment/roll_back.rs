//! Undoing a fault, and whether that is all of it.

use std::time::Duration;

use tokio::time::Instant;

use super::deadline::Deadline;
use super::external::TOLD_WITHIN;
use super::session::{Active, FaultHandle, Steps, TICK};
use crate::error::Result;
use crate::fault::{Attestation, Fault, FaultKind};
use crate::journal::{Phase, Problem, Record, What};

/// How long it may take to undo a fault; what it is then is undone with the environment.
const UNDONE_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to measure what a fault did, or that its effect is gone.
const ATTESTED_WITHIN: Duration = Duration::from_secs(30);

impl Steps {
    /// Measures that a fault has bitten, undoes it, and measures that its effect is gone. A failure is noted in
    /// the journal and fails the test, whatever the verdict.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(super) async fn roll_back(&mut self, fault: FaultHandle) -> Result<()> {
        let Some(position) = self.active.iter().position(|active| active.index == fault.0) else {
            return Ok(());
        };
        let Active { index, number, mut injected, fault: undoing } = self.active.remove(position);
        self.look()?;
        let longest = UNDONE_WITHIN + self.longest_grace(&undoing);
        let mut record = self.log.journal().injections[index].clone();
        let failed = |reason: String| Problem::RollbackFailed { fault: record.fault.clone(), reason };
        self.phase(Phase::RollBack, &record.fault)?;
        let deadline = self.deadline;
        record.bite = Some(attested(deadline, injected.attest(&self.environment)).await);
        self.external.undo(number, self.clock.now());
        let undone = tokio::time::timeout(longest, injected.roll_back(&self.environment)).await;
        record.rolled_back = Some(self.clock.now());
        self.external.end(number, self.clock.now());
        let mut gone = attested(deadline, injected.attest_gone(&self.environment)).await;
        let is_undone = matches!(undone, Ok(Ok(())));
        let mut problem = match undone {
            Err(_) => Some(failed(format!("it was not undone within {}", humantime::format_duration(longest)))),
            Ok(Err(error)) => Some(failed(error.to_string())),
            Ok(Ok(())) if !gone.shown => Some(failed(gone.looked_at.clone())),
            Ok(Ok(())) => None,
        };
        if problem.is_some()
            && let Some(what) = self.changed_meanwhile(&undoing, record.began, is_undone).await?
        {
            problem = None;
            gone = Attestation::shown(format!("nothing of it is left to undo: {what}"));
        }
        record.gone = Some(gone);
        self.log.add(Record::Injection { index, record: Box::new(record) })?;
        if let Some(problem) = problem {
            self.log.add(Record::Problem(problem))?;
        }
        self.edge(What::RolledBack { injection: index })
    }

    pub(super) async fn roll_back_all(&mut self) -> Result<()> {
        while let Some(active) = self.active.last() {
            self.roll_back(FaultHandle(active.index)).await?;
        }
        Ok(())
    }

    /// What somebody else did to the services of a fault, where that is why it could not be undone, or why they are not as
    /// before. Of a fault that is not undone nothing is left only where its instances are gone.
    async fn changed_meanwhile(&mut self, fault: &Fault, began: Duration, is_undone: bool) -> Result<Option<String>> {
        let services: Vec<String> = fault.services().into_iter().map(str::to_owned).collect();
        let since = Instant::now();
        loop {
            self.look()?;
            let mut changes = self.external.of(&services, began).filter(|change| is_undone || change.ends);
            if let Some(change) = changes.next() {
                return Ok(Some(change.what.clone()));
            }
            if since.elapsed() > TOLD_WITHIN {
                return Ok(None);
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// How long an instance that a fault touches may take to shut down.
    fn longest_grace(&self, fault: &Fault) -> Duration {
        fault.services().into_iter().map(|service| self.environment.grace(service)).max().unwrap_or_default()
    }
}

/// What was measured of a fault, or that it could not be in time.
async fn attested(deadline: Deadline, measuring: impl Future<Output = Attestation>) -> Attestation {
    let since = Instant::now();
    let measured = tokio::time::timeout_at(deadline.end_of(ATTESTED_WITHIN), measuring).await;
    measured.unwrap_or_else(|_| {
        let waited = humantime::format_duration(Duration::from_secs(since.elapsed().as_secs()));
        Attestation::not_shown(format!("it could not be measured within {waited}"))
    })
}
