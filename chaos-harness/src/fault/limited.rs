//! What faults that limit a resource share.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::lives::{Life, start_all};
use super::{Attestation, FaultError, Injected, Instances};
use crate::environment::Environment;
use crate::runtime::{Capability, Hold, Limit, Resource, Resources, State, Usage};
use crate::topology::InstanceId;

/// How long an instance may take to end after the kernel has killed its process.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// What the runtime can do to resources; a typed error when it can do nothing.
pub(super) fn resources(
    environment: &Environment,
    capability: Capability,
    describe: impl FnOnce() -> String,
) -> Result<&dyn Resources, FaultError> {
    let not_capable = || FaultError::NotCapable {
        fault: describe(),
        capability,
        runtime: environment.runtime().kind(),
        hint: "; run it on containers with CHAOS_RUNTIME=docker",
    };
    environment.runtime().resources().ok_or_else(not_capable)
}

/// Limits a resource of instances; all or nothing.
pub(super) async fn inject(
    environment: &Environment,
    on: &Instances,
    limit: Limit,
    fault: String,
) -> Result<Box<dyn Injected>, FaultError> {
    let restarts = environment.topology().get(&on.service)?.restart.brings_back();
    let mut injected = InjectedLimit { fault, limit, restarts, limited: BTreeMap::new() };
    for id in on.running(environment)? {
        if let Err(error) = injected.limit(environment, &id).await {
            injected.roll_back(environment).await?;
            return Err(error);
        }
    }
    Ok(Box::new(injected))
}

/// An instance as it was when it was limited.
struct Limited {
    /// `None` where the kernel killed the instance before the engine had the limit in force.
    hold: Option<Hold>,
    pid: Option<u32>,
    usage: Usage,
    oom_kills: u64,
}

struct InjectedLimit {
    fault: String,
    limit: Limit,
    restarts: bool,
    limited: BTreeMap<InstanceId, Limited>,
}

impl InjectedLimit {
    fn resources<'a>(&self, environment: &'a Environment) -> Result<&'a dyn Resources, FaultError> {
        let capability = match self.limit.resource {
            Resource::Cpu => Capability::CpuLimit,
            Resource::Memory => Capability::MemoryLimit,
            Resource::Processes => Capability::ProcessLimit,
        };
        resources(environment, capability, || self.fault.clone())
    }

    async fn limit(&mut self, environment: &Environment, id: &InstanceId) -> Result<(), FaultError> {
        let resources = self.resources(environment)?;
        let usage = resources.usage(id).await?;
        let (pid, oom_kills) = (environment.runtime().status(id).await?.pid, resources.oom_kills(id));
        let life = Life::of(environment, id).await?;
        let hold = match resources.limit(id, self.limit).await {
            Ok(hold) => Some(hold),
            Err(_) if life.is_why(environment, id).await? => None,
            Err(error) => return Err(error.into()),
        };
        self.limited.insert(id.clone(), Limited { hold, pid, usage, oom_kills });
        Ok(())
    }

    /// What an instance has felt of it, and whether that is anything.
    async fn felt(
        &self,
        environment: &Environment,
        id: &InstanceId,
        then: &Limited,
    ) -> Result<(bool, String), FaultError> {
        let resources = self.resources(environment)?;
        let kills = resources.oom_kills(id) - then.oom_kills;
        if self.limit.resource == Resource::Memory && kills > 0 {
            return Ok((true, format!("killed by the kernel for want of memory {kills} times")));
        }
        let status = environment.runtime().status(id).await?;
        if status.pid.is_none() {
            return Ok((false, "does not run".to_owned()));
        }
        let now = resources.usage(id).await?;
        // Another process counts anew.
        let before = if status.pid == then.pid { then.usage } else { Usage::default() };
        Ok(match self.limit.resource {
            Resource::Cpu => {
                let (periods, time) =
                    (now.throttled_periods - before.throttled_periods, now.throttled - before.throttled);
                (!time.is_zero(), format!("throttled for {} ms in {periods} periods", time.as_millis()))
            }
            Resource::Memory => {
                let refused = now.memory_refused - before.memory_refused;
                (refused > 0, format!("ran into its limit {refused} times, uses {} bytes", now.memory))
            }
            Resource::Processes => {
                let refused = now.processes_refused - before.processes_refused;
                (refused > 0, format!("was refused a process {refused} times, has {}", now.processes))
            }
        })
    }

    /// Waits until an instance in which the kernel has killed something has ended of it. One that goes on without
    /// what was killed is not waited for any longer.
    async fn settle(&self, environment: &Environment, id: &InstanceId, then: &Limited) -> Result<(), FaultError> {
        let killed = self.resources(environment)?.oom_kills(id) > then.oom_kills;
        let since = Instant::now();
        while killed && since.elapsed() < ENDS_WITHIN && environment.runtime().status(id).await?.pid == then.pid {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Those that are down and would stay so.
    async fn to_start(&self, environment: &Environment) -> Result<Vec<&InstanceId>, FaultError> {
        let mut down = Vec::new();
        for (id, then) in &self.limited {
            self.settle(environment, id, then).await?;
            let ended = matches!(environment.runtime().status(id).await?.state, State::Exited { .. });
            if ended && then.pid.is_some() && !self.restarts {
                down.push(id);
            }
        }
        Ok(down)
    }
}

#[async_trait]
impl Injected for InjectedLimit {
    fn mechanism(&self) -> String {
        "limit of the control group, set by the engine".to_owned()
    }

    /// One that felt it is enough: load is not shared out evenly.
    async fn attest(&mut self, environment: &Environment) -> Attestation {
        let (mut any, mut looked_at) = (false, Vec::new());
        for (id, then) in &self.limited {
            match self.felt(environment, id, then).await {
                Ok((felt, what)) => {
                    any |= felt;
                    looked_at.push(format!("{id} {what}"));
                }
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::when(any, looked_at.join("; "))
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        let resources = self.resources(environment)?;
        let mut lifted = Ok(());
        for hold in self.limited.values().filter_map(|limited| limited.hold) {
            lifted = lifted.and(resources.lift(hold).await);
        }
        // What the limit has killed is started again; with a restart policy, coming back is what is tested.
        let down = self.to_start(environment).await?;
        start_all(environment, down).await?;
        Ok(lifted?)
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        let mut looked_at = Vec::new();
        for id in self.limited.keys() {
            let now = match self.resources(environment) {
                Ok(resources) => resources.limit_now(id, self.limit.resource).await.map_err(FaultError::from),
                Err(error) => Err(error),
            };
            match now {
                Ok(now) if now.measured == now.due => looked_at.push(format!("{id} has {}", of(now.measured))),
                Ok(now) => {
                    return Attestation::not_shown(format!("{id} has {}, not {}", of(now.measured), of(now.due)));
                }
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::shown(looked_at.join(", "))
    }
}

fn of(limit: Option<u64>) -> String {
    limit.map_or_else(|| "no limit".to_owned(), |most| format!("a limit of {most}"))
}
