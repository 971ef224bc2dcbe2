//! A service is shut down for a while.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::instances::attest_states;
use super::{Attestation, FaultError, FaultKind, Injected, Instances, target};
use crate::environment::Environment;
use crate::runtime::{Capability, RuntimeError, State};
use crate::topology::{InstanceId, Topology};

/// How long a service may take to shut down before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// Shuts a service down with `SIGTERM` for the hold, then starts it again. Its restart policy does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stop {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
}

impl Catalogued for Stop {
    fn entries() -> Vec<Entry> {
        vec![Entry::new("stop and start", "`target(\"a\").stop()`", [target("product").stop()])]
    }
}

#[async_trait]
impl FaultKind for Stop {
    fn describe(&self) -> String {
        format!("stop {}", self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Stop]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let stopped = self.on.ids(environment.topology())?;
        let stops = stopped.iter().map(|id| async move {
            environment.runtime().stop(id, GRACE).await?;
            environment.point_links_to(id).await
        });
        let failed = join_all(stops).await.into_iter().find_map(Result::err);
        let mut injected = InjectedStop { stopped };
        match failed {
            None => Ok(Box::new(injected)),
            Some(error) => {
                injected.roll_back(environment).await?;
                Err(error.into())
            }
        }
    }
}

struct InjectedStop {
    stopped: Vec<InstanceId>,
}

#[async_trait]
impl Injected for InjectedStop {
    fn mechanism(&self) -> String {
        format!("SIGTERM, SIGKILL after {}", humantime::format_duration(GRACE))
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        attest_states(environment, self.stopped.iter(), "are down", |state| matches!(state, State::Exited { .. })).await
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        let mut first_error: Option<RuntimeError> = None;
        for id in &self.stopped {
            let started = environment.runtime().start_again(id).await;
            if let Err(error) = started.and(environment.point_links_to(id).await) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        attest_states(environment, self.stopped.iter(), "run", |state| state == State::Running).await
    }
}
