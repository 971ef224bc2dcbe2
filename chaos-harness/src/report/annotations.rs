//! Workflow commands for GitHub Actions: one annotation for each experiment that did not end as expected.

use std::fmt::Write as _;

use super::{Report, Standing};

/// The commands, one a line. What ended as expected gets none.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    for experiment in &report.experiments {
        let (view, test) = (experiment.view(), &experiment.journal.test);
        if view.standing().is_passed() {
            continue;
        }
        let title = format!("{}: {}", experiment.journal.name(), view.standing().words());
        let reason = view.reason();
        let message = format!("{reason}\nreplay: {}", experiment.journal.replay);
        let place = [("file", test.file.clone()), ("line", test.line.to_string()), ("title", title)];
        let kind = if view.standing() == Standing::NotRun { "notice" } else { "error" };
        command(&mut out, kind, &place, &message);
    }
    for file in &report.unreadable {
        command(&mut out, "error", &[("title", "unreadable journal".to_owned())], &file.reason);
    }
    if let Some(comparison) = &report.comparison {
        for regression in &comparison.regressions {
            command(&mut out, "error", &[("title", "worse than the baseline".to_owned())], &regression.to_string());
        }
        for id in &comparison.missing {
            let message = format!("{id} is in the baseline and was not run");
            command(&mut out, "warning", &[("title", "missing experiment".to_owned())], &message);
        }
    }
    out
}

fn command(out: &mut String, name: &str, properties: &[(&str, String)], message: &str) {
    let properties: Vec<String> =
        properties.iter().map(|(key, value)| format!("{key}={}", escape_property(value))).collect();
    // Writing to a string does not fail.
    let _ = writeln!(out, "::{name} {}::{}", properties.join(","), escape_data(message));
}

/// As the toolkit's `escapeData` (`actions/toolkit`, packages/core/src/command.ts); the mark of the old
/// command syntax, which counts anywhere in a line, is broken up.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A").replace("##[", "## [")
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
        let mut out = String::new();
        command(&mut out, "error", &[("title", "a: b, 5%\n::x".to_owned())], "100%\r\n::stop-commands::z");
        assert_eq!(out, "::error title=a%3A b%2C 5%25%0A%3A%3Ax::100%25%0D%0A::stop-commands::z\n");
    }
}
