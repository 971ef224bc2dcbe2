//! What one user of a machine plants for another one: undo logs, folders, links. Nothing of it is carried out, followed or
//! in the way of the other's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use chaos_harness::folders::undo_dir;
use chaos_harness::runtime::{EnvironmentId, RuntimeChoice, RuntimeKind, choose};
use chaos_harness::safety::clean;
use rustix::process::geteuid;

use crate::common::{docker, engine_answers, not_run};
use crate::existing::allow_list;
use crate::foreign::{Foreign, image};

/// A user that nothing of this machine belongs to.
const MALLORY: u32 = 54321;
/// Another one, whose processes nobody else looks at.
const BOB: u32 = 54322;
/// The environment that planted logs are of.
const ENVIRONMENT: &str = "chaos-planted-1-1-1";

#[test]
#[ignore = "run by the tests of this file, as some user"]
fn cleans() {
    let cleaned = tokio::runtime::Runtime::new().unwrap().block_on(clean(&undo_dir(), false));
    cleaned.found.iter().for_each(|found| println!("found: {found}"));
    cleaned.failed.iter().for_each(|failed| println!("failed: {failed}"));
}

/// An environment of a process that does not clean up after itself.
#[test]
#[ignore = "run and killed by the tests of this file, as some user"]
fn begins() {
    let id = EnvironmentId::new("begun");
    let opened =
        tokio::runtime::Runtime::new().unwrap().block_on(choose(RuntimeChoice::Only(RuntimeKind::Process), &id));
    match opened {
        Ok(_runtime) => {
            println!("begun: {}", id.name());
            // Until it is killed; no longer than those who wait for it.
            let _ = std::io::stdin().read_line(&mut String::new());
            std::process::abort();
        }
        Err(error) => println!("refused: {error}"),
    }
}

/// This executable, where everybody may start it.
struct Everybodys {
    executable: PathBuf,
    _folder: tempfile::TempDir,
}

impl Everybodys {
    /// `None`, visibly, where this is not root.
    fn new() -> Option<Self> {
        if !geteuid().is_root() {
            not_run("only root can be somebody else");
            return None;
        }
        let folder = shared(0o755);
        let executable = folder.path().join("test");
        fs::copy(std::env::current_exe().unwrap(), &executable).unwrap();
        Some(Self { executable, _folder: folder })
    }

    fn run_by(&self, user: u32) -> Command {
        let mut command = Command::new(&self.executable);
        command.uid(user).gid(user).current_dir("/");
        command
    }
}

/// This executable as this user.
pub(crate) fn here() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

fn shared(mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
    folder
}

fn sh(user: u32, script: &str) {
    let mut command = Command::new("sh");
    assert!(command.args(["-c", script]).uid(user).gid(user).status().unwrap().success(), "{user}: {script}");
}

fn alone<'a>(command: &'a mut Command, test: &str, chaos: &Path) -> &'a mut Command {
    command.args(["--ignored", "--exact", &format!("planted::{test}"), "--nocapture"]).env("CHAOS_DIR", chaos)
}

/// What a cleaning says in a process of its own, with the undo logs below `chaos`.
pub(crate) fn cleaned(command: &mut Command, chaos: &Path, allowed: &Path) -> String {
    let output = alone(command, "cleans", chaos).env("CHAOS_ALLOW_FILE", allowed).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The first line of an undo log whose owner is gone.
fn header() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap();
    let (machine, boot) = (read("/etc/machine-id"), read("/proc/sys/kernel/random/boot_id"));
    let owner = format!("1/0/{machine}/{boot}/{}", namespace.display());
    format!(r#"{{"environment":"{ENVIRONMENT}","owner":"{owner}","runtime":"docker","until_ms":1}}"#)
}

/// What a planted log is aimed at.
struct Targets {
    foreign: Foreign,
    process: Child,
    table: String,
}

impl Targets {
    fn start() -> Self {
        let foreign = Foreign::start(&image(), "product", &[]);
        docker(&["pause", &foreign.id]);
        let process = Command::new("sleep").arg("600").spawn().unwrap();
        let table = format!("chaos_{ENVIRONMENT}_{}", std::process::id());
        assert!(Command::new("nft").args(["add", "table", "inet", &table]).status().unwrap().success());
        Self { foreign, process, table }
    }

    fn throttle(&self) -> PathBuf {
        let file = format!("blkio/docker/{}/blkio.throttle.write_bps_device", self.foreign.id);
        Path::new("/sys/fs/cgroup").join(file)
    }

    /// All that planted steps would change.
    fn state(&self) -> Vec<String> {
        let mut state = self.foreign.fingerprint();
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.process.id())).unwrap();
        state.extend(limits.lines().find(|line| line.starts_with("Max open files")).map(str::to_owned));
        state.push(fs::read_to_string(self.throttle()).unwrap_or_default());
        let tables = Command::new("nft").args(["list", "tables"]).output().unwrap().stdout;
        let is_there = String::from_utf8_lossy(&tables).contains(&self.table);
        state.push(format!("table: {is_there}"));
        state
    }

    /// A step for each of them, as an undo log has it.
    fn steps(&self) -> Vec<String> {
        let (id, pid) = (&self.foreign.id, self.process.id());
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let started = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().to_owned();
        let inode = fs::metadata("/proc/self/ns/net").unwrap().ino();
        let throttle = self.throttle().display().to_string();
        let network = format!(r#"{{"through":"process","pid":{pid},"started":{started},"inode":{inode}}}"#);
        let steps = [
            format!(r#"{{"on":"docker","undo":"unpause","container":"{id}"}}"#),
            format!(r#"{{"on":"docker","undo":"limit","container":"{id}","resource":"cpu","most":5000}}"#),
            format!(r#"{{"on":"docker","undo":"connect","container":"{id}","network":"bridge","aliases":[]}}"#),
            format!(
                r#"{{"on":"docker","undo":"throttle","container":"/","knobs":[[{{"file":"{throttle}","device":"254:0","word":null}},1000]]}}"#
            ),
            format!(
                r#"{{"on":"process","undo":"descriptors","process":{{"pid":{pid},"started":{started}}},"of":"x","soft":7}}"#
            ),
            format!(r#"{{"on":"network","undo":"table","network":{network},"table":"{}"}}"#, self.table),
        ];
        steps.iter().map(|step| format!(r#"{{"note":{step}}}"#)).collect()
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        let _ = Command::new("nft").args(["delete", "table", "inet", &self.table]).status();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn an_undo_log_is_no_weapon() {
    if !geteuid().is_root() || !engine_answers() || Command::new("nft").arg("--version").output().is_err() {
        return not_run("it takes root, a docker engine and nft");
    }
    let targets = Targets::start();
    let text = [vec![header()], targets.steps()].concat().join("\n");
    // Where each shared folder lets in who should not have been: whose it is, what the log is, what is said.
    let planted = [
        (MALLORY, "mkdir undo && cp text undo/LOG", ""),
        (0, "mkdir -m 1777 undo && setpriv --reuid=54321 --clear-groups cp text undo/LOG", "may be written by others"),
        (0, "mkdir -m 777 undo && cp text undo/LOG", "may be written by others"),
        (
            0,
            "mkdir undo && cp text undo/LOG && chown 54321 undo/LOG",
            "belongs to user 54321, and this process runs as user 0",
        ),
        (0, "mkdir undo && cp text undo/LOG && chmod 622 undo/LOG", "may be written by others"),
        (0, "mkdir undo && ln -s ../text undo/LOG", "is a link, and no regular file"),
        (0, "mkdir undo && cp text other && ln other undo/LOG", "2 names (hard links)"),
        (0, "mkdir undo && mkfifo undo/LOG", "is a pipe, and no regular file"),
        (0, "mkdir other && cp text other/LOG && ln -s other undo", "is a link, and no folder"),
        // This user's own, as an earlier version or a damaged file may have it: each step is refused by name.
        (0, "mkdir undo && cp text undo/LOG", "is neither of environment chaos-planted-1-1-1 nor on the allow-list"),
    ];
    let before = targets.state();
    for (user, script, said) in planted {
        let chaos = shared(0o1777);
        fs::write(chaos.path().join("text"), format!("{text}\n")).unwrap();
        let script = script.replace("LOG", &format!("{ENVIRONMENT}.jsonl"));
        sh(user, &format!("umask 022; cd {} && {script}", chaos.path().display()));
        let out = cleaned(&mut here(), chaos.path(), Path::new("/dev/null"));
        assert_eq!(targets.state(), before, "{script}: {out}");
        let failed = out.lines().find(|line| line.starts_with("failed: ")).unwrap_or_default();
        assert!(failed.contains(said) && failed.is_empty() == said.is_empty(), "{script}: {out}");
        eprintln!("{script}: nothing was touched; {failed:.160}");
    }
    what_is_allowed_is_changed_back(&targets, &text, &before);
}

/// The same log where the container is on the allow-list: its own steps are taken, and no other.
fn what_is_allowed_is_changed_back(targets: &Targets, text: &str, before: &[String]) {
    let (chaos, (_folder, list)) = (shared(0o755), allow_list(&targets.foreign.name));
    fs::create_dir(chaos.path().join("undo")).unwrap();
    let log = chaos.path().join(format!("undo/{ENVIRONMENT}.jsonl"));
    fs::write(&log, format!("{text}\n")).unwrap();
    let out = cleaned(&mut here(), chaos.path(), &list);
    let after = targets.state();
    assert_eq!((targets.foreign.state().as_str(), after[1] == before[1]), ("running", false), "{out}");
    assert_eq!(after.last(), before.last(), "the table of this machine stays: {out}");
    for refused in [
        "network bridge is neither",
        "`/`, which is no container's id, is neither",
        "process ",
        "the network of this machine",
    ] {
        assert!(out.contains(refused), "{refused}: {out}");
    }
    let left = fs::read_to_string(&log).unwrap();
    assert!(!left.contains("unpause") && left.contains("descriptors") && left.contains("throttle"), "{left}");
}

/// Begins an environment as `user`, and kills it; what it said.
fn begun(command: &mut Command, chaos: &Path, temporary: &Path) -> String {
    let command = alone(command, "begins", chaos).env("TMPDIR", temporary);
    let mut begun = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut said, mut lines) = (String::new(), std::io::BufReader::new(begun.stdout.take().unwrap()));
    while !said.contains("begun: ") && std::io::BufRead::read_line(&mut lines, &mut said).unwrap() > 0 {}
    begun.kill().unwrap();
    begun.wait().unwrap();
    said
}

#[test]
fn each_user_has_undo_logs_and_folders_of_its_own() {
    let Some(everybodys) = Everybodys::new() else { return };
    for (planter, runner) in [(MALLORY, 0), (0, MALLORY)] {
        let (chaos, temporary) = (shared(0o1777), shared(0o1777));
        let log = chaos.path().join("undo/chaos-other-1-1-1.jsonl");
        sh(planter, &format!("umask 022; mkdir {0}/undo && echo planted > {1}", chaos.path().display(), log.display()));
        let said = begun(&mut everybodys.run_by(runner), chaos.path(), temporary.path());
        let environment =
            said.split("begun: ").nth(1).unwrap_or_else(|| panic!("as {runner}: {said}")).trim().to_owned();
        let (undo, all) =
            (chaos.path().join(format!("undo-{runner}")), temporary.path().join(format!("chaos-harness-{runner}")));
        assert!(undo.join(format!("{environment}.jsonl")).is_file());
        for folder in [&undo, &all] {
            let made = fs::metadata(folder).unwrap();
            assert_eq!((made.uid(), made.mode() & 0o7777), (runner, 0o700), "{}", folder.display());
        }
        let mut clean = everybodys.run_by(runner);
        let out = cleaned(clean.env("TMPDIR", temporary.path()), chaos.path(), Path::new("/dev/null"));
        assert!(out.contains(&format!("found: undo log of {environment}")), "{out}");
        assert_eq!(fs::read_dir(&undo).unwrap().count() + fs::read_dir(all.join("instances")).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(&log).unwrap(), "planted\n");
        eprintln!("{planter} before {runner}: its own are found and removed, the other's stay");
    }
}

/// Its marks are what a process says of itself.
#[test]
fn a_process_of_another_user_is_not_ended_for_its_marks() {
    let Some(everybodys) = Everybodys::new() else { return };
    let owner = header().split(r#""owner":""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut marked = Command::new("sleep");
    marked.arg("600").env("CHAOS_HARNESS_ENVIRONMENT", ENVIRONMENT).env("CHAOS_HARNESS_OWNER", owner);
    let mut marked = marked.uid(BOB).gid(BOB).spawn().unwrap();
    let found = format!("found: process {} of {ENVIRONMENT}", marked.id());
    let chaos = shared(0o1777);
    let out = cleaned(&mut here(), chaos.path(), Path::new("/dev/null"));
    assert!(!out.contains(&found) && marked.try_wait().unwrap().is_none(), "{out}");
    let out = cleaned(&mut everybodys.run_by(BOB), chaos.path(), Path::new("/dev/null"));
    assert!(out.contains(&found), "{out}");
    marked.wait().unwrap();
}

#[test]
fn planted_folders_are_refused_by_name_and_never_followed() {
    let Some(everybodys) = Everybodys::new() else { return };
    for (planter, runner) in [(MALLORY, 0), (0, MALLORY)] {
        let private = shared(0o700);
        std::os::unix::fs::chown(private.path(), Some(runner), Some(runner)).unwrap();
        let private = private.path();
        for (plant, said) in [
            (format!("ln -s {} PLACE", private.display()), "is a link, and no folder".to_owned()),
            (
                "mkdir -m 755 PLACE".to_owned(),
                format!("belongs to user {planter}, and this process runs as user {runner}"),
            ),
            ("mkdir -m 777 PLACE".to_owned(), format!("belongs to user {planter}")),
            ("echo > PLACE".to_owned(), "is a file, and no folder".to_owned()),
            ("mkfifo PLACE".to_owned(), "is a pipe, and no folder".to_owned()),
        ] {
            let (chaos, temporary) = (shared(0o1777), shared(0o1777));
            let place = temporary.path().join(format!("chaos-harness-{runner}")).display().to_string();
            sh(planter, &plant.replace("PLACE", &place));
            let out = begun(&mut everybodys.run_by(runner), chaos.path(), temporary.path());
            let refused = out.split_once("refused: ").unwrap_or_else(|| panic!("{plant} for {runner}: {out}")).1;
            assert!(refused.contains(&said) && refused.contains(&place) && refused.contains("TMPDIR"), "{refused}");
            assert_eq!(fs::read_dir(private).unwrap().count(), 0, "{plant}: nothing was made behind the link");
            eprintln!("{planter} for {runner}: {}", refused.lines().next().unwrap_or_default());
        }
    }
}
