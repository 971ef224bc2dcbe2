//! Runs the body of one chaos test, and cleans up whatever way it ends.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, Location, resume_unwind};
use std::time::Duration;

use futures::FutureExt;

use crate::__private::{Compiled, Failure, Outcome, TestSettings};
use crate::folders::{self, journal_dir};
use crate::journal::{Problem, Record, TestRef, TestRun};
use crate::lab::{Lab, Settings};
use crate::progress;
use crate::replay::Again;
use crate::report::text::{self, Style};
use crate::runtime::RuntimeChoice;
use crate::safety::AllowList;
use crate::safety::guard;
use crate::safety::halt::{self, Running};
use crate::shortage;
use crate::variables::{self, VariableError};

/// Runs the body of a chaos test on a multi-thread runtime of its own.
///
/// # Errors
/// What fails the test: a verdict that is not upheld, an error, or a problem in one of its journals.
pub fn run_test<F, Body, T>(settings: TestSettings, body: F) -> Result<(), Failure>
where
    F: FnOnce(Lab) -> Body,
    Body: Future<Output = T>,
    T: Outcome,
{
    folders::compiled_in(settings.manifest_dir);
    guard::stand();
    let settings = read(&settings)?;
    let arguments = guard::of_test(&settings.test.test);
    run(settings, arguments, body)
}

/// Runs the body of a program that is no test, on the main thread of that program.
pub(crate) fn run_program<F, Body, T>(name: &str, at: &Location<'_>, body: F) -> Result<(), Failure>
where
    F: FnOnce(Lab) -> Body,
    Body: Future<Output = T>,
    T: Outcome,
{
    guard::stand();
    // A guard of another thread would come to the body of whatever that thread's program does first.
    if std::thread::current().name() != Some("main") || tokio::runtime::Handle::try_current().is_ok() {
        return Err(Failure::new(
            "`Lab::run` is for a plain `fn main` of a program, outside an async runtime; in a test, use `#[chaos_test]`",
        ));
    }
    run(of_program(name, at)?, std::env::args_os().skip(1).collect(), body)
}

/// `arguments` start this executable again so that it comes to the same place.
fn run<F, Body, T>(settings: Settings, arguments: Vec<OsString>, body: F) -> Result<(), Failure>
where
    F: FnOnce(Lab) -> Body,
    Body: Future<Output = T>,
    T: Outcome,
{
    // Before the body: it goes by the list as it was then.
    AllowList::current().map_err(|error| Failure::new(error.to_string()))?;
    shortage::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("no runtime for the test: {error}")))?;
    guard::allow(arguments);
    let Some(running) = Running::begin() else { return Err(Failure::new("not begun: halted")) };
    let lab = Lab::new(settings);
    let (end, left) = runtime.block_on(async {
        let end = tokio::select! {
            outcome = AssertUnwindSafe(body(lab.clone())).catch_unwind() => End::of(outcome),
            limit = lab.overdue() => End::TookTooLong(limit),
            () = halt::out_of_patience() => End::Halted,
        };
        // Somebody waits for the end of a process that was halted.
        let patience = if matches!(end, End::Halted) { LAST_STEPS } else { Duration::MAX };
        if tokio::time::timeout(patience, lab.end_unfinished(&end.record())).await.is_err() {
            tracing::warn!("experiments were taken away before they had ended");
        }
        (end, lab.clean_up().await)
    });
    // Not a plain drop: that would wait for a blocking step that a panic left behind.
    runtime.shutdown_background();
    drop(running);
    let sound = check(&lab, &left);
    match end {
        End::Passed => sound,
        End::Panicked(panic) => resume_unwind(panic),
        End::Failed(failure) if failure.is_not_run() => {
            progress::print(&format!("not run: {}: {failure}", lab.test_name()));
            sound
        }
        End::Failed(failure) => Err(explain(&lab, failure)),
        End::TookTooLong(_) => Err(explain(&lab, Failure::new(end.to_string()))),
        End::Halted => Err(Failure::new(end.to_string())),
    }
}

/// How long what is under way may take to end after a halt.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// How the body of a test ended.
enum End {
    Passed,
    Failed(Failure),
    Panicked(Box<dyn Any + Send>),
    TookTooLong(Duration),
    Halted,
}

impl End {
    fn of<T: Outcome>(outcome: std::thread::Result<T>) -> Self {
        match outcome.map(Outcome::into_result) {
            Ok(Ok(())) => Self::Passed,
            Ok(Err(failure)) => Self::Failed(failure),
            Err(panic) => Self::Panicked(panic),
        }
    }
}

impl End {
    /// The same, for the journal of such an experiment.
    fn record(&self) -> Record {
        match self {
            Self::Failed(failure) if failure.is_not_run() => Record::NotRun(failure.to_string()),
            end => Record::Problem(Problem::Error { reason: end.to_string() }),
        }
    }
}

/// Why an experiment that is still under way by then does not come to its end.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("the test returned without judging it; call `.judge().await`"),
            Self::Failed(failure) => write!(f, "the test ended: {failure}"),
            Self::Panicked(panic) => {
                let text = panic.downcast_ref::<&str>().copied();
                let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
                write!(f, "the test panicked: {}", text.unwrap_or("with a value that is no text"))
            }
            Self::TookTooLong(limit) => {
                let limit = humantime::format_duration(*limit);
                write!(f, "the time limit of {limit} passed while the test was busy with something else")
            }
            Self::Halted => f.write_str("halted"),
        }
    }
}

/// The settings of the attribute, overruled by the environment.
fn read(settings: &TestSettings) -> Result<Settings, Failure> {
    variables::check().map_err(refused)?;
    let runtime = runtime(settings.runtime)?;
    // Under libtest the thread has the test's full name, with the case where rstest makes several of one.
    let of_attribute = settings.name.split_once("::").map_or(settings.name, |(_, test)| test);
    let thread = std::thread::current();
    let test = thread.name().filter(|name| name.starts_with(of_attribute)).unwrap_or(of_attribute);
    Ok(Settings {
        test: TestRef {
            package: settings.package.to_owned(),
            target: settings.crate_name.to_owned(),
            test: test.to_owned(),
            file: settings.file.to_owned(),
            line: settings.line,
        },
        again: Again {
            manifest_dir: std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| settings.manifest_dir.to_owned()),
            kind: settings.kind,
            ignored: settings.ignored,
        },
        seed: seed(settings.seed)?,
        runtime,
        time_limit: settings.timeout,
        journals: journal_dir(),
        test_run: test_run()?,
        dry_run: is_dry_run()?,
    })
}

/// The settings of a program; its executable stands for package and target.
fn of_program(name: &str, at: &Location<'_>) -> Result<Settings, Failure> {
    variables::check().map_err(refused)?;
    let executable = std::env::current_exe().unwrap_or_default();
    let program = executable.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Settings {
        test: TestRef {
            package: std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| program.clone()),
            target: program,
            test: name.to_owned(),
            file: at.file().to_owned(),
            line: at.line(),
        },
        again: Again { manifest_dir: String::new(), kind: Compiled::Program, ignored: false },
        seed: seed(None)?,
        runtime: runtime(None)?,
        time_limit: None,
        journals: journal_dir(),
        test_run: test_run()?,
        dry_run: is_dry_run()?,
    })
}

/// `CHAOS_RUNTIME`, else that of the attribute, else `auto`.
fn runtime(of_attribute: Option<&str>) -> Result<RuntimeChoice, Failure> {
    let name = variables::text("CHAOS_RUNTIME").map_err(refused)?;
    name.as_deref().or(of_attribute).unwrap_or("auto").parse().map_err(|error| Failure::new(format!("{error}")))
}

fn test_run() -> Result<TestRun, Failure> {
    TestRun::current().map_err(|error| Failure::new(error.to_string()))
}

fn is_dry_run() -> Result<bool, Failure> {
    variables::flag("CHAOS_DRY_RUN").map_err(refused)
}

/// `CHAOS_SEED`, else that of the attribute, else one that is drawn.
fn seed(of_attribute: Option<u64>) -> Result<u64, Failure> {
    let given = variables::number("CHAOS_SEED").map_err(refused)?;
    Ok(given.or(of_attribute).unwrap_or_else(rand::random))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands behind `map_err`")]
fn refused(error: VariableError) -> Failure {
    Failure::new(error.to_string())
}

/// Fails a test whose experiments left something behind or could not undo a fault, whatever the verdict.
fn check(lab: &Lab, left: &[String]) -> Result<(), Failure> {
    let journals = lab.journals();
    let problems = journals.iter().flat_map(|journal| {
        // The verdict is told though the experiment as a whole failed.
        let verdict = journal.verdict.as_ref().filter(|_| !journal.problems.is_empty());
        let verdict = verdict.map(|verdict| format!("{}: {verdict}, but", journal.name()));
        verdict.into_iter().chain(journal.problems.iter().map(ToString::to_string))
    });
    let problems: Vec<String> = problems.chain(left.iter().cloned()).collect();
    if problems.is_empty() { Ok(()) } else { Err(Failure::new(problems.join("\n"))) }
}

/// The failure with everything that helps to understand it: the last experiment is the one that failed.
fn explain(lab: &Lab, failure: Failure) -> Failure {
    match lab.journals().last() {
        Some(journal) => {
            let path = lab.settings().journals.join(journal.folder()).join(journal.file_name());
            Failure::new(format!("{failure}\n\n{}", text::failure_at(journal, &path, style())))
        }
        None => failure,
    }
}

/// Colours where a person looks on.
fn style() -> Style {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if colour { Style::colour() } else { Style::plain() }
}
