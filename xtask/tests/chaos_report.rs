//! `cargo xtask chaos-report` as a process: exit statuses, files, and what it tells GitHub.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "../../chaos-harness/tests/report_fixtures/mod.rs"]
mod fixtures;
#[path = "../../chaos-harness/tests/report_fixtures/github.rs"]
mod github;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use chaos_harness::journal::{Journal, Writer};

/// A folder for journals, and a command that knows nothing of where the tests run.
struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    fn on(journals: impl IntoIterator<Item = Journal>) -> Self {
        let run = Self { folder: tempfile::tempdir().unwrap() };
        journals.into_iter().for_each(|journal| drop(fixtures::write(&run.journals(), &journal)));
        run
    }

    fn journals(&self) -> std::path::PathBuf {
        self.folder.path().join("journal")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("chaos-report").args(arguments).env("CHAOS_DIR", self.folder.path());
        for name in ["GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "CHAOS_RUN", "CARGO_MANIFEST_DIR"] {
            command.env_remove(name);
        }
        command.current_dir(self.folder.path());
        command
    }

    fn report(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn gate(&self) -> i32 {
        self.report(&["--gate"]).status.code().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_gate_exits_by_what_it_judges() {
    let cases = [
        ("upheld", vec![fixtures::upheld()], 0),
        ("upheld and its refuted twin", vec![fixtures::upheld(), fixtures::twin()], 0),
        ("refuted", vec![fixtures::upheld(), fixtures::refuted()], 1),
        ("inconclusive", vec![fixtures::upheld(), fixtures::inconclusive()], 1),
        ("aborted", vec![fixtures::upheld(), fixtures::aborted()], 1),
        ("nothing", vec![], 2),
        ("left behind", vec![fixtures::upheld(), fixtures::left_behind()], 3),
        ("left behind outweighs refuted", vec![fixtures::refuted(), fixtures::left_behind()], 3),
    ];
    for (name, journals, expected) in cases {
        let run = Run::on(journals);
        assert_eq!(run.gate(), expected, "{name}");
        assert_eq!(run.report(&[]).status.code(), Some(0), "{name}, without --gate");
    }
}

#[test]
fn a_truncated_journal_is_named_and_fails_the_gate() {
    let run = Run::on([fixtures::upheld()]);
    fixtures::write_truncated(&run.journals());
    assert_eq!(run.gate(), 1);
    let text = stdout(&run.report(&[]));
    assert!(text.contains("truncated_on_a_full_disk.json is no readable journal"), "{text}");
    assert!(text.contains("UPHELD  slow_inventory_does_not_cascade"), "the rest is reported: {text}");
    let alone = Run::on([]);
    fixtures::write_truncated(&alone.journals());
    assert_eq!(alone.gate(), 1);
    fixtures::write(&alone.journals(), &fixtures::left_behind());
    assert_eq!(alone.gate(), 3);
}

#[test]
fn an_interrupted_journal_fails_the_gate() {
    let run = Run::on([fixtures::upheld()]);
    fixtures::write_interrupted(&run.journals());
    assert_eq!(run.gate(), 1);
    assert!(stdout(&run.report(&[])).contains("INTERRUPTED  checkout_is_interrupted"));
}

#[test]
fn a_running_experiment_is_named_and_fails_the_gate() {
    let run = Run::on([fixtures::upheld()]);
    let _writer = Writer::begin(&run.journals(), fixtures::named("still_at_it")).unwrap();
    assert_eq!(run.gate(), 1);
    assert!(stdout(&run.report(&[])).contains("STILL RUNNING  still_at_it"));
}

#[test]
fn every_format_goes_to_standard_output_or_to_a_file() {
    let run = Run::on([fixtures::upheld()]);
    let begins = [
        ("text", "UPHELD"),
        ("markdown", "## Resilience"),
        ("html", "<!DOCTYPE html>"),
        ("junit", "<?xml"),
        ("json", "{\n"),
    ];
    for (format, begin) in begins {
        let output = run.report(&["--format", format]);
        assert!(output.status.success() && stdout(&output).starts_with(begin), "{format}");
        let file = run.folder.path().join("new").join(format);
        let written = run.report(&["--format", format, "--output", file.to_str().unwrap()]);
        assert!(written.status.success() && written.stdout.is_empty(), "{format}");
        assert_eq!(fs::read_to_string(file).unwrap(), stdout(&output), "{format}");
    }
}

#[test]
fn bad_usage_exits_with_2() {
    let run = Run::on([fixtures::upheld()]);
    assert_eq!(run.report(&["--format", "pdf"]).status.code(), Some(2));
    let missing = run.report(&["--gate", "--baseline", "no-such-file.json"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot read the baseline no-such-file.json"));
    fs::write(run.folder.path().join("bad.json"), "{}").unwrap();
    assert_eq!(run.report(&["--baseline", "bad.json"]).status.code(), Some(2));
    assert_eq!(run.report(&["--output", "/dev/null/file"]).status.code(), Some(2));
}

#[test]
fn a_regression_against_the_baseline_fails_the_gate() {
    let run = Run::on([fixtures::upheld()]);
    assert!(run.report(&["--format", "json", "--output", "before.json"]).status.success());
    assert_eq!(run.report(&["--gate", "--baseline", "before.json"]).status.code(), Some(0));
    let mut worse = fixtures::upheld();
    worse.samples = fixtures::twin().samples;
    fixtures::write(&run.journals(), &worse);
    let compared = run.report(&["--gate", "--baseline", "before.json"]);
    assert_eq!(compared.status.code(), Some(1));
    assert!(stdout(&compared).contains("availability went from 96.31% to 50.05%"), "{}", stdout(&compared));
}

#[test]
fn an_experiment_that_only_the_baseline_knows_is_named() {
    let run = Run::on([fixtures::upheld(), fixtures::twin()]);
    assert!(run.report(&["--format", "json", "--output", "before.json"]).status.success());
    fs::remove_file(run.journals().join(fixtures::twin().file_name())).unwrap();
    let compared = run.report(&["--gate", "--baseline", "before.json"]);
    assert_eq!(compared.status.code(), Some(0));
    assert!(stdout(&compared).contains("without_breaker is in the baseline and was not run"));
}

#[test]
fn journals_may_lie_elsewhere() {
    let (run, elsewhere) = (Run::on([]), Run::on([fixtures::upheld()]));
    let journals = elsewhere.journals();
    let output = run.report(&["--gate", "--journals", journals.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
}

/// A run that was not asked for is judged only while it tells of the sources that are there.
#[test]
fn yesterdays_journals_do_not_pass_for_todays_sources() {
    let run = Run::on([fixtures::in_run("yesterday", 0, fixtures::upheld())]);
    assert_eq!(run.gate(), 0, "without a workspace nothing can have changed");
    fs::write(run.folder.path().join("Cargo.toml"), "[package]\nname = \"shop\"\n").unwrap();
    let judged = run.report(&["--gate"]);
    assert_eq!(judged.status.code(), Some(2));
    assert!(stdout(&judged).contains("OUTDATED  Cargo.toml was changed at "), "{}", stdout(&judged));
    for asked in ["latest", "all", "yesterday"] {
        assert_eq!(run.report(&["--gate", "--run", asked]).status.code(), Some(0), "{asked}");
    }
    let today = |id: &str| run.command(&["--gate"]).env("CHAOS_RUN", id).output().unwrap();
    assert_eq!(today("yesterday").status.code(), Some(0));
    let judged = today("today");
    assert_eq!(judged.status.code(), Some(2), "the tests of this run did not compile");
    assert!(stdout(&judged).contains("run `today` has left no journal"), "{}", stdout(&judged));
}

#[test]
fn files_are_named_from_the_root_of_the_repository() {
    let run = Run::on([fixtures::refuted()]);
    let workspace = run.folder.path().join("services/shop");
    fs::create_dir_all(&workspace).unwrap();
    fs::write(workspace.join("Cargo.toml"), "[workspace]\n").unwrap();
    let mut command = run.command(&["--run", "latest"]);
    command.current_dir(&workspace).env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", run.folder.path());
    let text = stdout(&command.output().unwrap());
    assert!(text.contains("::error file=services/shop/resilience-tests/tests/cascading_failure.rs,line=12,"), "{text}");
}

/// GitHub drops a summary of more than 1 MiB as a whole.
#[test]
fn the_summary_of_a_large_run_is_cut_between_experiments() {
    let long = |at: usize| {
        let mut journal = fixtures::named(&format!("experiment_{at}"));
        journal.replay = "x".repeat(4_000);
        journal
    };
    let mut last = fixtures::refuted();
    last.plan.name = "zz_refuted".to_owned();
    let run = Run::on((0..400).map(long).chain([last]));
    let summary = run.folder.path().join("summary.md");
    let before = "said before by the same step\n";
    fs::write(&summary, before).unwrap();
    let mut command = run.command(&["--format", "junit", "--gate", "--output", "junit.xml"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    assert_eq!(command.output().unwrap().status.code(), Some(1));
    let text = fs::read_to_string(&summary).unwrap();
    assert!(text.len() <= 1_048_576 && text.len() > 900_000, "{}", text.len());
    assert!(text.starts_with(&format!("{before}## Resilience: not upheld\n\n401 experiments")));
    assert_eq!(text.matches("\n| ✓ |").count() + text.matches("\n| ✗ |").count(), 401, "the table is whole");
    let details = text.matches("<details").count();
    assert_eq!(details, text.matches("</details>\n").count(), "none is cut");
    assert!(text.contains(&format!("{} experiments without details here", 401 - details)));
    assert!(text.contains("<summary>refuted: zz"), "what failed comes first");
}

#[test]
fn the_judging_call_tells_github_once() {
    let run = Run::on([fixtures::upheld(), fixtures::refuted()]);
    let summary = run.folder.path().join("summary.md");
    let in_github = |arguments: &[&str]| {
        let mut command = run.command(arguments);
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary).output().unwrap()
    };
    let file = in_github(&["--format", "junit", "--output", "junit.xml"]);
    assert!(file.stdout.is_empty() && !summary.exists(), "a format in a file is not the judging call");
    let judged = in_github(&["--format", "text", "--gate"]);
    assert_eq!(judged.status.code(), Some(1));
    let text = stdout(&judged);
    let annotations: Vec<&str> = text.lines().filter(|line| line.starts_with("::error ")).collect();
    assert_eq!(annotations.len(), 1, "{text}");
    assert!(
        annotations[0].contains("file=resilience-tests/tests/cascading_failure.rs,line=12,title=inventory_comes_back")
    );
    assert_eq!(fs::read_to_string(&summary).unwrap().matches("## Resilience: not upheld").count(), 1);
}

#[test]
fn no_text_of_a_journal_can_command_github() {
    let hostile = "x\n::error::x ##[add-mask]x\u{1b}]52;c;eA==\u{7}";
    let mut journal = fixtures::left_behind();
    journal.plan.name = hostile.to_owned();
    journal.replay = hostile.to_owned();
    let mut run = Run::on([journal]);
    run.folder = tempfile::Builder::new().prefix("##[add-mask]").tempdir_in(run.folder.keep()).unwrap();
    fixtures::write(&run.journals(), &fixtures::left_behind());
    fs::write(run.journals().join("\n::error::a.json"), hostile).unwrap();
    let summary = run.folder.path().join("summary.md");
    let mut formats: Vec<Vec<&str>> =
        ["text", "markdown", "html", "junit", "json"].map(|it| vec!["--format", it]).into();
    formats.push(vec!["--gate"]);
    formats.push(vec!["--gate", "--baseline", "##[error]\n::error::x"]);
    formats.push(vec!["--journals", "##[error]\n::error::x"]);
    for arguments in formats {
        let mut command = run.command(&arguments);
        let output = command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
        let said = format!("{}\n{}", stdout(&output), String::from_utf8(output.stderr).unwrap());
        let is_own = |line: &&str| ["::error ", "::warning ", "::notice "].iter().any(|it| line.starts_with(it));
        let (own, others): (Vec<&str>, Vec<&str>) = said.lines().partition(is_own);
        github::assert_harmless(&format!("{arguments:?}"), &others.join("\n"));
        assert!(own.iter().all(|line| !line.contains("##[")), "{own:?}");
    }
    github::assert_harmless("the summary", &fs::read_to_string(&summary).unwrap());
}

#[test]
fn open_makes_the_page_and_prints_where_it_is() {
    let run = Run::on([fixtures::upheld()]);
    let opener = run.folder.path().join("xdg-open");
    fs::write(&opener, "#!/bin/sh\ncp \"$1\" opened.html\n").unwrap();
    make_executable(&opener);
    let path = std::env::join_paths(
        [run.folder.path().to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let output = run.command(&["--open"]).env("PATH", path.unwrap()).output().unwrap();
    let page = run.folder.path().join("report").join("report.html");
    assert_eq!(stdout(&output).trim(), page.to_str().unwrap());
    let opened = fs::read_to_string(run.folder.path().join("opened.html")).unwrap();
    assert_eq!(opened, fs::read_to_string(page).unwrap());
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
