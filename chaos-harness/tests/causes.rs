//! A failure names its cause: what is in the way is told, with what can be done about it.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::process::{Command, Output};

use chaos_harness::environment::Environment;
use chaos_harness::experiment::Plan;
use chaos_harness::fault::FaultKind;
use chaos_harness::journal::Journal;
use chaos_harness::prelude::*;
use chaos_harness::runtime::{RuntimeKind, State};
use chaos_harness::topology::{InstanceId, Protocol, USERS};
use common::{docker, eventually, not_run, on, open, pair, product, start};
use tokio::io::AsyncWriteExt;

/// A rule that drops what comes from an interface; taken off when it is dropped.
struct Wall(String);

impl Wall {
    /// `None` when this user may not.
    fn against(interface: &str) -> Option<Self> {
        let table = format!("chaos_harness_test_{}", std::process::id());
        let rules = format!(
            "table inet {table} {{ chain input {{ type filter hook input priority 0; iifname \"{interface}\" drop; }}; }}"
        );
        let loaded = Command::new("nft").arg(rules.as_str()).output();
        loaded.is_ok_and(|output| output.status.success()).then(|| Self(table))
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        let removed = Command::new("nft").args(["delete", "table", "inet", &self.0]).output().unwrap();
        assert!(removed.status.success(), "table {} stays: {removed:?}", self.0);
    }
}

#[test]
fn a_firewall_between_containers_and_links() {
    on(RuntimeKind::Docker, |kind| async move {
        let (id, runtime) = open(kind).await;
        let network = docker(&["network", "inspect", "--format", "{{.Id}}", id.name()]);
        let interface = format!("br-{}", &network[..12]);
        let Some(wall) = Wall::against(&interface) else { return not_run("no right to set rules with nft") };
        let error = Environment::start(&pair(), runtime.clone(), 1).await.unwrap_err().to_string();
        runtime.destroy().await.unwrap();
        drop(wall);
        assert!(error.contains("inventory-1 cannot reach this machine at"), "{error}");
        assert!(error.contains(&format!("ufw allow in on {interface}")), "{error}");
    });
}

#[test]
fn a_connection_that_is_not_http() {
    const HELLO: &[u8] = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03";
    on(RuntimeKind::Process, |kind| async move {
        let topology = Topology::new("tls").service(product()).link_over(USERS, "product", Protocol::Http);
        let environment = start(kind, topology).await;
        let fault = link(USERS, "product").http().abort(503);
        let mut injected = fault.fault.inject(&environment).await.unwrap();
        let mut stream = tokio::net::TcpStream::connect(environment.address("product").unwrap()).await.unwrap();
        stream.write_all(&[HELLO, &[0; 40]].concat()).await.unwrap();
        let injected = tokio::sync::Mutex::new(&mut injected);
        eventually("it is told", || async {
            let seen = injected.lock().await.attest(&environment).await;
            !seen.shown && seen.looked_at.ends_with("; 1 of 1 connections could not be read as HTTP: 1 TLS")
        })
        .await;
        environment.destroy().await.unwrap();
    });
}

/// More users at a time than this process may have descriptors, once nobody is answered.
#[chaos_test(runtime = "process")]
#[ignore = "run with few descriptors by the tests of this file"]
async fn needs_many_descriptors(lab: Lab) -> chaos_harness::Result<Verdict> {
    let mut plan = Plan::new("many", 1, Topology::new("many").service(product()));
    plan.load = Some(Load::get("product", "/products").rate(200).deadline(3.secs()));
    let mut session = lab.start(plan).await?;
    let status = session.environment().runtime().status(&InstanceId::new("product", 1)).await?;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", status.pid.unwrap())).unwrap();
    println!("of the child: {}", limits.lines().find(|line| line.starts_with("Max open files")).unwrap());
    assert_eq!(status.state, State::Running);
    let _fault = session.inject(target("product").pause()).await?;
    session.hold(1500.millis()).await?;
    session.judge().await
}

#[test]
fn descriptors_that_run_out() {
    let folder = tempfile::tempdir().unwrap();
    let build = chaos_harness::folders::chaos_dir().join("build");
    std::fs::create_dir_all(&build).unwrap();
    std::os::unix::fs::symlink(build.canonicalize().unwrap(), folder.path().join("build")).unwrap();
    // Whatever has to be built is built with what there is.
    on(RuntimeKind::Process, |kind| async move {
        start(kind, Topology::new("built").service(product())).await.destroy().await.unwrap();
    });
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 100; ulimit -Hn 160; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "needs_many_descriptors", "--nocapture"]);
    let Output { status, stdout, stderr } =
        command.env("CHAOS_DIR", folder.path()).env("CHAOS_RUNTIME", "process").output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(!status.success() && said.contains("requests of the load"), "{said}");
    assert!(
        said.contains("too many open files: this process may have 160 (hard limit 160); raise it with `ulimit -n`"),
        "{said}"
    );
    let child = said.lines().find(|line| line.contains("of the child: ")).unwrap();
    assert_eq!(
        child.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>(),
        [100, 160],
        "{child}"
    );
}

/// What becomes of the folder of journals while an experiment runs.
async fn without_its_folder(lab: &Lab, folder: &std::path::Path, damage: impl FnOnce()) -> (Verdict, Journal) {
    let lab = lab.clone().with_journals_in(folder);
    let mut plan = Plan::new("folder", 1, Topology::new("one").service(product()));
    plan.load = Some(Load::get("product", "/products").rate(100).deadline(1.secs()));
    plan.timing.baseline = 800.millis();
    plan.hypotheses = vec![hypothesis!(availability > 1% during baseline)];
    let mut session = lab.start(plan).await.expect("it starts");
    damage();
    session.baseline().await.expect("it goes on");
    let verdict = session.judge().await.expect("the verdict is told");
    (verdict, lab.journals().pop().expect("and there is a journal"))
}

#[chaos_test(runtime = "process")]
async fn a_verdict_is_told_without_the_folder_of_journals(lab: Lab) -> chaos_harness::Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let journals = folder.path().join("journal");
    let (verdict, journal) = without_its_folder(&lab, &journals, || {
        std::fs::remove_dir_all(&journals).expect("it was there");
    })
    .await;
    assert_eq!((Some(verdict), journal.problems.len()), (journal.verdict.clone(), 0));
    assert!(journals.join(journal.folder()).join(journal.file_name()).is_file(), "the folder was made again");
    Ok(())
}

/// Not even root can write below a file.
#[chaos_test(runtime = "process")]
#[ignore = "run by the tests of this file"]
async fn writes_below_a_file(lab: Lab) -> chaos_harness::Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let journals = folder.path().join("journal");
    let (verdict, journal) = without_its_folder(&lab, &journals, || {
        std::fs::remove_dir_all(&journals).expect("it was there");
        std::fs::write(&journals, "in the way").expect("a file");
    })
    .await;
    println!("told: {verdict}");
    assert_eq!(Some(verdict), journal.verdict);
    Ok(())
}

#[test]
fn a_journal_that_cannot_be_written_hides_no_verdict() {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--ignored", "--exact", "writes_below_a_file", "--nocapture"]);
    let Output { status, stdout, stderr } = test.env("CHAOS_RUNTIME", "process").output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    let verdict = said.lines().find_map(|line| line.split_once("told: ")).unwrap().1;
    assert!(!status.success() && said.contains(&format!("folder: {verdict}, but")), "{said}");
    assert!(said.contains("the journal could not be written"), "{said}");
}
