//! Instances whose disk is slow, and how slow that is.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::limited::resources;
use super::{Attestation, FaultError, FaultKind, Injected, SlowDisk};
use crate::environment::Environment;
use crate::runtime::{Capability, DiskPace, DiskWrites, Hold, Resources};
use crate::topology::InstanceId;

/// How often it is measured how long the writes take before; the longest counts.
const ROUNDS: u32 = 3;
/// The most that is written to measure it; a pace that this does not feel is not shown to have bitten.
const MOST_BYTES: u64 = 16 << 20;
const MOST_TIMES: u64 = 400;
/// They take at least so many times as long as before, or else nothing was slowed.
const SLOWER: u32 = 2;
/// How long the disk may be busy with what was held back, after it is held back no more.
const QUICK_WITHIN: Duration = Duration::from_secs(10);

/// What takes about half a second at such a pace. The kernel lets through at once what is due in a tenth of a second, and
/// a write with fsync is about four operations.
fn writes(pace: DiskPace) -> DiskWrites {
    const PAGE: u64 = 4096;
    match pace {
        DiskPace::Operations(most) => {
            DiskWrites { bytes: PAGE, times: u32::try_from((most / 8).clamp(1, MOST_TIMES)).unwrap_or(1) }
        }
        DiskPace::Bytes(most) => DiskWrites { bytes: (most / 2).clamp(PAGE, MOST_BYTES), times: 1 },
    }
}

/// Slows the disks of instances; all or nothing.
pub(super) async fn inject(environment: &Environment, fault: &SlowDisk) -> Result<Box<dyn Injected>, FaultError> {
    let mut injected = InjectedSlowness { fault: fault.clone(), slowed: Vec::new() };
    for id in fault.on.running(environment)? {
        if let Err(error) = injected.slow(environment, id).await {
            injected.roll_back(environment).await?;
            return Err(error);
        }
    }
    Ok(Box::new(injected))
}

/// An instance as it was when its disk was slowed.
struct Slowed {
    id: InstanceId,
    hold: Hold,
    pid: Option<u32>,
    operations: u64,
    /// How long a write took before, and under the fault, once that was measured.
    before: Duration,
    under: Option<Duration>,
}

struct InjectedSlowness {
    fault: SlowDisk,
    slowed: Vec<Slowed>,
}

impl InjectedSlowness {
    fn resources<'a>(&self, environment: &'a Environment) -> Result<&'a dyn Resources, FaultError> {
        resources(environment, Capability::DiskSpeed, || self.fault.describe())
    }

    async fn slow(&mut self, environment: &Environment, id: InstanceId) -> Result<(), FaultError> {
        let resources = self.resources(environment)?;
        let SlowDisk { folder, at_most, .. } = &self.fault;
        let pid = environment.runtime().status(&id).await?.pid;
        let (_, operations) = resources.disk_now(&id, folder, *at_most).await?;
        let before = resources.sync_time(&id, folder, writes(*at_most), ROUNDS).await?;
        let hold = resources.slow_disk(&id, folder, *at_most).await?;
        self.slowed.push(Slowed { id, hold, pid, operations, before, under: None });
        Ok(())
    }

    /// How long a write takes now, and whether that is what was wanted.
    async fn felt(&self, environment: &Environment, slowed: &Slowed) -> Result<(Option<Duration>, String), FaultError> {
        let resources = self.resources(environment)?;
        let Slowed { id, before, .. } = slowed;
        if environment.runtime().status(id).await?.pid != slowed.pid {
            return Ok((None, format!("{id} has ended or was started again, and its disk is not slow")));
        }
        let (folder, written) = (&self.fault.folder, writes(self.fault.at_most));
        let (limit, operations) = resources.disk_now(id, folder, self.fault.at_most).await?;
        if limit.measured.is_none() || limit.measured != limit.due {
            return Ok((None, format!("nothing holds back the disk of {id}")));
        }
        let now = resources.sync_time(id, folder, written, 1).await?;
        let DiskWrites { bytes, times } = written;
        let what = format!("{times} write(s) of {} KiB with fsync took", bytes >> 10);
        let took = format!("{what} {} ms before and {} ms now", millis(*before), millis(now));
        let sent = operations.saturating_sub(slowed.operations);
        let what = format!("{folder} of {id}: {took}, {sent} operations since");
        Ok((Some(now).filter(|now| *now >= SLOWER * *before), what))
    }

    /// Waits until a write is quick again; what there is to say of it.
    async fn quick(&self, environment: &Environment, slowed: &Slowed) -> Result<(bool, String), FaultError> {
        let resources = self.resources(environment)?;
        let Slowed { id, under, .. } = slowed;
        if environment.runtime().status(id).await?.pid.is_none() {
            return Ok((true, format!("{id} does not run")));
        }
        let (limit, _) = resources.disk_now(id, &self.fault.folder, self.fault.at_most).await?;
        if limit.measured != limit.due {
            return Ok((false, format!("the disk of {id} is still held back")));
        }
        // Another fault may hold it back, and where it was not seen to be slow there is nothing to compare with.
        let (None, Some(under)) = (limit.due, under) else { return Ok((true, format!("{id} has its disk back"))) };
        let since = Instant::now();
        loop {
            let now = resources.sync_time(id, &self.fault.folder, writes(self.fault.at_most), 1).await?;
            let is_quick = now * SLOWER <= *under;
            if is_quick || since.elapsed() > QUICK_WITHIN {
                return Ok((
                    is_quick,
                    format!("the same in {} of {id} takes {} ms again", self.fault.folder, millis(now)),
                ));
            }
        }
    }
}

#[async_trait]
impl Injected for InjectedSlowness {
    fn mechanism(&self) -> String {
        "throttle of the control group".to_owned()
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        let (mut all, mut looked_at) = (!self.slowed.is_empty(), Vec::new());
        for index in 0..self.slowed.len() {
            match self.felt(environment, &self.slowed[index]).await {
                Ok((under, what)) => {
                    all &= under.is_some();
                    looked_at.push(what);
                    self.slowed[index].under = under;
                }
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::when(all, looked_at.join("; "))
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        let resources = self.resources(environment)?;
        let mut quickened = Ok(());
        for Slowed { hold, .. } in &self.slowed {
            quickened = quickened.and(resources.quicken_disk(*hold).await);
        }
        Ok(quickened?)
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        let mut looked_at = Vec::new();
        for slowed in &self.slowed {
            match self.quick(environment, slowed).await {
                Ok((true, what)) => looked_at.push(what),
                Ok((false, what)) => return Attestation::not_shown(what),
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::shown(looked_at.join("; "))
    }
}

/// With a tenth.
fn millis(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1e3)
}
