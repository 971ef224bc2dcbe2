//! Fail points: which are in force in this process, and which calls they act upon.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::dice::is_of_share;
use crate::invalid::{Invalid, check_duration, check_name};
use crate::point::{FailPoint, PointAct};
use crate::wire::InForce;

/// The registry of `fail` belongs to the process, and so does this.
static POINTS: RwLock<BTreeMap<String, Point>> = RwLock::new(BTreeMap::new());
static ON: AtomicBool = AtomicBool::new(false);

struct Point {
    fault: FailPoint,
    ends: Instant,
    passed: AtomicU64,
    bitten: AtomicU64,
}

/// Switches the fail point `name` on for `ttl`, 1 ms to 1 h. The same fault again renews the lease.
///
/// # Errors
/// A name, a fault or a lease that makes no sense.
pub fn put(name: &str, fault: impl Into<FailPoint>, ttl: Duration) -> Result<(), Invalid> {
    let fault = fault.into();
    check_name(name)?;
    fault.validate()?;
    check_duration("ttl", ttl)?;
    let ends = Instant::now() + ttl;
    let mut points = write();
    if let Some(point) = points.get_mut(name).filter(|point| point.fault == fault) {
        point.ends = ends;
    } else {
        fail::cfg(name, &action(&fault.act)).map_err(|problem| Invalid::new("act", problem))?;
        let (passed, bitten) = (AtomicU64::new(0), AtomicU64::new(0));
        points.insert(name.to_owned(), Point { fault, ends, passed, bitten });
    }
    ON.store(true, Relaxed);
    drop(points);
    end_later(ttl);
    Ok(())
}

/// The fault in the language of `fail`.
fn action(act: &PointAct) -> String {
    match act {
        PointAct::Return { value } => format!("return({value})"),
        PointAct::Sleep { time } => format!("sleep({})", time.as_millis()),
        PointAct::Panic { message } => format!("panic({message})"),
    }
}

/// Where there is a runtime, `fail` forgets a point on time even if nobody passes it again.
fn end_later(ttl: Duration) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            tokio::time::sleep(ttl).await;
            sweep();
        });
    }
}

/// Switches the fail point `name` off; returns whether it was on.
pub fn remove(name: &str) -> bool {
    let mut points = write();
    fail::remove(name);
    let removed = points.remove(name).is_some();
    ON.store(!points.is_empty(), Relaxed);
    removed
}

/// Switches every fail point off that was switched on here.
pub(crate) fn clear() {
    take_away(|_| true);
}

fn sweep() {
    let now = Instant::now();
    take_away(|point| point.ends <= now);
}

fn take_away(which: impl Fn(&Point) -> bool) {
    let mut points = write();
    points.retain(|name, point| {
        let stays = !which(point);
        if !stays {
            fail::remove(name);
        }
        stays
    });
    ON.store(!points.is_empty(), Relaxed);
}

/// What is in force, with its counts.
pub fn report() -> BTreeMap<String, InForce<FailPoint>> {
    sweep();
    let now = Instant::now();
    let in_force = |point: &Point| InForce {
        fault: point.fault.clone(),
        matched: point.passed.load(Relaxed),
        bitten: point.bitten.load(Relaxed),
        ends_in: point.ends.saturating_duration_since(now),
    };
    read().iter().map(|(name, point)| (name.clone(), in_force(point))).collect()
}

/// Whether the point `name` acts upon this call; asked by [`fail_point!`](crate::fail_point) before `fail` is.
#[inline]
pub fn strikes(name: &str) -> bool {
    ON.load(Relaxed) && strikes_now(name)
}

#[cold]
fn strikes_now(name: &str) -> bool {
    let points = read();
    let Some(point) = points.get(name).filter(|point| point.ends > Instant::now()) else { return false };
    let number = point.passed.fetch_add(1, Relaxed);
    let strikes = is_of_share(point.fault.seed, number, point.fault.share);
    point.bitten.fetch_add(u64::from(strikes), Relaxed);
    strikes
}

fn read() -> RwLockReadGuard<'static, BTreeMap<String, Point>> {
    POINTS.read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, BTreeMap<String, Point>> {
    POINTS.write().unwrap_or_else(PoisonError::into_inner)
}
