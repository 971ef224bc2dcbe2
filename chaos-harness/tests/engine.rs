//! The engine on real processes: what is never upheld, what is refused, what is undone.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos_harness::experiment::{Expectation, Plan};
use chaos_harness::hypothesis::{Aborted, Inconclusive, Scope};
use chaos_harness::journal::{Event, Journal, Phase, What};
use chaos_harness::prelude::*;
use chaos_harness::runtime::State;
use chaos_harness::topology::InstanceId;

/// `inventory` -> `product`; nobody asks inventory unless a test does.
fn pair() -> Topology {
    topology! {
        pair:
        inventory { cargo: "shop" / "shop", args: ["inventory"], health: "/health/ready" },
        product { cargo: "shop" / "shop", args: ["product"], health: "/health/ready" },
        inventory -> product;
    }
}

fn browse() -> Load {
    Load::get("product", "/products").rate(100).deadline(1.secs())
}

/// The journal of the experiment that has just ended.
fn last(lab: &Lab) -> Journal {
    lab.journals().pop().expect("an experiment that has ended leaves a journal")
}

/// Their verdicts are about the harness, and no news for a gate.
fn apart(lab: Lab) -> Lab {
    lab.with_journals_in(chaos_harness::folders::chaos_dir().join("journals-of-tests"))
}

#[chaos_test(runtime = "process")]
async fn what_nobody_would_observe_is_refused_before_anything_starts(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let claims =
        [hypothesis!(availability > 95%), hypothesis!(mttr < 5s), hypothesis!(recovery < 5s), hypothesis!(p99 < 1s)];
    for claim in claims {
        let experiment = lab.experiment(pair()).inject(target("product").pause().hold(200.millis()));
        let message = experiment.hypothesis(claim.clone()).run().await.expect_err("nobody asks").to_string();
        assert!(
            message.starts_with(&format!("`{claim}` is measured from requests, and the plan sends none")),
            "{message}"
        );
    }
    let slow = lab.experiment(pair()).load(browse().rate(9)).inject(target("product").pause());
    let message = slow.hypothesis(hypothesis!(availability > 95%)).run().await.expect_err("27 of 30").to_string();
    assert!(message.contains("27 requests are due in the 3s of the baseline, 30 are needed"), "{message}");
    let message = lab.experiment(pair()).load(browse()).run().await.expect_err("nothing is claimed").to_string();
    assert!(message.starts_with("nothing is claimed"), "{message}");
    assert!(lab.journals().is_empty());
    Ok(())
}

/// A script may watch for as long as it likes, so its plan is not refused; but what it did not watch is not upheld.
#[chaos_test(runtime = "process")]
async fn what_nobody_observed_is_not_upheld(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let mut plan = Plan::new("unobserved", lab.seed(), pair());
    plan.load = Some(browse());
    plan.timing.baseline = 500.millis();
    plan.hypotheses = vec![hypothesis!(mttr < 5s), hypothesis!(recovery < 5s)];
    let mut session = lab.start(plan.clone()).await?;
    session.baseline().await?;
    let fault = session.inject(link(USERS, "product").latency(1.millis())).await?;
    session.until("the fault is felt", 5.secs(), |seen| seen.good > 55).await?;
    session.roll_back(fault).await?;
    session.hold(1.secs()).await?;
    let verdict = session.judge().await?.to_string();
    assert!(verdict.starts_with("inconclusive: mttr < 5s: not measured ("), "{verdict}");
    // Nobody watched the steady state.
    plan.hypotheses = vec![hypothesis!(availability > 1%)];
    let mut session = lab.start(plan).await?;
    let fault = session.inject(link(USERS, "product").latency(1.millis())).await?;
    session.until("the fault is felt", 5.secs(), |seen| seen.good > 50).await?;
    session.roll_back(fault).await?;
    let verdict = session.judge().await?.to_string();
    assert!(verdict.starts_with("inconclusive: the steady state was not measured before the fault"), "{verdict}");
    Ok(())
}

/// Without any load: readings are there while the experiment runs, and say why they are not.
#[chaos_test(runtime = "process")]
async fn probes_are_part_of_the_steady_state(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let probed = |claim| {
        let experiment = lab.experiment(pair()).baseline(500.millis()).steady_state(claim);
        let experiment = experiment.probe(Probe::health("up", "product", "/health/ready").detects_below(1.0));
        let experiment = experiment.probe(Probe::metric("lost", "product", "/nowhere", "requests_total"));
        let stopped = experiment.inject(target("product").stop().hold(500.millis()));
        stopped.hypothesis(hypothesis!(lowest("up") <= 0)).hypothesis(hypothesis!(mttd < 2s)).run()
    };
    let verdict = probed(hypothesis!(lowest("up") >= 1)).await?;
    assert!(verdict.is_upheld(), "{verdict}");
    let verdict = probed(hypothesis!(lowest("lost") >= 1)).await?.to_string();
    let because = "inconclusive: the steady state was not measured before the fault (lowest(\"lost\") >= 1 during baseline: \
                   not measured (none of ";
    assert!(verdict.starts_with(because), "{verdict}");
    assert!(verdict.ends_with("readings could be taken: status 404 Not Found))"), "{verdict}");
    Ok(())
}

/// An abort condition that nothing was ever read for would have stopped nothing.
#[chaos_test(runtime = "process")]
async fn a_blind_abort_condition_upholds_nothing(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let watched = |probe: &str| {
        let experiment = lab.experiment(pair()).load(browse()).baseline(500.millis());
        let experiment = experiment.probe(Probe::metric("queue", "product", probe, "queue"));
        let slow = experiment.inject(link(USERS, "product").latency(1.millis()).hold(500.millis()));
        slow.abort_when(hypothesis!(peak("queue") > 5000)).hypothesis(hypothesis!(availability > 1%)).run()
    };
    let verdict = watched("/nowhere").await?.to_string();
    assert!(verdict.starts_with("inconclusive: abort conditions were never measured"), "{verdict}");
    assert!(verdict.contains("status 404 Not Found"), "{verdict}");
    Ok(())
}

#[chaos_test(runtime = "process")]
async fn a_misspelt_route_is_refused_before_anything_starts(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let run = lab.experiment(pair()).load(browse()).hypothesis(hypothesis!(availability("/prodcts") > 95%)).run();
    let message = run.await.expect_err("the route does not exist").to_string();
    assert!(message.ends_with("names a route that the load does not send; it sends: /products"), "{message}");
    assert!(lab.journals().is_empty());
    Ok(())
}

#[chaos_test(runtime = "process")]
async fn a_fault_on_a_link_that_nobody_uses_is_not_upheld(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let verdict = lab
        .experiment(pair())
        .load(Load::get("product", "/products").rate(40).deadline(10.secs()))
        .baseline(1500.millis())
        .inject(link("inventory", "product").latency(1.secs()).hold(1.secs()))
        .hypothesis(hypothesis!(availability > 95%))
        .run()
        .await?;
    let Verdict::Inconclusive { reason } = &verdict else { panic!("{verdict}") };
    // A machine too busy for the load voids the run, before anybody asks what the fault did.
    assert!(matches!(reason, Inconclusive::NoBite { .. } | Inconclusive::GeneratorLag { .. }), "{verdict}");
    let journal = last(&lab);
    let [made] = journal.injections.as_slice() else { panic!("{:?}", journal.injections) };
    assert!(made.bite.as_ref().is_some_and(|bite| !bite.shown), "{made:?}");
    Ok(())
}

#[chaos_test(runtime = "process")]
async fn nothing_is_injected_into_what_is_not_steady(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let verdict = lab
        .experiment(pair())
        .load(browse().expect(204))
        .abort_above_error_rate(None)
        .abort_below_availability(None)
        .baseline(500.millis())
        .inject(target("product").kill().hold(400.millis()))
        .hypothesis(hypothesis!(availability > 95%))
        .run()
        .await?;
    assert!(matches!(verdict, Verdict::Inconclusive { reason: Inconclusive::NotSteady { .. } }), "{verdict}");
    assert!(last(&lab).injections.is_empty());
    Ok(())
}

#[chaos_test(runtime = "process")]
async fn too_many_errors_abort_and_undo(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let verdict = lab
        .experiment(pair())
        .load(browse())
        .baseline(500.millis())
        .inject(link(USERS, "product").refuse().hold(25.secs()))
        .hypothesis(hypothesis!(availability > 95%))
        .run()
        .await?;
    assert!(matches!(verdict, Verdict::Aborted { condition: Aborted::ErrorRate { .. } }), "{verdict}");
    let journal = last(&lab);
    assert!(journal.took < Some(20.secs()), "{:?}", journal.took);
    assert!(journal.injections[0].gone.as_ref().is_some_and(|gone| gone.shown), "{:?}", journal.injections[0]);
    Ok(())
}

#[chaos_test(runtime = "process")]
async fn conditions_of_its_own_abort(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let slow = |lab: &Lab, condition| {
        let experiment = lab.experiment(pair()).load(browse()).baseline(500.millis()).abort_when(condition);
        let slow = link(USERS, "product").latency(200.millis()).hold(8.secs());
        experiment.inject(slow).hypothesis(hypothesis!(availability > 95%)).recovery_within(5.secs())
    };
    let verdict = slow(&lab, hypothesis!(p50 > 150ms)).run().await?;
    let Verdict::Aborted { condition: Aborted::Condition { finding } } = &verdict else { panic!("{verdict}") };
    assert_eq!(finding.hypothesis.to_string(), "p50 > 150ms");
    assert!(last(&lab).took < Some(8.secs()), "before the end of the hold");
    let verdict = slow(&lab, hypothesis!(p50 > 300ms)).run().await?;
    assert!(verdict.is_upheld(), "{verdict}");
    let error = slow(&lab, hypothesis!(mttr > 1s)).run().await.unwrap_err().to_string();
    assert!(error.starts_with("`mttr > 1s` cannot stop an experiment"), "{error}");
    let error = slow(&lab, hypothesis!(p50("/nowhere") > 1s)).run().await.unwrap_err().to_string();
    assert!(error.contains("names a route that the load does not send"), "{error}");
    Ok(())
}

#[chaos_test(runtime = "process")]
async fn a_step_reaches_no_further_than_allowed(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let mut plan = Plan::new("steps", 1, pair());
    plan.limits.radius = BlastRadius::SingleService;
    let mut session = lab.start(plan).await?;
    let _first = session.inject(target("product").pause()).await?;
    let error = session.inject(target("inventory").pause()).await.unwrap_err().to_string();
    assert!(error.contains("blast radius is entire_system, allowed is single_service"), "{error}");
    let status = session.environment().runtime().status(&InstanceId::new("inventory", 1)).await?;
    assert_eq!(status.state, State::Running, "nothing of the second one is in force");
    session.judge().await.map(drop)
}

#[chaos_test(runtime = "process")]
async fn a_stalled_target_aborts_though_no_request_ends(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let verdict = lab
        .experiment(pair())
        .load(browse().deadline(30.secs()))
        .inject(target("product").pause().hold(25.secs()))
        .hypothesis(hypothesis!(availability > 95%))
        .run()
        .await?;
    assert!(matches!(verdict, Verdict::Aborted { .. }), "{verdict}");
    assert!(last(&lab).took < Some(20.secs()));
    Ok(())
}

#[chaos_test(runtime = "process", seed = 11)]
async fn the_journal_tells_what_happened_in_order(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let verdict = lab
        .experiment(pair())
        .load(browse())
        .probe(Probe::health("ready", "product", "/health/ready").detects_below(1.0))
        .baseline(700.millis())
        .inject(target("product").stop().hold(600.millis()))
        .abort_above_error_rate(None)
        .abort_below_availability(None)
        .repeat(3)
        .hypothesis(hypothesis!(mttr < 10s))
        .hypothesis(hypothesis!(mttd < 2s))
        .hypothesis(hypothesis!(lowest("ready") <= 0))
        .hypothesis(hypothesis!(last("ready") >= 1 during after))
        .run()
        .await?;
    assert!(verdict.is_upheld(), "{verdict}");
    let journal = last(&lab);
    assert_eq!((journal.plan.seed, journal.injections.len()), (11, 3));
    assert!(journal.findings[0].measured.to_string().contains("95% interval"), "{}", journal.findings[0]);
    assert!(journal.events.is_sorted_by_key(|event| event.at_us), "{:?}", journal.events);
    let phases: Vec<Phase> = journal.events.iter().filter_map(|event| phase(&event.what)).collect();
    let once = [Phase::Inject, Phase::Hold, Phase::RollBack, Phase::Recover];
    let expected = [Phase::Preflight, Phase::Start, Phase::Baseline].into_iter();
    let expected = expected.chain(once.into_iter().cycle().take(12)).chain([Phase::Judge, Phase::TearDown]);
    assert_eq!(phases, expected.collect::<Vec<_>>());
    Ok(())
}

fn phase(what: &What) -> Option<Phase> {
    match what {
        What::Phase { phase } => Some(*phase),
        _ => None,
    }
}

#[chaos_test(runtime = "process", seed = 5)]
async fn one_seed_makes_the_same_decisions(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let routes = |journal: &Journal| -> Vec<u16> {
        journal.samples.decode().unwrap().iter().map(|sample| sample.route).collect()
    };
    for _ in 0..2 {
        let load = browse().also(Request::get("product", "/health/live"));
        let run =
            lab.experiment(pair()).load(load).baseline(1500.millis()).hypothesis(hypothesis!(p99 < 1s during baseline));
        // Whatever the verdict: it is about the machine, and the decisions are not.
        println!("{}", run.run().await?);
    }
    let journals = lab.journals();
    let shorter = journals.iter().map(|journal| routes(journal).len()).min().unwrap_or(0);
    assert!(shorter > 100, "{shorter} samples");
    assert_eq!(routes(&journals[0])[..shorter], routes(&journals[1])[..shorter]);
    assert_eq!(journals[0].plan.seed, journals[1].plan.seed);
    assert_ne!(journals[0].plan.name, journals[1].plan.name, "the second must not replace the first");
    Ok(())
}

#[chaos_test(runtime = "process")]
async fn the_steps_can_be_taken_one_by_one(lab: Lab) -> chaos_harness::Result<Verdict> {
    let lab = apart(lab);
    let mut plan = Plan::new("by_hand", lab.seed(), pair());
    plan.load = Some(browse());
    plan.timing.baseline = 500.millis();
    plan.hypotheses = vec![hypothesis!(error_rate > 5%), hypothesis!(availability > 99% during after)];
    plan.expectation = Expectation::Upheld;
    let mut session = lab.start(plan).await?;
    session.baseline().await?;
    let fault = session.inject(link(USERS, "product").refuse()).await?;
    session.until("40 requests were refused", 5.secs(), |seen| seen.failed >= 40).await?;
    session.roll_back(fault).await?;
    session.recover().await?;
    session.hold(500.millis()).await?;
    session.judge().await
}

/// `inventory` asks `product` once for each of its requests.
#[chaos_test(runtime = "process")]
async fn the_journal_tells_what_the_links_saw(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let verdict = lab
        .experiment(pair())
        .load(browse())
        .baseline(700.millis())
        .inject(link(USERS, "product").latency(20.millis()).hold(700.millis()))
        .hypothesis(hypothesis!(availability > 95%))
        .run()
        .await?;
    assert!(verdict.is_upheld(), "{verdict}");
    let journal = last(&lab);
    let (made, traffic) = (&journal.injections[0], &journal.links);
    let [name] = made.links.as_slice() else { panic!("{made:?}") };
    let rolled_back = made.rolled_back.expect("it was rolled back");
    let counted = |counter, from, to| traffic.counted(name, counter, from, to);
    assert_eq!(name.to_string(), "users -> product");
    let begins =
        journal.events.iter().find(|event| phase(&event.what) == Some(Phase::Inject)).expect("it was injected");
    let before = Duration::from_micros(begins.at_us);
    assert_eq!(counted("delayed_chunks", Duration::ZERO, before), 0, "before the fault");
    assert!(counted("delayed_chunks", made.began, rolled_back) > 20, "{traffic:?}");
    assert!(counted("bytes_up", Duration::ZERO, before) > 1_000, "the baseline is counted too");
    let link = traffic.of(name).expect("the link is there");
    assert!(link.total("accepted") > 0 && link.open.iter().any(|open| *open > 0), "{link:?}");
    let sums = link.counted.iter().map(|(name, column)| (name.clone(), column.iter().sum()));
    assert_eq!(sums.collect::<BTreeMap<String, u64>>(), link.totals);
    let silent = traffic.each.iter().filter(|link| link.totals.is_empty()).map(|link| link.link.to_string());
    assert_eq!(silent.collect::<Vec<_>>(), ["inventory -> product", "users -> inventory"]);
    edges_are_those_of_the_phases(&journal);
    Ok(())
}

fn edges_are_those_of_the_phases(journal: &Journal) {
    let traffic = &journal.links;
    assert!(traffic.intervals().all(|(from, until)| from <= until), "{:?}", traffic.until_us);
    let edges = |event: &&Event| phase(&event.what) > Some(Phase::Start) || matches!(event.what, What::Injected { .. });
    for event in journal.events.iter().filter(edges) {
        assert!(traffic.until_us.contains(&event.at_us), "{event:?} is not at {:?}", traffic.until_us);
    }
}

#[chaos_test(runtime = "process")]
async fn a_condition_that_does_not_come_true_is_named(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let mut plan = Plan::new("until", lab.seed(), pair());
    plan.load = Some(browse());
    let mut session = lab.start(plan).await?;
    let failed = session.until("pigs fly", 300.millis(), |_| false).await;
    let message = failed.expect_err("they do not").to_string();
    assert!(message.starts_with("`pigs fly` did not come true within 300ms; answers by then: "), "{message}");
    let product = InstanceId::new("product", 1);
    let pid = session.environment().runtime().status(&product).await?.pid;
    assert!(session.judge().await?.word() == "inconclusive", "nothing was claimed");
    assert!(!is_alive(pid), "process {pid:?} is left");
    Ok(())
}

fn is_alive(pid: Option<u32>) -> bool {
    pid.is_some_and(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists())
}

#[chaos_test(runtime = "process")]
async fn a_radius_that_is_not_allowed_is_refused_before_anything_starts(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let run = lab
        .experiment(pair())
        .inject(target("product").kill())
        .inject(target("inventory").kill())
        .allow(BlastRadius::SingleService)
        .hypothesis(hypothesis!(mttr < 1min))
        .run();
    let message = run.await.expect_err("two services are a cluster").to_string();
    assert!(message.contains("blast radius is entire_system, allowed is single_service"), "{message}");
    assert!(lab.journals().is_empty());
    Ok(())
}

#[test]
fn scopes_are_about_the_fault_unless_they_say_otherwise() {
    assert_eq!(hypothesis!(availability > 95%).scope, Scope::Fault);
    assert_eq!(Duration::from_secs(120), 2.mins());
}
