//! What a person sees while an experiment runs: a live line on a terminal, plain lines in a log.
//!
//! It is written to standard error past the test runner's capture: a phase of ten seconds should not look
//! like a hang.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::journal::Journal;
use crate::measure::{Sample, Tally};
use crate::report::foreign;

/// The live line of one experiment.
#[derive(Debug)]
pub(crate) struct Progress {
    name: String,
    line: Option<ProgressBar>,
}

/// One set of lines for all experiments that run side by side.
fn lines() -> &'static MultiProgress {
    static LINES: OnceLock<MultiProgress> = OnceLock::new();
    LINES.get_or_init(MultiProgress::new)
}

impl Progress {
    pub(crate) fn new(name: &str) -> Self {
        let line = std::io::stderr().is_terminal().then(|| {
            let line = lines().add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                line.set_style(style);
            }
            line.enable_steady_tick(Duration::from_millis(120));
            line
        });
        Self { name: name.to_owned(), line }
    }

    /// A new step begins.
    pub(crate) fn step(&self, step: &str, detail: &str) {
        let text = foreign::line(&format!("{}  {step}: {detail}", self.name));
        match &self.line {
            Some(line) => line.set_message(text),
            None => print(&text),
        }
    }

    /// The step goes on for `left`.
    pub(crate) fn tick(&self, left: Duration, samples: &[Sample]) {
        let Some(line) = &self.line else { return };
        let recent = &samples[samples.len().saturating_sub(200)..];
        let share = Tally::of(recent).rates(1).map(|rates| format!(", {:.1}% served", rates.availability * 100.0));
        line.set_prefix(format!("{:.0}s left{}", left.as_secs_f64(), share.unwrap_or_default()));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {prefix}") {
            line.set_style(style);
        }
    }

    /// The experiment has ended.
    pub(crate) fn finish(&self, journal: &Journal) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
        print(&crate::report::text::line(journal));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}

/// Prints a line past the test runner's capture.
pub(crate) fn print(text: &str) {
    let text = foreign::log(text);
    let write = || {
        // A log that cannot be written to is no reason to fail an experiment.
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    if std::io::stderr().is_terminal() { lines().suspend(write) } else { write() }
}
