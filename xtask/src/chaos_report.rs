//! `cargo xtask chaos-report`: shows what the journals say, and gates a pipeline by it.

use std::ffi::OsString;
use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow};
use chaos_harness::folders::{chaos_dir, journal_dir, workspace_root};
use chaos_harness::report::{
    Gate, Output, Report, RunChoice, annotations, baseline, foreign, html, json, junit, markdown, message, text,
};
use clap::{Args, ValueEnum};

/// Exit status for what is neither a report nor a verdict, as clap's for bad usage.
const TROUBLE: u8 = 2;
/// GitHub refuses the summary of a step that is larger, in bytes.
const SUMMARY_LIMIT: usize = 1024 * 1024;

#[derive(Args)]
pub(crate) struct Options {
    /// What to make.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Where to write it; standard output if not given.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make the HTML report and open it in a browser.
    #[arg(long)]
    open: bool,
    /// Exit with 0 when all is upheld, 1 when something is not, 2 when there is nothing to judge or the sources have changed
    /// since, 3 when something was left behind.
    #[arg(long)]
    gate: bool,
    /// For the gate, what could not be run here counts as not upheld.
    #[arg(long, requires = "gate")]
    strict: bool,
    /// Compare with a stored JSON report.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// The run to show and judge: its id, `latest`, or `all`. Without this it is that of CHAOS_RUN, else the latest, which
    /// is then not judged when the sources have changed since.
    #[arg(long, value_name = "RUN")]
    run: Option<RunChoice>,
    /// The folder of journals.
    #[arg(long, value_name = "DIR")]
    journals: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Html,
    Junit,
    Json,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    match report(options) {
        Ok(gate) if options.gate => ExitCode::from(gate as u8),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", message(error.as_ref()));
            ExitCode::from(TROUBLE)
        }
    }
}

fn report(options: &Options) -> Result<Gate> {
    let journals = options.journals.clone().unwrap_or_else(journal_dir);
    let mut report = read(&journals, options.run.clone())?;
    if let Some(path) = &options.baseline {
        let stored =
            fs::read_to_string(path).with_context(|| format!("cannot read the baseline {}", path.display()))?;
        let stored = baseline::parse(&stored).with_context(|| path.display().to_string())?;
        report = report.compared_with(&stored);
    }
    if report.experiments.is_empty() && report.unreadable.is_empty() {
        eprintln!("no journal in {}", foreign::log(&journals.display().to_string()));
    }
    if options.open {
        open(&report, options.output.as_deref())?;
    } else {
        write(options, &report)?;
    }
    if in_github_actions() {
        tell_github(options, &report)?;
    }
    Ok(if options.strict { Gate::strict(&report) } else { Gate::of(&report) })
}

/// The run that was asked for is judged whatever its age; the latest one only while it tells of what is there now.
fn read(journals: &Path, asked: Option<RunChoice>) -> Result<Report> {
    let named = std::env::var_os("CHAOS_RUN").filter(|id| !id.is_empty());
    let named = named.map(|id| id.into_string().map(RunChoice::Id)).transpose();
    let named = named.map_err(|id| anyhow!("CHAOS_RUN is `{}`, which is no UTF-8 text", id.display()))?;
    if let Some(choice) = asked.or(named) {
        return Ok(Report::read_run(journals, choice)?);
    }
    let report = Report::read(journals)?;
    Ok(match workspace_root() {
        Some(root) => report.checked_for_changes(&root),
        None => report,
    })
}

/// As <https://no-color.org> has it: an empty variable is none.
fn has_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn write(options: &Options, report: &Report) -> Result<()> {
    let colours = options.output.is_none() && std::io::stdout().is_terminal() && has_colours();
    let style = if colours { text::Style::colour() } else { text::Style::plain() };
    let rendered = match options.format {
        Format::Text => text::render(report, style),
        Format::Markdown => markdown::render(report),
        Format::Html => html::render(report),
        Format::Junit => junit::render(report)?,
        Format::Json => json::render(report)?,
    };
    match &options.output {
        Some(path) => write_file(path, &rendered),
        None => print(&rendered),
    }
}

fn write_file(path: &Path, contents: &Output) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, contents.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// A reader that has seen enough (`| head`) is no error.
fn print(contents: &Output) -> Result<()> {
    match std::io::stdout().lock().write_all(contents.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

fn in_github_actions() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// The job's summary and annotations, from the one call that judges or shows.
fn tell_github(options: &Options, report: &Report) -> Result<()> {
    if !options.gate && options.format != Format::Text {
        return Ok(());
    }
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        let file = fs::OpenOptions::new().append(true).create(true).open(&path);
        let written = file.and_then(|mut file| {
            let before = file.metadata()?.len();
            let room = SUMMARY_LIMIT.saturating_sub(usize::try_from(before).unwrap_or(usize::MAX));
            file.write_all(markdown::render_within(report, room).as_bytes())
        });
        written.with_context(|| format!("cannot write the job summary {}", path.display()))?;
    }
    let annotations = annotations::render_in(report, &folder_in_repository());
    if options.output.is_none() && options.format != Format::Text && !options.open {
        // The runner reads standard error as well; a format on standard output stays whole.
        eprint!("{annotations}");
        return Ok(());
    }
    print(&annotations)
}

/// The way from the repository's root to the workspace's.
fn folder_in_repository() -> PathBuf {
    let repository = std::env::var_os("GITHUB_WORKSPACE").and_then(|folder| fs::canonicalize(folder).ok());
    let workspace = workspace_root().and_then(|folder| fs::canonicalize(folder).ok());
    let folder = repository
        .zip(workspace)
        .and_then(|(repository, workspace)| Some(workspace.strip_prefix(repository).ok()?.to_owned()));
    folder.unwrap_or_default()
}

fn open(report: &Report, output: Option<&Path>) -> Result<()> {
    let path = output.map_or_else(|| chaos_dir().join("report").join("report.html"), Path::to_owned);
    write_file(&path, &html::render(report))?;
    print(&foreign::log(&format!("{}\n", path.display())))?;
    let opener: OsString = if cfg!(target_os = "macos") { "open".into() } else { "xdg-open".into() };
    match Command::new(&opener).arg(&path).status() {
        Ok(status) if status.success() => {}
        // The report is there and its path is printed; a machine without a browser is no failure.
        _ => eprintln!("{} could not open it; open it in a browser yourself", opener.display()),
    }
    Ok(())
}
