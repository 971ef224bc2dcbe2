//! The handle with which a process switches its own faults.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::active::Active;
use crate::invalid::{Invalid, check_duration, check_name};
use crate::plan::Plan;
use crate::rule::{Rule, Seen};
use crate::wire::{InForce, Report};

/// The most rules at once: every request looks at all of them.
const MOST_RULES: usize = 100;

/// The rules in force, shared by the layers of a process and whoever switches them. Clones are the same handle.
///
/// ```
/// use std::time::Duration;
/// use chaos_layer::{Act, ChaosControl};
///
/// let control = ChaosControl::new();
/// assert!(!control.is_on());
/// control.put("slow", Act::Delay { by: Duration::from_secs(2), jitter: Duration::ZERO }, Duration::from_secs(10))?;
/// assert!(control.is_on());
/// assert!(control.remove("slow"));
/// assert!(!control.is_on());
/// # Ok::<(), chaos_layer::Invalid>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChaosControl(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether there is any rule: all that a request looks at while there is none.
    on: AtomicBool,
    /// By name, which is also the order in which they act.
    rules: RwLock<BTreeMap<String, Arc<Active>>>,
}

impl ChaosControl {
    /// Nothing is in force.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether any rule is in force.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.0.on.load(Relaxed)
    }

    /// Puts a rule in force for `ttl`, 1 ms to 1 h. The same rule under the same name goes on with a new lease and
    /// its counts; another one takes its place. Rules act in the order of their names: delays add up, and none sees
    /// a request that one before it refused.
    ///
    /// # Errors
    /// A name, a rule or a lease that makes no sense, and more than 100 rules.
    pub fn put(&self, name: &str, rule: impl Into<Rule>, ttl: Duration) -> Result<(), Invalid> {
        let rule = rule.into();
        check_name(name)?;
        rule.validate()?;
        check_duration("ttl", ttl)?;
        let ends = Instant::now() + ttl;
        let mut rules = self.write();
        match rules.get(name) {
            Some(active) if active.rule == rule => active.renew(ends),
            None if rules.len() >= MOST_RULES => {
                return Err(Invalid::new("name", format!("there are {MOST_RULES} rules already; remove one")));
            }
            _ => drop(rules.insert(name.to_owned(), Arc::new(Active::new(rule, ends)))),
        }
        self.0.on.store(true, Relaxed);
        Ok(())
    }

    /// Takes a rule away; requests that it holds up go on. Returns whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        let mut rules = self.write();
        let removed = rules.remove(name).is_some();
        self.0.on.store(!rules.is_empty(), Relaxed);
        removed
    }

    /// Takes every rule and every fail point of the process away.
    pub fn clear(&self) {
        let mut rules = self.write();
        rules.clear();
        self.0.on.store(false, Relaxed);
        #[cfg(feature = "fail-points")]
        crate::points::clear();
    }

    /// What a rule has counted; `None` when it is not in force.
    pub fn rule(&self, name: &str) -> Option<InForce<Rule>> {
        let now = Instant::now();
        self.read().get(name).filter(|active| !active.is_over(now)).map(|active| active.in_force(now))
    }

    /// All that is in force, the fail points of the process among it.
    pub fn report(&self) -> Report {
        let now = Instant::now();
        self.sweep(now);
        Report {
            rules: self.read().iter().map(|(name, active)| (name.clone(), active.in_force(now))).collect(),
            #[cfg(feature = "fail-points")]
            points: crate::points::report(),
            #[cfg(not(feature = "fail-points"))]
            points: BTreeMap::new(),
        }
    }

    /// What becomes of a request.
    #[cold]
    pub(crate) fn decide(&self, seen: &Seen<'_>) -> Plan {
        let (now, mut plan, mut stale) = (Instant::now(), Plan::default(), false);
        for active in self.read().values() {
            if active.is_over(now) {
                stale = true;
                continue;
            }
            active.decide(seen, now, &mut plan);
            if plan.refusal.is_some() {
                break;
            }
        }
        if stale {
            self.sweep(now);
        }
        plan
    }

    /// Takes away the rules whose lease is over.
    fn sweep(&self, now: Instant) {
        let mut rules = self.write();
        rules.retain(|_, active| !active.is_over(now));
        self.0.on.store(!rules.is_empty(), Relaxed);
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Active>>> {
        self.0.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Active>>> {
        self.0.rules.write().unwrap_or_else(PoisonError::into_inner)
    }
}
