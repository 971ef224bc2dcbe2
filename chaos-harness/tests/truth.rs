//! Time to recover against the truth: what a thread that knows nothing of the harness saw.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chaos_harness::experiment::Plan;
use chaos_harness::measure::Recovery;
use chaos_harness::prelude::*;
use chaos_harness::topology::InstanceId;

/// How often the target is killed.
const KILLS: u64 = 10;
/// The load's interval between requests.
const INTERVAL: Duration = Duration::from_millis(10);
/// The error that is allowed besides one interval.
const ALLOWED: Duration = Duration::from_millis(50);

/// A topology of one service, and a plan of little but its load.
fn plan(lab: &Lab, name: &str) -> Plan {
    let product = Service::new("product").cargo("shop", "shop").args(["product"]).http("/health/ready").restarts();
    let mut plan = Plan::new(name, lab.seed(), Topology::new("truth").service(product));
    plan.load = Some(Load::get("product", "/products").rate(1.0 / INTERVAL.as_secs_f64()).deadline(1.secs()));
    (plan.limits.error_rate, plan.limits.availability) = (None, None);
    plan.timing.baseline = 500.millis();
    plan.hypotheses = vec![hypothesis!(recovery < 30s)];
    plan
}

/// Connects to the target's own address every millisecond and measures how long each outage lasted: from the
/// first connection that was refused to the first that was accepted again.
struct Observer {
    stop: Arc<AtomicBool>,
    outages: JoinHandle<Vec<Duration>>,
}

impl Observer {
    fn start(target: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let outages = std::thread::spawn(move || {
            let (mut outages, mut down_since) = (Vec::new(), None);
            while !stopped.load(Ordering::Relaxed) {
                let now = Instant::now();
                match (TcpStream::connect(target), down_since) {
                    (Err(_), None) => down_since = Some(now),
                    (Ok(_), Some(since)) => {
                        outages.push(now - since);
                        down_since = None;
                    }
                    _ => {}
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            outages
        });
        Self { stop, outages }
    }

    fn outages(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.outages.join().expect("the observer does not panic")
    }
}

/// Their verdicts are about the harness, and no news for a gate.
fn apart(lab: Lab) -> Lab {
    lab.with_journals_in(chaos_harness::folders::chaos_dir().join("journals-of-tests"))
}

#[chaos_test(runtime = "process")]
async fn time_to_recover_is_what_really_passed(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let product = Service::new("product").cargo("shop", "shop").args(["product"]).http("/health/ready");
    let mut plan = Plan::new("truth", lab.seed(), Topology::new("truth").service(product));
    plan.load = Some(Load::get("product", "/products").rate(1.0 / INTERVAL.as_secs_f64()).deadline(1.secs()));
    (plan.limits.error_rate, plan.limits.availability) = (None, None);
    plan.timing.baseline = 500.millis();
    plan.hypotheses = vec![hypothesis!(recovery < 30s)];
    let mut session = lab.start(plan).await?;
    let status = session.environment().runtime().status(&InstanceId::new("product", 1)).await?;
    let observer = Observer::start(status.address.expect("it runs"));
    session.baseline().await?;
    for kill in 0..KILLS {
        let fault = session.inject(target("product").kill()).await?;
        session.hold(Duration::from_millis(200 + 137 * kill)).await?;
        session.roll_back(fault).await?;
        session.recover().await?;
    }
    assert!(session.judge().await?.is_upheld());
    let journal = lab.journals().pop().expect("the experiment has ended");
    let truth = observer.outages();
    assert_eq!(truth.len() as u64, KILLS, "{truth:?}");
    for (injection, truth) in journal.injections.iter().zip(truth) {
        let measured = injection.recovery.as_ref().and_then(Recovery::time).expect("every kill is felt");
        let error = measured.abs_diff(truth);
        eprintln!("truth {truth:?}, measured {measured:?}, error {error:?}");
        assert!(error <= ALLOWED + INTERVAL, "truth {truth:?}, measured {measured:?}");
    }
    Ok(())
}

/// All outages of one injection, and the time from the first to the end of the last.
#[chaos_test(runtime = "process")]
async fn a_crash_loop_is_measured_to_its_last_outage(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let mut session = lab.start(plan(&lab, "crash_loop")).await?;
    let status = session.environment().runtime().status(&InstanceId::new("product", 1)).await?;
    let began = Instant::now();
    let observer = Observer::start(status.address.expect("it runs"));
    session.baseline().await?;
    let fault = session.inject(target("product").crash_loop(1500.millis())).await?;
    session.hold(4.secs()).await?;
    session.roll_back(fault).await?;
    session.recover().await?;
    assert!(session.judge().await?.is_upheld());
    let journal = lab.journals().pop().expect("the experiment has ended");
    let truth = observer.outages();
    let made = &journal.injections[0];
    let outages = made.outages.as_ref().expect("they are kept");
    eprintln!("truth {truth:?}, measured {:?} {outages:?}, {:?}", made.recovery, began.elapsed());
    assert!(truth.len() > 1 && outages.count == truth.len() as u64, "{truth:?} {outages:?}");
    let near = |measured: Duration, truth: Duration| measured.abs_diff(truth) <= ALLOWED + INTERVAL;
    assert!(near(outages.longest, *truth.iter().max().expect("it is not empty")), "{truth:?} {outages:?}");
    for (outage, truth) in outages.list.iter().zip(&truth) {
        assert!(near(outage.to.expect("it ended") - outage.from, *truth), "{truth:?} {outage:?}");
    }
    let time = made.recovery.as_ref().and_then(Recovery::time).expect("it recovered");
    let (first, last) = (outages.list.first().expect("two"), outages.list.last().expect("two"));
    assert_eq!(time, last.to.expect("it ended") - first.from);
    assert!(time > 3.secs(), "from the first crash at once to the last one after 3 s: {time:?}");
    Ok(())
}

/// A fault that comes and goes, and steady for longer than the hold-down between.
#[chaos_test(runtime = "process")]
async fn windows_are_measured_to_the_last_of_them(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let mut session = lab.start(plan(&lab, "windows")).await?;
    session.baseline().await?;
    let began = Instant::now();
    let refused = link("users", "product").square(1500.millis(), 300.millis()).refuse();
    let fault = session.inject(refused).await?;
    session.hold(3600.millis()).await?;
    session.roll_back(fault).await?;
    session.recover().await?;
    assert!(session.judge().await?.is_upheld());
    let journal = lab.journals().pop().expect("the experiment has ended");
    let made = &journal.injections[0];
    let outages = made.outages.as_ref().expect("they are kept");
    eprintln!("measured {:?} {outages:?}, {:?}", made.recovery, began.elapsed());
    let near = |measured: Duration, truth: Duration| measured.abs_diff(truth) <= ALLOWED + INTERVAL;
    // 0 to 0.3 s, 1.5 to 1.8 s, 3.0 to 3.3 s.
    assert_eq!(outages.count, 3, "{outages:?}");
    assert!(near(outages.longest, 300.millis()) && near(outages.total, 900.millis()), "{outages:?}");
    let time = made.recovery.as_ref().and_then(Recovery::time).expect("it recovered");
    assert!(near(time, 3300.millis()), "{time:?}");
    Ok(())
}
