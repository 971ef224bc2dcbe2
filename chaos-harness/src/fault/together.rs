//! Several faults as one.

use async_trait::async_trait;
use futures::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::{Attestation, Fault, FaultError, FaultKind, Injected, targets};
use crate::environment::Environment;
use crate::runtime::Capability;
use crate::safety::BlastRadius;
use crate::topology::Topology;

/// Several faults, applied and undone together: all of them or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Together {
    /// Each of them.
    pub faults: Vec<Fault>,
}

impl Catalogued for Together {
    fn entries() -> Vec<Entry> {
        vec![Entry::new(
            "several services at once",
            "`targets([\"a\", \"b\"]).kill()`, `targets([\"a\", \"b\"]).each(...)`",
            [targets(["inventory", "product"]).kill()],
        )]
    }
}

#[async_trait]
impl FaultKind for Together {
    fn describe(&self) -> String {
        self.faults.iter().map(Fault::describe).collect::<Vec<_>>().join(", with ")
    }

    fn services(&self) -> Vec<&str> {
        self.faults.iter().flat_map(Fault::services).collect()
    }

    fn requires(&self) -> &'static [Capability] {
        &[]
    }

    fn members(&self) -> &[Fault] {
        &self.faults
    }

    fn radius(&self) -> BlastRadius {
        self.faults.iter().map(Fault::radius).max().unwrap_or(BlastRadius::SingleRequest)
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if self.faults.is_empty() {
            let (fault, range) = ("together".to_owned(), "1 and more".to_owned());
            return Err(FaultError::BadValue { fault, what: "a number of faults", given: "0".to_owned(), range });
        }
        self.faults.iter().try_for_each(|fault| fault.validate(topology))
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let injections = join_all(self.faults.iter().map(|fault| fault.inject(environment))).await;
        let (mut injected, mut failed) = (InjectedTogether { parts: Vec::new() }, None);
        for injection in injections {
            match injection {
                Ok(part) => injected.parts.push(part),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            None => Ok(Box::new(injected)),
            Some(error) => {
                injected.roll_back(environment).await?;
                Err(error)
            }
        }
    }
}

struct InjectedTogether {
    parts: Vec<Box<dyn Injected>>,
}

/// Shown when every part is.
fn all(parts: Vec<Attestation>) -> Attestation {
    let looked_at: Vec<&str> = parts.iter().map(|part| part.looked_at.as_str()).collect();
    Attestation::when(parts.iter().all(|part| part.shown), looked_at.join("; "))
}

#[async_trait]
impl Injected for InjectedTogether {
    fn mechanism(&self) -> String {
        self.parts.iter().map(|part| part.mechanism()).collect::<Vec<_>>().join("; ")
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        all(join_all(self.parts.iter_mut().map(|part| part.attest(environment))).await)
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        let undone = join_all(self.parts.iter_mut().map(|part| part.roll_back(environment))).await;
        undone.into_iter().collect()
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        all(join_all(self.parts.iter_mut().map(|part| part.attest_gone(environment))).await)
    }
}
