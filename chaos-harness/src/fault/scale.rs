//! A service has fewer or more instances.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::lives::{attest_down, attest_states, attest_up, how_stopped, start_all, stop_all};
use super::{Attestation, FaultError, FaultKind, Injected, target};
use crate::environment::{DownHold, Environment};
use crate::runtime::{Capability, State};
use crate::topology::{InstanceId, Service, Topology};

/// Leaves a service with so many of its instances for the hold, those with the lowest ordinals: the others are shut
/// down, then started again. With more than run, those on [standby](Service::standby) are started, then shut down again.
///
/// The fault is in force when the processes of the new instances run. Their health is not waited for: an instance that
/// never becomes ready is one of the things to be tested. A fault that is in force on the service already does not act
/// on them, unless it is one on a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scale {
    /// The service.
    pub service: String,
    /// How many instances are to run; fewer or more than do.
    pub to: u16,
}

impl Scale {
    fn out_of_range(&self, declared: &Service) -> FaultError {
        let (run, all) = (declared.started_ids().count(), declared.instances);
        let range = format!("0 to {all} without {run}, as many as run; declare more with `.instances(..).standby(..)`");
        FaultError::BadValue {
            fault: self.describe(),
            what: "a number of instances",
            given: self.to.to_string(),
            range,
        }
    }

    /// Those to be shut down, and those to be started.
    fn changes(&self, environment: &Environment) -> Result<(Vec<InstanceId>, Vec<InstanceId>), FaultError> {
        let declared = environment.topology().get(&self.service)?;
        let (on_standby, run): (Vec<_>, Vec<_>) = declared.instance_ids().partition(|id| environment.is_on_standby(id));
        let surplus: Vec<InstanceId> = run.into_iter().filter(|id| id.ordinal > self.to).collect();
        let missing: Vec<InstanceId> = on_standby.into_iter().filter(|id| id.ordinal <= self.to).collect();
        if surplus.is_empty() && missing.is_empty() {
            return Err(self.out_of_range(declared));
        }
        Ok((surplus, missing))
    }
}

impl Catalogued for Scale {
    fn entries() -> Vec<Entry> {
        let written = "`target(\"a\").scale(1)`, `.scale(3)` where there is a `Service::standby`";
        vec![Entry::new("fewer or more instances", written, [target("product").scale(0), target("product").scale(2)])]
    }
}

#[async_trait]
impl FaultKind for Scale {
    fn describe(&self) -> String {
        format!("scale {} to {}", self.service, self.to)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Stop]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        let declared = topology.get(&self.service)?;
        let is_change = usize::from(self.to) != declared.started_ids().count();
        if is_change && self.to <= declared.instances { Ok(()) } else { Err(self.out_of_range(declared)) }
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let (stopped, started) = self.changes(environment)?;
        let (hold, grace) = (environment.held_down().hold(&stopped), environment.grace(&self.service));
        let mut injected = InjectedScale { hold, stopped, started, grace };
        match injected.apply(environment).await {
            Ok(()) => Ok(Box::new(injected)),
            Err(error) => {
                injected.roll_back(environment).await?;
                Err(error)
            }
        }
    }
}

struct InjectedScale {
    hold: DownHold,
    stopped: Vec<InstanceId>,
    started: Vec<InstanceId>,
    grace: Duration,
}

impl InjectedScale {
    async fn apply(&self, environment: &Environment) -> Result<(), FaultError> {
        stop_all(environment, &self.stopped).await?;
        for id in &self.started {
            environment.call_up(id).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Injected for InjectedScale {
    fn mechanism(&self) -> String {
        if self.started.is_empty() { how_stopped(self.grace) } else { "started by the runtime".to_owned() }
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        if self.started.is_empty() {
            return attest_down(environment, self.stopped.iter()).await;
        }
        attest_states(environment, self.started.iter(), "run", |state| state == State::Running).await
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        self.hold.let_go();
        let mut undone = start_all(environment, &self.stopped).await;
        for id in &self.started {
            undone = undone.and(environment.put_on_standby(id).await.map_err(FaultError::from));
        }
        undone
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        if self.started.is_empty() {
            return attest_up(environment, self.stopped.iter()).await;
        }
        attest_down(environment, self.started.iter()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(service: Service, to: u16) -> Result<(), String> {
        let topology = Topology::new("scaled").service(service.cargo("p", "b"));
        target("a").scale(to).fault.validate(&topology).map_err(|error| error.to_string())
    }

    #[test]
    fn as_many_as_run_is_no_change() {
        let spare = || Service::new("a").instances(3).standby(2);
        for to in [0, 2, 3] {
            check(spare(), to).unwrap();
        }
        let refused = check(spare(), 1).unwrap_err();
        assert!(
            refused.contains("a number of instances of 1 is outside 0 to 3 without 1, as many as run"),
            "{refused}"
        );
        assert!(check(spare(), 4).unwrap_err().contains("of 4 is outside 0 to 3"));
        assert!(check(Service::new("a").instances(2), 2).unwrap_err().contains("outside 0 to 2 without 2"));
        check(Service::new("a").instances(2), 1).unwrap();
    }
}
