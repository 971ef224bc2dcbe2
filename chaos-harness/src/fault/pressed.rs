//! What faults that use something up inside an instance share.

use std::time::Instant;

use async_trait::async_trait;

use super::limited::resources;
use super::lives::{Life, start_all};
use super::{Attestation, FaultError, Injected, Instances};
use crate::environment::Environment;
use crate::runtime::{Capability, Hold, Pressure, Resource, Resources, Space, Usage};
use crate::topology::{InstanceId, RestartPolicy};

/// Of the processor time that its threads want, what must at least be used: the machine may be busy otherwise.
const LEAST_CPU: f64 = 0.1;
/// Of the memory, the processes or the part of a disk that is to be used up, what must at least be.
const LEAST: f64 = 0.9;

/// How much is to be used up, told apart by instance: a share means something else where another limit holds.
pub(super) enum Amount {
    Same(Pressure),
    /// So many thousandths of the memory limit, over all that the instance uses.
    MemoryShare(u16),
    /// So many thousandths of the limit on processes, over all that the instance has.
    ProcessShare(u16),
}

/// Presses on instances; all or nothing.
pub(super) async fn inject(
    environment: &Environment,
    on: &Instances,
    amount: Amount,
    fault: String,
) -> Result<Box<dyn Injected>, FaultError> {
    let restarts = environment.topology().get(&on.service)?.restart == RestartPolicy::Always;
    let mut injected = InjectedPressure { fault, restarts, pressed: Vec::new() };
    for id in on.running(environment)? {
        if let Err(error) = injected.press(environment, id, &amount).await {
            injected.roll_back(environment).await?;
            return Err(error);
        }
    }
    Ok(Box::new(injected))
}

/// An instance as it was when it was pressed on.
struct Pressed {
    id: InstanceId,
    life: Life,
    /// `None` where the instance died before the program was ready.
    hold: Option<Hold>,
    pressure: Pressure,
    /// How many processes there are to be in all; `None` where only those that were added count.
    goal: Option<u64>,
    since: Instant,
    usage: Usage,
    space: Option<Space>,
}

struct InjectedPressure {
    fault: String,
    restarts: bool,
    pressed: Vec<Pressed>,
}

impl InjectedPressure {
    fn resources<'a>(&self, environment: &'a Environment) -> Result<&'a dyn Resources, FaultError> {
        resources(environment, Capability::Pressure, || self.fault.clone())
    }

    async fn press(&mut self, environment: &Environment, id: InstanceId, amount: &Amount) -> Result<(), FaultError> {
        let resources = self.resources(environment)?;
        let usage = resources.usage(&id).await?;
        let life = Life::of(environment, &id).await?;
        let mut goal = None;
        let pressure = match amount {
            Amount::Same(pressure) => pressure.clone(),
            Amount::MemoryShare(permille) => {
                let limit = self.limit(resources, &id, Resource::Memory, "memory").await?;
                Pressure::Memory { bytes: share(limit, *permille).saturating_sub(usage.memory) }
            }
            Amount::ProcessShare(permille) => {
                let limit = self.limit(resources, &id, Resource::Processes, "process").await?;
                let wanted = share(limit, *permille);
                goal = Some(wanted);
                Pressure::Processes { count: wanted.saturating_sub(usage.processes) }
            }
        };
        let space = match &pressure {
            Pressure::Disk { folder, .. } => Some(resources.space(&id, folder).await?),
            _ => None,
        };
        let hold = match resources.press(&id, &pressure).await {
            Ok(hold) => Some(hold),
            // What was wanted may come sooner than the program can say that it is ready.
            Err(_) if life.is_why(environment, &id).await? => None,
            Err(error) => return Err(error.into()),
        };
        self.pressed.push(Pressed { id, life, hold, pressure, goal, since: Instant::now(), usage, space });
        Ok(())
    }

    /// The limit to take a share of.
    async fn limit(
        &self,
        resources: &dyn Resources,
        id: &InstanceId,
        resource: Resource,
        kind: &'static str,
    ) -> Result<u64, FaultError> {
        let none = || FaultError::NoLimit { fault: self.fault.clone(), kind, instance: id.clone() };
        resources.limit_now(id, resource).await?.measured.ok_or_else(none)
    }

    /// What is used up by now, and whether that is what was wanted.
    async fn felt(&self, environment: &Environment, pressed: &Pressed) -> Result<(bool, String), FaultError> {
        let resources = self.resources(environment)?;
        let Pressed { id, pressure, .. } = pressed;
        if let Some(how) = pressed.life.ended(environment, id).await? {
            return Ok((true, format!("{id} died of it: {how}")));
        }
        if !self.is_pressed(resources, pressed).await? {
            return Ok((false, format!("nothing presses on {id} any more: its program has ended, or was killed")));
        }
        if let Pressure::Disk { folder, permille } = pressure {
            let now = resources.space(id, folder).await?;
            let (used, wanted) = (now.total - now.free, share(now.total, *permille));
            let fell = pressed.space.is_none_or(|before| now.free < before.free);
            let enough = fell && used as f64 >= wanted as f64 * LEAST;
            let before = pressed.space.map_or(0, |before| before.free);
            let text = format!("{id} has {} of {} bytes free in {folder}, {before} before", now.free, now.total);
            return Ok((enough, text));
        }
        let now = resources.usage(id).await?;
        Ok(match pressure {
            Pressure::Cpu { threads } => {
                let (used, elapsed) = (now.cpu.saturating_sub(pressed.usage.cpu), pressed.since.elapsed());
                let throttled = now.throttled.saturating_sub(pressed.usage.throttled);
                let wanted = elapsed.as_secs_f64() * f64::from(*threads);
                // A limit takes away what the threads want: then they have run into it.
                let enough = used.as_secs_f64() >= wanted * LEAST_CPU || !throttled.is_zero();
                let times = format!("{} ms in {} ms", used.as_millis(), elapsed.as_millis());
                (enough, format!("{id} used a processor for {times}, throttled for {} ms", throttled.as_millis()))
            }
            Pressure::Memory { bytes } => {
                let more = now.memory.saturating_sub(pressed.usage.memory);
                let refused = now.memory_refused.saturating_sub(pressed.usage.memory_refused);
                let text = format!("{id} uses {} bytes, {more} more than before, refused {refused} times", now.memory);
                (has_grown(*bytes, more, more, *bytes), text)
            }
            Pressure::Processes { count } => {
                let more = now.processes.saturating_sub(pressed.usage.processes);
                let refused = now.processes_refused.saturating_sub(pressed.usage.processes_refused);
                let most = resources.limit_now(id, Resource::Processes).await?.measured;
                let of = most.map(|most| format!(" of at most {most}")).unwrap_or_default();
                let has = format!("{id} has {}{of} processes and threads", now.processes);
                let (there, wanted) = pressed.goal.map_or((more, *count), |goal| (now.processes, goal));
                let text = format!("{has}, {more} more than before, refused {refused} times");
                (has_grown(*count, more, there, wanted), text)
            }
            Pressure::Disk { .. } => (false, String::new()),
        })
    }

    async fn is_pressed(&self, resources: &dyn Resources, pressed: &Pressed) -> Result<bool, FaultError> {
        match pressed.hold {
            Some(hold) => Ok(resources.presses(hold).await?),
            None => Ok(false),
        }
    }

    /// Those that died of it and would stay down.
    async fn to_start(&self, environment: &Environment) -> Vec<&InstanceId> {
        let mut down = Vec::new();
        for Pressed { id, life, .. } in &self.pressed {
            if !self.restarts && life.is_down(environment, id).await {
                down.push(id);
            }
        }
        down
    }

    /// What is left of it, if anything.
    async fn left(&self, environment: &Environment, pressed: &Pressed) -> Result<Option<String>, FaultError> {
        let resources = self.resources(environment)?;
        if self.is_pressed(resources, pressed).await? {
            return Ok(Some(format!("{} is still pressed on", pressed.id)));
        }
        let (Pressure::Disk { folder, .. }, Some(before)) = (&pressed.pressure, pressed.space) else {
            return Ok(None);
        };
        // What is down or gone has no disk to look at.
        if environment.runtime().status(&pressed.id).await.map_or(true, |status| status.pid.is_none()) {
            return Ok(None);
        }
        let now = resources.space(&pressed.id, folder).await?;
        // The service may have written meanwhile; what was filled is more than half of what had been free, if any was.
        let full = now.free < before.free / 2 && now.free < now.total / 100;
        Ok(full.then(|| format!("{} has only {} bytes free in {folder}", pressed.id, now.free)))
    }
}

#[async_trait]
impl Injected for InjectedPressure {
    fn mechanism(&self) -> String {
        "a program inside the instance, within its limits".to_owned()
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        let mut looked_at = Vec::new();
        for pressed in &self.pressed {
            match self.felt(environment, pressed).await {
                Ok((true, what)) => looked_at.push(what),
                Ok((false, what)) => return Attestation::not_shown(what),
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::when(!looked_at.is_empty(), looked_at.join("; "))
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        let resources = self.resources(environment)?;
        let mut released = Ok(());
        for hold in self.pressed.iter().filter_map(|pressed| pressed.hold) {
            released = released.and(resources.release(hold).await);
        }
        let down = self.to_start(environment).await;
        start_all(environment, down).await?;
        Ok(released?)
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        for pressed in &self.pressed {
            match self.left(environment, pressed).await {
                Ok(None) => {}
                Ok(Some(left)) => return Attestation::not_shown(left),
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::shown(format!("nothing presses on {} instance(s)", self.pressed.len()))
    }
}

/// Whether so much is there as was wanted, some of it new. An instance that used that much before was `asked` for nothing,
/// and what the program that presses takes for itself is no pressure.
fn has_grown(asked: u64, more: u64, there: u64, wanted: u64) -> bool {
    asked > 0 && more > 0 && there as f64 >= wanted as f64 * LEAST
}

/// So many thousandths of `whole`.
fn share(whole: u64, permille: u16) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(permille) / 1000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::has_grown;

    #[test]
    fn nothing_more_than_before_is_no_pressure() {
        // More than the share was in use before, so that nothing was left to use up.
        assert!(!has_grown(0, 557_056, 557_056, 0));
        // As many processes as wanted, none of them new but the program.
        assert!(!has_grown(0, 1, 64, 60) && !has_grown(4, 0, 64, 64));
        assert!(!has_grown(100, 80, 80, 100));
        assert!(has_grown(100, 95, 95, 100) && has_grown(5, 5, 64, 64));
    }
}
