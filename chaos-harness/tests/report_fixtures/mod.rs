//! Journals of every kind, always the same ones.
#![allow(dead_code, reason = "each test target uses a part of it")]

mod samples;
mod traffic;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chaos_harness::experiment::{Expectation, Plan, Story};
use chaos_harness::fault::{Attestation, Injection, link, target};
use chaos_harness::hypothesis::{
    Aborted, Comparison, Finding, Hypothesis, Inconclusive, Measure, Measured, Threshold, Unmeasured, Verdict,
};
use chaos_harness::journal::{
    Event, InjectionRecord, Journal, Milestones, Phase, Problem, Record, SCHEMA_VERSION, Status, TestRef, TestRun,
    Traffic, Versions, What,
};
use chaos_harness::link::LinkName;
use chaos_harness::load::{LagReport, Load, Request};
use chaos_harness::measure::{Detection, Outage, Outages, Recovery, SampleColumns, Series, Tally, Window};
use chaos_harness::runtime::{Choice, RuntimeKind, State};
use chaos_harness::topology::{InstanceId, Service, Topology};

pub(crate) use samples::Shape;

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Every kind of journal that is a value; `write_all` adds those that only exist as files.
pub(crate) fn journals() -> Vec<Journal> {
    vec![upheld(), twin(), refuted(), inconclusive(), aborted(), left_behind()]
}

/// The requests of a shape.
pub(crate) fn samples_of(shape: Shape) -> Vec<chaos_harness::measure::Sample> {
    samples::of(shape)
}

/// Writes every journal, an interrupted one and a truncated one into `folder`.
pub(crate) fn write_all(folder: &Path) {
    for journal in journals() {
        write(folder, &journal);
    }
    write_interrupted(folder);
    write_truncated(folder);
}

pub(crate) fn write(folder: &Path, journal: &Journal) -> PathBuf {
    let folder = folder.join(journal.folder());
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(journal.file_name());
    fs::write(&path, serde_json::to_vec(journal).unwrap()).unwrap();
    path
}

/// `journal` as run `id` wrote it, `minutes` after noon, in its first attempt.
pub(crate) fn in_run(id: &str, minutes: u64, journal: Journal) -> Journal {
    let noon: jiff::Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let started_at = noon + Duration::from_secs(60 * minutes);
    let executable = "/src/shop/target/debug/deps/cascading_failure-0123456789abcdef".to_owned();
    Journal {
        run: format!("{minutes}-{}-{}", id.replace('/', "-"), journal.name()),
        started_at: started_at + ms(2_500),
        test_run: Some(TestRun { id: id.to_owned(), started_at, attempt: 1, executable }),
        ..journal
    }
}

/// What a killed test process leaves.
pub(crate) fn write_interrupted(folder: &Path) -> PathBuf {
    let journal = Journal { status: Status::Running, took: None, verdict: None, ..named("checkout_is_interrupted") };
    let head = Record::Head { owner: "a process that is gone".to_owned(), journal: Box::new(journal.clone()) };
    let event = Record::Event(phase(Phase::Baseline, 700));
    let lines: String = [head, event].iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(journal.partial_file_name());
    fs::write(&path, lines + "{\"record\":\"eve").unwrap();
    path
}

/// A journal whose second half is lost.
pub(crate) fn write_truncated(folder: &Path) -> PathBuf {
    let path = write(folder, &named("truncated_on_a_full_disk"));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    path
}

/// The breaker opens, a fallback answers, and all is well again after the rollback.
pub(crate) fn upheld() -> Journal {
    let mut journal = slow_inventory("slow_inventory_does_not_cascade");
    journal.samples = SampleColumns::encode(&samples::of(Shape::Fallback));
    journal.findings = findings(availability(&journal), 62, Some(730));
    journal.injections = vec![slow_record(2_010, 2_740)];
    journal.verdict = Some(Verdict::of(&journal.findings));
    journal.plan.story = Story {
        hypothesis: "A slow inventory does not take the shop down.".to_owned(),
        method: "Every answer of inventory to order is delayed by 5 s for 10 s, under 100 requests a second."
            .to_owned(),
        observation: "Orders failed for 0.7 s until the breaker opened; after that the fallback answered.".to_owned(),
        learning: "Callers must not wait longer than their own callers do.".to_owned(),
        improvement: "Let the breaker open on slow answers, not on errors alone.".to_owned(),
    };
    journal
}

/// The same without its breaker.
pub(crate) fn twin() -> Journal {
    let mut journal = slow_inventory("slow_inventory_does_not_cascade_without_breaker");
    journal.plan.expectation = Expectation::Refuted { without: "circuit breaker".to_owned() };
    journal.samples = SampleColumns::encode(&samples::of(Shape::Outage));
    journal.findings = findings(availability(&journal), 74, Some(11_430));
    journal.injections = vec![slow_record(2_010, 13_440)];
    journal.verdict = Some(Verdict::of(&journal.findings));
    journal
}

/// Inventory is killed and comes back, but not in time.
pub(crate) fn refuted() -> Journal {
    let mut journal = named("inventory_comes_back");
    let fault = Injection::new(target("inventory").kill().fault);
    journal.plan.injections = vec![fault.hold(ms(10_000))];
    journal.samples = SampleColumns::encode(&samples::of(Shape::Outage));
    journal.findings = findings(availability(&journal), 74, Some(11_430));
    journal.injections = vec![InjectionRecord {
        fault: "kill inventory".to_owned(),
        mechanism: "SIGKILL to process 4711".to_owned(),
        links: vec![LinkName::new("users", "inventory"), LinkName::new("order", "inventory")],
        bite: Some(Attestation::shown("process 4711 of inventory-1 gone")),
        gone: Some(Attestation::shown("nothing to undo: the restart policy brings it back")),
        outages: Some(Outages {
            count: 2,
            longest: ms(8_990),
            total: ms(11_400),
            bad: 1_140,
            requests: 1_143,
            stray: 1,
            begun_before: None,
            list: vec![
                Outage { from: ms(2_010), to: Some(ms(11_000)) },
                Outage { from: ms(11_030), to: Some(ms(13_440)) },
            ],
        }),
        ..slow_record(2_010, 13_440)
    }];
    let exited = What::Instance {
        instance: InstanceId::new("inventory", 1),
        state: State::Exited { code: 137, oom: false },
        restarts: 0,
    };
    journal.events.insert(5, event(exited, 2_012));
    journal.verdict = Some(Verdict::of(&journal.findings));
    journal
}

/// The fault could not be shown to have bitten.
pub(crate) fn inconclusive() -> Journal {
    let mut journal = slow_inventory("a_fault_that_does_not_bite");
    journal.samples = SampleColumns::encode(&samples::of(Shape::Well));
    journal.findings = vec![Finding {
        measured: Measured::Nothing { reason: Unmeasured::TooFewSamples { have: 3, need: 30 } },
        ..findings(1.0, 10, None).remove(0)
    }];
    let looked_at = "0 chunks delayed".to_owned();
    journal.injections = vec![InjectionRecord {
        bite: Some(Attestation::not_shown(looked_at.clone())),
        recovery: Some(Recovery::NoImpact),
        detection: None,
        milestones: None,
        ..slow_record(2_010, 2_740)
    }];
    let fault = "latency 5s on order -> inventory".to_owned();
    journal.verdict = Some(Verdict::Inconclusive { reason: Inconclusive::NoBite { fault, looked_at } });
    journal
}

/// Stopped because too much failed.
pub(crate) fn aborted() -> Journal {
    let mut journal = slow_inventory("too_much_fails");
    journal.samples = SampleColumns::encode(&samples::of(Shape::CutShort));
    journal.findings = Vec::new();
    journal.events.truncate(6);
    journal.events.push(event(What::Aborting { condition: "error rate above 50%".to_owned() }, 6_350));
    journal.events.push(phase(Phase::RollBack, 6_360));
    journal.injections = vec![InjectionRecord {
        rolled_back: Some(ms(6_400)),
        recovery: Some(Recovery::NotRecovered { first_bad: ms(2_010), observed_until: ms(6_400) }),
        milestones: Some(Milestones { first_bad: Some(ms(2_010)), healed: Some(ms(6_400)), ..Milestones::default() }),
        ..slow_record(2_010, 2_740)
    }];
    journal.verdict = Some(Verdict::Aborted { condition: Aborted::ErrorRate { measured: 0.52, limit: 0.5 } });
    journal
}

/// Upheld, but a container stayed, and its texts try to break out of every format.
pub(crate) fn left_behind() -> Journal {
    let mut journal = upheld();
    journal.plan.name = "left_behind".to_owned();
    journal.plan.story = Story::default();
    journal.problems = vec![
        Problem::LeftBehind { what: "container <script>alert(1)</script> & \"quotes\"".to_owned() },
        Problem::RollbackFailed {
            fault: "latency 5s on order -> inventory".to_owned(),
            reason: "the proxy is gone\n::error::not a command | not a cell".to_owned(),
        },
    ];
    let hostile = "]]></system-out><b>\u{1b}[31mred\u{0}\u{ffff}::stop-commands::x".to_owned();
    journal.logs.insert("inventory-1".to_owned(), vec![hostile, "~~~~~~ `|` <details>".to_owned()]);
    journal
}

fn slow_inventory(name: &str) -> Journal {
    let mut journal = named(name);
    journal.plan.injections = vec![link("order", "inventory").latency(ms(5_000)).hold(ms(10_000))];
    journal.links = traffic::slow_inventory();
    journal
}

/// An upheld journal with nothing but a name, a plan and phases.
pub(crate) fn named(name: &str) -> Journal {
    let topology = Topology::new("shop")
        .service(Service::new("gateway").cargo("shop", "shop").args(["gateway"]).http("/health/ready"))
        .service(Service::new("order").cargo("shop", "shop").args(["order"]).http("/health/ready"))
        .service(Service::new("inventory").cargo("shop", "shop").args(["inventory"]).restarts())
        .link("gateway", "order")
        .link("order", "inventory");
    let mut plan = Plan::new(name, 42, topology);
    let load = Load::post("gateway", "/orders").json(&serde_json::json!({ "sku": "a-1" })).rate(100);
    plan.load = Some(load.also(Request::get("gateway", "/catalog")));
    plan.hypotheses = findings(1.0, 1, None).into_iter().map(|finding| finding.hypothesis).collect();
    let lines = (1..=12).map(|at| format!("12:00:{at:02} INFO stock of a-1 asked for"));
    Journal {
        schema: SCHEMA_VERSION,
        run: format!("20261120T120000-{name}"),
        test_run: None,
        test: TestRef {
            package: "resilience-tests".to_owned(),
            target: "cascading_failure".to_owned(),
            test: name.to_owned(),
            file: "resilience-tests/tests/cascading_failure.rs".to_owned(),
            line: 12,
        },
        status: Status::Complete,
        started_at: "2026-11-20T12:00:00Z".parse().unwrap(),
        took: Some(ms(17_420)),
        versions: Versions {
            harness: "0.1.0".to_owned(),
            runtime: "Docker Engine 20.10.24".to_owned(),
            system: "Linux 6.1".to_owned(),
        },
        runtime: Choice { kind: RuntimeKind::Docker, reason: "an engine answers".to_owned() },
        plan,
        events: events(),
        injections: Vec::new(),
        routes: vec!["/orders".to_owned(), "/catalog".to_owned()],
        samples: SampleColumns::default(),
        links: Traffic::default(),
        probes: vec![Series { name: "inventory".to_owned(), ..Series::default() }],
        generator: Some(LagReport {
            sends: 1_530,
            unsent: 0,
            p50: Duration::from_micros(80),
            p99: Duration::from_micros(640),
            max: ms(2),
            within_1ms: 0.9987,
            limit: ms(50),
        }),
        steady_state: vec![findings(1.0, 4, None).remove(0)],
        findings: Vec::new(),
        verdict: Some(Verdict::Upheld),
        not_run: None,
        problems: Vec::new(),
        logs: [("inventory-1".to_owned(), lines.collect()), ("order-1".to_owned(), vec!["breaker open".to_owned()])]
            .into(),
        replay: format!(
            "CHAOS_SEED=42 cargo test --package resilience-tests --test cascading_failure {name} -- --exact"
        ),
    }
}

pub(crate) fn on_process() -> Choice {
    Choice { kind: RuntimeKind::Process, reason: "asked for".to_owned() }
}

/// Availability while the fault was in force.
fn availability(journal: &Journal) -> f64 {
    let samples = journal.samples.decode().unwrap();
    Tally::of(Window::new(ms(2_000), ms(12_030)).of(&samples)).rates(30).unwrap().availability
}

/// Availability, p99 of the catalogue in ms, and MTTR in ms; no MTTR is no impact.
fn findings(availability: f64, p99: u64, mttr: Option<u64>) -> Vec<Finding> {
    let value = |value| Measured::Value { value, interval: None, count: 1_000 };
    let claim = |measure, comparison, threshold, measured| Finding {
        hypothesis: Hypothesis::new(measure, comparison, threshold).unwrap(),
        measured,
    };
    let catalog = Measure::Latency { quantile: 0.99, route: Some("/catalog".to_owned()) };
    let mttr = mttr.map_or(Measured::NoImpact { count: 1_000 }, |time| value(Threshold::Time(ms(time))));
    vec![
        claim(
            Measure::Availability { route: None },
            Comparison::Above,
            Threshold::Ratio(0.95),
            value(Threshold::Ratio(availability)),
        ),
        claim(catalog, Comparison::Below, Threshold::Time(ms(250)), value(Threshold::Time(ms(p99)))),
        claim(Measure::Mttr, Comparison::Below, Threshold::Time(ms(10_000)), mttr),
    ]
}

/// 5 s of latency from 2.0 s to 12.03 s that users felt from `first_bad` to `steady`, in milliseconds.
fn slow_record(first_bad: u64, steady: u64) -> InjectionRecord {
    InjectionRecord {
        planned: 0,
        repetition: 1,
        fault: "latency 5s on order -> inventory".to_owned(),
        mechanism: "link proxy".to_owned(),
        links: vec![LinkName::new("order", "inventory")],
        reached: None,
        began: ms(2_000),
        applied: ms(2_000),
        rolled_back: Some(ms(12_030)),
        bite: Some(Attestation::shown("312 chunks delayed")),
        gone: Some(Attestation::shown("a probe took 1 ms")),
        recovery: Some(Recovery::Recovered { first_bad: ms(first_bad), steady: ms(steady) }),
        outages: None,
        detection: Some(Detection::Detected { injected: ms(2_000), detected: ms(2_650) }),
        milestones: Some(Milestones {
            first_bad: Some(ms(first_bad)),
            detected: Some(ms(2_650)),
            degraded: (steady < 12_000).then(|| ms(2_740)),
            healed: Some(ms(12_030)),
            steady: Some(ms(steady)),
        }),
    }
}

fn events() -> Vec<Event> {
    vec![
        phase(Phase::Preflight, 0),
        phase(Phase::Start, 40),
        phase(Phase::Baseline, 700),
        phase(Phase::Inject, 1_990),
        event(What::Injected { injection: 0 }, 2_000),
        phase(Phase::Hold, 2_001),
        phase(Phase::RollBack, 12_010),
        event(What::RolledBack { injection: 0 }, 12_030),
        phase(Phase::Recover, 12_031),
        event(What::Steady, 13_500),
        phase(Phase::Judge, 16_000),
        phase(Phase::TearDown, 16_050),
    ]
}

fn phase(phase: Phase, at: u64) -> Event {
    event(What::Phase { phase }, at)
}

fn event(what: What, at: u64) -> Event {
    let started: jiff::Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    Event { at_us: at * 1_000, wall: started + ms(at), what }
}
