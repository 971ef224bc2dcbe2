//! Workflow commands for GitHub Actions: one annotation for each experiment that did not end as expected.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use super::foreign::Syntax;
use super::{Experiment, Output, Report, Standing, notes, words};

/// How many annotations of one level GitHub shows of a step. It takes the first.
const SHOWN: usize = 10;

/// The commands, one a line, the most important first, for a workspace in the root of its repository. What ended as
/// expected gets none.
///
/// Of each level there are at most ten, as many as GitHub shows; the last one then says how many there are beside it.
pub fn render(report: &Report) -> Output {
    render_in(report, Path::new(""))
}

/// The same for a workspace in `folder` of its repository: the files of tests are relative to the one, and GitHub wants
/// them relative to the other.
pub fn render_in(report: &Report, folder: &Path) -> Output {
    let mut failed: Vec<&Experiment> = report.experiments.iter().collect();
    failed.retain(|experiment| !experiment.view().standing().is_passed());
    failed.sort_by_key(|experiment| rank(experiment.view().standing()));
    let (not_run, failed): (Vec<&Experiment>, Vec<&Experiment>) =
        failed.into_iter().partition(|experiment| experiment.view().standing() == Standing::NotRun);
    let notices = not_run.into_iter().map(|experiment| Command::of(experiment, folder)).collect();
    let mut errors: Vec<Command> = Vec::new();
    let mut warnings: Vec<Command> = Vec::new();
    for note in notes::of(report) {
        let level = if note.decides { &mut errors } else { &mut warnings };
        level.push(Command::titled(&note.title.to_lowercase(), &note.text));
    }
    errors.extend(failed.into_iter().map(|experiment| Command::of(experiment, folder)));
    errors.extend(report.unreadable.iter().map(|file| Command::titled("unreadable journal", &file.reason)));
    if let Some(comparison) = &report.comparison {
        let worse = comparison.regressions.iter();
        errors.extend(worse.map(|regression| Command::titled("worse than the baseline", &regression.to_string())));
        warnings.extend(
            comparison
                .missing
                .iter()
                .map(|id| Command::titled("missing experiment", &format!("{id} is in the baseline and was not run"))),
        );
    }
    Output::of_commands(lines("error", errors) + &lines("warning", warnings) + &lines("notice", notices))
}

/// What is worst for the reader comes first.
fn rank(standing: Standing) -> u8 {
    match standing {
        Standing::LeftBehind => 0,
        Standing::Refuted => 1,
        Standing::TwinNotRefuted => 2,
        Standing::Aborted => 3,
        Standing::Broken => 4,
        Standing::Interrupted => 5,
        Standing::Inconclusive => 6,
        _ => 7,
    }
}

struct Command {
    properties: Vec<(&'static str, String)>,
    message: String,
}

impl Command {
    fn of(experiment: &Experiment, folder: &Path) -> Self {
        let (view, test) = (experiment.view(), &experiment.journal.test);
        let title = format!("{}: {}", experiment.name(), view.standing().words());
        let file = plain(&folder.join(&test.file)).display().to_string();
        Self {
            properties: vec![("file", file), ("line", test.line.to_string()), ("title", title)],
            message: format!("{}\nreplay: {}", view.reason(), experiment.journal.replay),
        }
    }

    fn titled(title: &str, message: &str) -> Self {
        Self { properties: vec![("title", title.to_owned())], message: message.to_owned() }
    }
}

/// Without `.` and `..`, which the compiler leaves in the names of files and GitHub does not resolve.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

fn lines(level: &str, mut commands: Vec<Command>) -> String {
    if commands.len() > SHOWN {
        let more = commands.len() - (SHOWN - 1);
        commands.truncate(SHOWN - 1);
        let message =
            format!("GitHub shows {SHOWN} of a step; the others are in the summary and in the log of this step");
        commands.push(Command::titled(&format!("and {more} more"), &message));
    }
    let mut out = String::new();
    for Command { properties, message } in commands {
        let properties: Vec<String> =
            properties.iter().map(|(key, value)| format!("{key}={}", escape_property(value))).collect();
        // Writing to a string does not fail.
        let _ = writeln!(out, "::{level} {}::{}", properties.join(","), escape_data(&message));
    }
    out
}

/// As the toolkit's `escapeData` (`actions/toolkit`, packages/core/src/command.ts); the mark of the old
/// command syntax, which counts anywhere in a line, is broken up.
fn escape_data(text: &str) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let text = words::clean(&text);
    // Whatever comes before it, it is not at the start of a line.
    Syntax::Text.guarded(&format!("_{text}")).split_off(1)
}

/// As the toolkit's `escapeProperty`.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_become_a_command_of_its_own() {
        let command = Command::titled("a: b, 5%\n::x", "100%\r\n::stop-commands::z");
        let out = lines("error", vec![command]);
        assert_eq!(out, "::error title=a%3A b%2C 5%25%0A%3A%3Ax::100%25%0D%0A::stop-commands::z\n");
    }

    #[test]
    fn the_last_that_is_shown_counts_the_others() {
        let commands = |count| (0..count).map(|at| Command::titled(&format!("no. {at}"), "")).collect();
        assert_eq!(lines("error", commands(10)).lines().count(), 10);
        let out = lines("error", commands(25));
        assert_eq!(out.lines().count(), 10);
        assert!(out.contains("no. 8") && !out.contains("no. 9") && out.contains("and 16 more"), "{out}");
    }

    #[test]
    fn files_are_named_as_github_knows_them() {
        for (folder, file, expected) in [
            ("", "tests/a.rs", "tests/a.rs"),
            ("services/shop", "tests/a.rs", "services/shop/tests/a.rs"),
            ("services/shop", "xtask/../tests/./a.rs", "services/shop/tests/a.rs"),
            ("services/shop", "../common/a.rs", "services/common/a.rs"),
            ("", "../a.rs", "../a.rs"),
            ("services/shop", "/elsewhere/a.rs", "/elsewhere/a.rs"),
        ] {
            assert_eq!(plain(&Path::new(folder).join(file)).display().to_string(), expected);
        }
    }
}
