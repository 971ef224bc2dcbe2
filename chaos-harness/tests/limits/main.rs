//! Limits on real containers: what they do to a service, what the journal says of it, and that they end where they began.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

#[path = "../common/mod.rs"]
mod common;
mod descriptors;
mod disks;
mod memory;
mod processes;

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::fault::{FaultKind, Injected, target};
use chaos_harness::journal::What;
use chaos_harness::prelude::*;
use chaos_harness::runtime::{CPU_PERIOD, ConnectionNow, LimitNow, Resource, Resources, RuntimeKind, State, sweep};
use chaos_harness::topology::InstanceId;
use common::{engine_answers, eventually, not_run, on, product, start};

fn first() -> InstanceId {
    InstanceId::new("product", 1)
}

/// Product, which uses up resources on demand.
fn stressed(change: impl FnOnce(Service) -> Service) -> Topology {
    Topology::new("limits").service(change(product().env("STRESS", "on")))
}

fn resources(environment: &Environment) -> &dyn Resources {
    environment.runtime().resources().unwrap()
}

async fn inject(environment: &Environment, injection: Injection) -> Box<dyn Injected> {
    injection.fault.validate(environment.topology()).unwrap();
    injection.fault.inject(environment).await.unwrap()
}

async fn ask(environment: &Environment, path: &str) -> reqwest::Result<Duration> {
    let asked = Instant::now();
    let url = format!("http://{}{path}", environment.address("product").unwrap());
    reqwest::get(url).await?.error_for_status()?.bytes().await?;
    Ok(asked.elapsed())
}

/// Asks for so much work: the processor time that it takes, and how long that takes, both at the best of a few tries.
async fn work(environment: &Environment, amount: u64) -> (Duration, Duration) {
    let (mut takes, mut lasts) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        let before = resources(environment).usage(&first()).await.unwrap().cpu;
        lasts = lasts.min(ask(environment, &format!("/stress/cpu?amount={amount}")).await.unwrap());
        takes = takes.min(resources(environment).usage(&first()).await.unwrap().cpu - before);
    }
    (takes, lasts)
}

#[test]
fn a_tenth_of_a_core_takes_ten_times_as_long() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(|product| product)).await;
        // What it takes is read from the kernel: how long it takes depends on what else the machine does.
        let (probe, _) = work(&environment, 20_000).await;
        let amount = (Duration::from_millis(100).as_secs_f64() / probe.as_secs_f64() * 20_000.0) as u64;
        let (takes, free) = work(&environment, amount).await;
        let before = resources(&environment).usage(&first()).await.unwrap();
        let mut quota = inject(&environment, target("product").cpu_quota(0.1)).await;
        let (_, slowed) = work(&environment, amount).await;
        let after = resources(&environment).usage(&first()).await.unwrap();
        let bite = quota.attest(&environment).await;
        let (throttled, ratio) = (after.throttled - before.throttled, slowed.as_secs_f64() / takes.as_secs_f64());
        let how =
            format!("{takes:?} of work: {free:?} free, {slowed:?} with a tenth of a core, {ratio:.1} times the work");
        eprintln!("{how}; {}", bite.looked_at);
        // Ten times, less what it may use of the first period at once.
        assert!((7.0..30.0).contains(&ratio), "{how}");
        assert!(slowed > 3 * free, "{how}");
        assert!(throttled > slowed / 2 && bite.shown, "throttled for {throttled:?}: {}", bite.looked_at);
        quota.roll_back(&environment).await.unwrap();
        let lifted = resources(&environment).usage(&first()).await.unwrap().throttled;
        work(&environment, amount).await;
        assert_eq!(resources(&environment).usage(&first()).await.unwrap().throttled, lifted, "nothing holds it back");
        environment.destroy().await.unwrap();
    });
}

/// The engine's words for this machine's limits must be the kernel's, so both are asked.
#[test]
fn two_limits_hold_the_stricter_and_end_where_they_began() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(|product| product)).await;
        let period = CPU_PERIOD;
        overlap(
            &environment,
            Resource::Cpu,
            |cores| target("product").cpu_quota(cores),
            (0.5, period / 2),
            (0.2, period / 5),
        )
        .await;
        let memory = |mib: u64| target("product").memory_limit(mib << 20);
        overlap(&environment, Resource::Memory, memory, (96, 96 << 20), (48, 48 << 20)).await;
        overlap(&environment, Resource::Processes, |most| target("product").process_limit(most), (64, 64), (32, 32))
            .await;
        environment.destroy().await.unwrap();
    });
}

async fn overlap<T>(
    environment: &Environment,
    resource: Resource,
    fault: impl Fn(T) -> Injection,
    (loose, loose_limit): (T, u64),
    (strict, strict_limit): (T, u64),
) {
    let has = async |most: Option<u64>| {
        let now = resources(environment).limit_now(&first(), resource).await.unwrap();
        assert_eq!(now, LimitNow { due: most, measured: most }, "{resource}");
    };
    has(None).await;
    let mut loose = inject(environment, fault(loose)).await;
    has(Some(loose_limit)).await;
    let mut strict = inject(environment, fault(strict)).await;
    has(Some(strict_limit)).await;
    loose.roll_back(environment).await.unwrap();
    assert!(loose.attest_gone(environment).await.shown);
    has(Some(strict_limit)).await;
    // A restart changes nothing about it.
    let runtime = environment.runtime();
    runtime.stop(&first(), Duration::from_secs(2)).await.unwrap();
    runtime.start_again(&first()).await.unwrap();
    has(Some(strict_limit)).await;
    strict.roll_back(environment).await.unwrap();
    strict.roll_back(environment).await.unwrap();
    has(None).await;
    assert!(strict.attest_gone(environment).await.shown);
    assert_eq!(runtime.undo_log().noted(), [], "{resource}");
}

#[test]
fn what_the_undo_log_says_can_be_taken_again_and_again() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(|product| product)).await;
        let mut limits = inject(&environment, target("product").memory_limit(64 << 20)).await;
        let mut cable = inject(&environment, target("product").disconnect()).await;
        let steps = environment.runtime().undo_log().noted();
        assert_eq!(steps.len(), 2, "{steps:?}");
        for _ in 0..2 {
            for step in steps.iter().rev() {
                step.take().await.unwrap();
            }
        }
        assert!(!limits.attest(&environment).await.shown && !cable.attest(&environment).await.shown);
        let now = resources(&environment).limit_now(&first(), Resource::Memory).await.unwrap();
        assert_eq!(now.measured, None);
        // A rollback after somebody else's is as good as before.
        cable.roll_back(&environment).await.unwrap();
        limits.roll_back(&environment).await.unwrap();
        assert!(cable.attest_gone(&environment).await.shown && limits.attest_gone(&environment).await.shown);
        ask(&environment, "/products").await.unwrap();
        environment.destroy().await.unwrap();
        for step in steps {
            step.take().await.unwrap();
        }
    });
}

#[test]
fn two_pulled_cables_are_both_put_back() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(|product| product)).await;
        let address = environment.runtime().status(&first()).await.unwrap().address;
        let mut one = inject(&environment, target("product").disconnect()).await;
        let mut other = inject(&environment, target("product").disconnect()).await;
        one.roll_back(&environment).await.unwrap();
        assert!(one.attest_gone(&environment).await.shown && other.attest(&environment).await.shown);
        other.roll_back(&environment).await.unwrap();
        let now = resources(&environment).connection_now(&first()).await.unwrap();
        assert_eq!(now, ConnectionNow { due: true, measured: true });
        assert_eq!(environment.runtime().status(&first()).await.unwrap().address, address, "under its old address");
        eventually("it answers again", || async { ask(&environment, "/products").await.is_ok() }).await;
        environment.destroy().await.unwrap();
    });
}

/// Where the kernel kills, the journal says so, and the restart policy brings it back.
#[chaos_test(runtime = "docker")]
#[ignore = "run by the test below, where an engine answers"]
async fn out_of_memory(lab: Lab) -> chaos_harness::Result<()> {
    let lab = lab.with_journals_in(chaos_harness::folders::chaos_dir().join("journals-of-tests"));
    // What is of interest is the journal, whatever the verdict.
    let _verdict = lab
        .experiment(stressed(|product| product.restarts()))
        .load(Load::get("product", "/stress/memory?amount=34").rate(20).deadline(1.secs()))
        .abort_above_error_rate(None)
        .abort_below_availability(None)
        .baseline(3.secs())
        .inject(target("product").memory_limit(20 << 20).hold(1.secs()))
        .hypothesis(hypothesis!(mttr < 30s))
        .run()
        .await?;
    let journal = lab.journals().pop().unwrap();
    let lives: Vec<(State, u32)> = journal
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Instance { state, restarts, .. } => Some((*state, *restarts)),
            _ => None,
        })
        .collect();
    let died = lives.iter().position(|(state, _)| *state == State::Exited { code: 137, oom: true });
    let died = died.unwrap_or_else(|| panic!("nothing says that the kernel killed it: {lives:?}"));
    assert!(lives[died..].iter().any(|(state, restarts)| *state == State::Running && *restarts > 0), "{lives:?}");
    let bite = journal.injections[0].bite.as_ref().unwrap();
    assert!(bite.shown && bite.looked_at.contains("killed by the kernel for want of memory"), "{}", bite.looked_at);
    assert!(journal.injections[0].gone.as_ref().unwrap().shown);
    assert!(journal.problems.is_empty(), "{:?}", journal.problems);
    Ok(())
}

#[test]
fn the_journal_says_that_the_kernel_killed_it() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    let mut run = std::process::Command::new(std::env::current_exe().unwrap());
    let output = run.args(["--exact", "out_of_memory", "--ignored", "--nocapture"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What a program of the harness uses up inside a container, it uses up of the container's own.
#[test]
fn pressure_stays_within_the_limits_and_ends() {
    on(RuntimeKind::Docker, |kind| async move {
        let topology = stressed(|product| product.volume("/data", 4 << 20).env("DATA", "/data"));
        let environment = start(kind, topology).await;
        no_limit_no_share(&environment).await;
        half_of_the_memory(&environment).await;
        half_a_core_for_two(&environment).await;
        full_and_empty(&environment).await;
        let init = environment.runtime().status(&first()).await.unwrap().pid.unwrap();
        let files = std::fs::read_dir(format!("/proc/{init}/root")).map(|files| {
            files.flatten().map(|file| file.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
        });
        // Only root may look.
        if let Ok(files) = files {
            assert!(!files.iter().any(|file| file.starts_with(".chaos")), "{files:?}");
        }
        environment.destroy().await.unwrap();
    });
}

async fn no_limit_no_share(environment: &Environment) {
    let refused = target("product").memory_stress(0.5).fault.inject(environment).await.err().unwrap();
    assert!(refused.to_string().contains("product-1 has no memory limit to take a share of"), "{refused}");
}

async fn half_of_the_memory(environment: &Environment) {
    const LIMIT: u64 = 64 << 20;
    let mut limit = inject(environment, target("product").memory_limit(LIMIT)).await;
    let mut stress = inject(environment, target("product").memory_stress(0.5)).await;
    let usage = resources(environment).usage(&first()).await.unwrap();
    let (bite, share) = (stress.attest(environment).await, usage.memory as f64 / LIMIT as f64);
    eprintln!("{:.0}% of the limit: {}", share * 100.0, bite.looked_at);
    assert!((0.45..0.75).contains(&share) && bite.shown, "{share}: {}", bite.looked_at);
    stress.roll_back(environment).await.unwrap();
    stress.roll_back(environment).await.unwrap();
    assert!(stress.attest_gone(environment).await.shown);
    let after = resources(environment).usage(&first()).await.unwrap();
    assert!(after.memory < usage.memory / 2, "{after:?}, {usage:?} before");
    limit.roll_back(environment).await.unwrap();
}

/// Two threads that never rest have half a core together, and the service has what is left.
async fn half_a_core_for_two(environment: &Environment) {
    let mut quota = inject(environment, target("product").cpu_quota(0.5)).await;
    let mut stress = inject(environment, target("product").cpu_stress(2)).await;
    let (before, since) = (resources(environment).usage(&first()).await.unwrap(), Instant::now());
    let throttled = || async {
        resources(environment).usage(&first()).await.unwrap().throttled_periods >= before.throttled_periods + 10
    };
    eventually("ten periods of throttling", throttled).await;
    let (after, elapsed) = (resources(environment).usage(&first()).await.unwrap(), since.elapsed());
    let cores = (after.cpu - before.cpu).as_secs_f64() / elapsed.as_secs_f64();
    let bite = stress.attest(environment).await;
    eprintln!("{cores:.2} cores used with a quota of 0.5: {}", bite.looked_at);
    assert!(cores < 0.65 && bite.shown, "{cores} cores: {}", bite.looked_at);
    stress.roll_back(environment).await.unwrap();
    assert!(stress.attest_gone(environment).await.shown);
    quota.roll_back(environment).await.unwrap();
}

async fn full_and_empty(environment: &Environment) {
    let mut full = inject(environment, target("product").disk_full("/data")).await;
    let bite = full.attest(environment).await;
    eprintln!("{}", bite.looked_at);
    assert!(bite.shown && bite.looked_at.contains("has 0 of 4194304 bytes free"), "{}", bite.looked_at);
    assert!(ask(environment, "/stress/disk?amount=64").await.is_err());
    full.roll_back(environment).await.unwrap();
    assert!(full.attest_gone(environment).await.shown);
    ask(environment, "/stress/disk?amount=64").await.unwrap();
    let nowhere = target("product").disk_full("/nowhere").fault.validate(environment.topology()).unwrap_err();
    assert!(nowhere.to_string().contains("the declared ones: /data"), "{nowhere}");
}

/// Not a test of its own: it is killed while it presses. Without `#[chaos_test]` it has no guard.
#[test]
#[ignore = "run by the test below, which kills it"]
fn presses_until_it_is_killed() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(|product| product)).await;
        let _stress = inject(&environment, target("product").cpu_stress(1)).await;
        let pid = environment.runtime().status(&first()).await.unwrap().pid.unwrap();
        println!("pressing on {pid}.");
        std::future::pending::<()>().await;
    });
}

/// The programs of the harness in the container of process `init`, seen from outside.
fn pressers(init: u32) -> usize {
    let group = std::fs::read_to_string(format!("/proc/{init}/cgroup")).unwrap_or_default();
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|process| process.path());
    let of_group = processes.filter(|path| std::fs::read_to_string(path.join("cgroup")).is_ok_and(|it| it == group));
    let names = of_group.filter_map(|path| std::fs::read_to_string(path.join("comm")).ok());
    names.filter(|name| name.starts_with(".chaos-press")).count()
}

#[test]
fn pressure_ends_with_the_test_process() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "presses_until_it_is_killed", "--ignored", "--nocapture"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let init = lines.find_map(|line| line.split_once("pressing on ")?.1.split_once('.')?.0.parse::<u32>().ok());
    let (init, pressed) = (init.unwrap(), pressers(init.unwrap()));
    victim.kill().unwrap();
    victim.wait().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        eventually("the program has ended", || async { pressers(init) == 0 }).await;
        assert_eq!(pressed, 1, "it pressed before");
        assert!(std::path::Path::new(&format!("/proc/{init}")).exists(), "its container is still there");
        sweep(false).await.unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{init}")).exists());
    });
}
