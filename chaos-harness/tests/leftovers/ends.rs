//! Other ways for a test process to end.

use std::time::Instant;

use chaos_harness::hypothesis::{Aborted, Verdict};
use chaos_harness::journal::{Journal, Outlook, Status};
use chaos_harness::report::{Gate, Report};
use chaos_harness::runtime::{EnvironmentId, RuntimeChoice, RuntimeKind, choose, sweep};
use chaos_harness::safety::{clean, halt_all};
use rstest::rstest;

use crate::common::{engine_answers, not_run};
use crate::traces;
use crate::victim::Victim;

/// The victim, unless `runtime` is not there.
fn start(test: &str, runtime: &str) -> Option<Victim> {
    if runtime == "docker" && !engine_answers() {
        not_run("no docker engine");
        return None;
    }
    Some(Victim::start(test, runtime))
}

#[rstest]
fn ended_by_itself(
    #[values("panics", "exits", "cancels", "clashes", "never_starts")] test: &str,
    #[values("process", "docker")] runtime: &str,
) {
    let Some(victim) = start(test, runtime) else { return };
    let (pid, folder) = (victim.pid(), victim.folder.path().to_owned());
    let Victim { process, folder: _kept } = victim;
    let output = process.wait_with_output().unwrap();
    let gone = traces::wait_until_gone(pid, &folder, test);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    match test {
        "panics" => assert!(!output.status.success() && said.contains("in the middle of it"), "{said}"),
        "exits" => assert_eq!(output.status.code(), Some(7), "{said}"),
        "clashes" => assert!(said.contains("refused: product-1"), "{said}"),
        "never_starts" => assert!(said.contains("refused: the start took longer than the time limit of 2s"), "{said}"),
        _ => assert!(!output.status.success() && said.contains("returned without judging"), "{said}"),
    }
    eprintln!("{test} on {runtime}: clean after {gone:?}");
}

/// What the journal says of an experiment that was halted.
fn assert_halted(journals: &[Journal]) {
    assert_eq!(journals.len(), 1);
    assert_eq!(journals[0].status, Status::Complete);
    assert_eq!(journals[0].verdict, Some(Verdict::Aborted { condition: Aborted::Halted }));
    assert!(journals[0].injections.iter().all(|injection| injection.rolled_back.is_some()), "rolled back first");
}

/// A test that takes what is not here is neither passed nor failed, and says so.
#[rstest]
#[case::a_fault("takes_containers", "process", "a network namespace per instance")]
#[case::an_engine("is_for_docker", "", "no docker engine answers")]
fn cannot_be_run(#[case] test: &str, #[case] runtime: &str, #[case] missing: &str) {
    let victim = Victim::start_with(test, runtime, &[("DOCKER_HOST", "unix:///nowhere/docker.sock")]);
    let folder = victim.folder.path().to_owned();
    let Victim { process, folder: _kept } = victim;
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("not run: "), "{said}");
    let report = Report::read(&folder.join("journal")).unwrap();
    let [experiment] = report.experiments.as_slice() else { panic!("{report:?}") };
    let journal = &experiment.journal;
    assert!(journal.not_run.as_ref().is_some_and(|reason| reason.contains(missing)), "{journal:?}");
    assert_eq!((journal.outlook(), Gate::of(&report), report.score()), (Outlook::NotRun, Gate::NothingToJudge, None));
}

/// Where the whole run asks for docker by name, a missing engine is a failure.
#[test]
fn an_engine_that_is_asked_for_by_name_is_there() {
    let victim = Victim::start_with("is_for_docker", "docker", &[("DOCKER_HOST", "unix:///nowhere/docker.sock")]);
    let output = victim.process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success() && said.contains("no docker engine answers"), "{said}");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

#[rstest]
fn asked_to_end(#[values("-INT", "-TERM", "twice")] how: &str, #[values("process", "docker")] runtime: &str) {
    let Some(mut victim) = start("waits", runtime) else { return };
    victim.wait_for_fault();
    let since = Instant::now();
    victim.signal(if how == "-TERM" { "-TERM" } else { "-INT" });
    if how == "twice" {
        victim.signal("-INT");
    }
    let status = victim.process.wait().unwrap();
    assert_eq!(status.code(), Some(if how == "-TERM" { 143 } else { 130 }), "{status:?}");
    eprintln!("{how} on {runtime}: ended after {:?}", since.elapsed());
    assert_eq!(
        traces::of(victim.pid(), victim.folder.path()),
        [""; 0],
        "{how} on {runtime}: nothing is left at its end"
    );
    victim.wait_until_gone(how);
    assert_halted(&victim.journals(how));
}

#[rstest]
fn killed_with_its_group_as_a_runner_does(#[values("process", "docker")] runtime: &str) {
    let Some(mut victim) = start("waits", runtime) else { return };
    victim.wait_for_fault();
    victim.kill_group();
    let gone = victim.wait_until_gone("killed with its group");
    assert_eq!(victim.journals("killed")[0].status, Status::Interrupted);
    eprintln!("group killed on {runtime}: clean after {gone:?}");
}

/// A process that hangs keeps nothing for longer than its environment may be there.
#[rstest]
fn out_of_time(#[values("process", "docker")] runtime: &str) {
    let Some(mut victim) = start("waits", runtime) else { return };
    victim.wait_for_fault();
    victim.signal("-STOP");
    let log = traces::logs(victim.folder.path()).remove(0);
    let text = std::fs::read_to_string(&log).unwrap();
    let (before, after) = text.split_once("\"until_ms\":").unwrap();
    let (_, after) = after.split_once('}').unwrap();
    std::fs::write(&log, format!("{before}\"until_ms\":1}}{after}")).unwrap();
    let since = Instant::now();
    while !traces::of(victim.pid(), victim.folder.path()).is_empty() {
        assert!(since.elapsed() < traces::WITHIN, "{:?}", traces::of(victim.pid(), victim.folder.path()));
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    eprintln!("out of time on {runtime}: clean after {:?}", since.elapsed());
    victim.kill();
    victim.wait_until_gone("out of time");
}

/// A machine that dies takes the guard with it: the next run cleans up.
#[rstest]
fn killed_with_its_guard(#[values("process", "docker")] runtime: &str) {
    let Some(mut victim) = start("waits", runtime) else { return };
    victim.wait_for_fault();
    victim.kill_with_its_guard();
    let undo = victim.folder.path().join("undo");
    let (cleaned, again) = block_on(async { (clean(&undo, false).await, clean(&undo, true).await) });
    assert_eq!(cleaned.failed, [""; 0]);
    let log = format!("{}", cleaned.found.iter().find(|left| left.what == "undo log of").unwrap());
    assert!(log.contains("chaos-victim-"), "{:?}", cleaned.found);
    assert!(!again.found.iter().any(|left| left.name.contains(&format!("-{}-", victim.pid()))), "{:?}", again.found);
    assert_eq!(traces::of(victim.pid(), victim.folder.path()), [""; 0]);
    assert_eq!(traces::logs(victim.folder.path()), [""; 0]);
}

#[rstest]
fn halted_from_another_terminal(#[values("process", "docker")] runtime: &str) {
    let Some(mut victim) = start("waits", runtime) else { return };
    victim.wait_for_fault();
    let halted = block_on(halt_all(&victim.folder.path().join("undo"), traces::WITHIN)).unwrap();
    assert_eq!((halted.asked.len(), halted.left.len()), (1, 0), "{halted:?}");
    assert_eq!(victim.process.wait().unwrap().code(), Some(143));
    victim.wait_until_gone("halted");
    assert_halted(&victim.journals("halted"));
}

#[test]
fn what_a_live_test_owns_is_not_swept() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    block_on(async {
        let id = EnvironmentId::new("alive");
        let (environment, _) = choose(RuntimeChoice::Only(RuntimeKind::Docker), &id).await.unwrap();
        let swept = sweep(false).await.unwrap();
        assert!(swept.iter().all(|leftover| leftover.name != id.name()), "{swept:?}");
        assert_eq!(traces::resources(std::process::id()).len(), 1, "the network must still be there");
        environment.destroy().await.unwrap();
        environment.destroy().await.unwrap();
    });
}
