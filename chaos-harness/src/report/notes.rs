//! What a reader has to know beside the experiments: which run this is, and what it does not have.

use std::collections::BTreeMap;

use super::selection::{Missing, RunBrief, RunChoice, Selection};
use super::{Report, words};
use crate::runtime::RuntimeKind;

/// How many names a note lists.
const NAMES: usize = 10;

/// One thing to know.
pub(super) struct Note {
    /// In a word: `MISSING`.
    pub(super) title: &'static str,
    /// In full, on one line.
    pub(super) text: String,
    /// Whether it changes what the gate says.
    pub(super) decides: bool,
}

/// What there is to know of `report`, the most important first.
pub(super) fn of(report: &Report) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut add = |title, decides, text: String| notes.push(Note { title, decides, text: words::line(&text) });
    if let Some(changed) = &report.changed {
        let text = format!(
            "{} was changed at {}, after this run had begun: it says nothing of what is there now; run the tests again, \
             or judge it all the same with `--run latest`",
            changed.file,
            moment(changed.at)
        );
        add("OUTDATED", true, text);
    }
    for (name, standings) in retried(report) {
        let text = format!("{name} was run {} times: {}; each of them counts", standings.len(), standings.join(", "));
        add("RETRIED", false, text);
    }
    let Some(selection) = &report.selection else { return notes };
    if let (RunChoice::Id(id), None) = (&selection.choice, &selection.run) {
        add("NO RUN", true, format!("run `{id}` has left no journal"));
    }
    for (in_previous, when) in [(true, "the previous run has"), (false, "still earlier runs have")] {
        let of_time = selection.missing.iter().filter(|missing| missing.in_previous == in_previous);
        let names: Vec<String> = of_time.map(Missing::to_string).collect();
        if !names.is_empty() {
            let count = words::count(names.len(), "experiment");
            add("MISSING", false, format!("{when} {count} that this one has not: {}", listed(&names)));
        }
    }
    if let Some(text) = not_judged(selection) {
        add("NOT JUDGED", false, text);
    }
    notes
}

/// Which run it is about, in words.
pub(super) fn run(report: &Report) -> Option<String> {
    let run = report.selection.as_ref()?.run.as_ref()?;
    let id = run.id.as_ref()?;
    Some(words::line(&format!("run {id} of {}", moment(run.started_at))))
}

/// The experiments that were run more than once, with how they stood each time, in that order.
pub(super) fn retried(report: &Report) -> Vec<(String, Vec<&'static str>)> {
    let mut runs: BTreeMap<(String, RuntimeKind), Vec<&'static str>> = BTreeMap::new();
    for experiment in &report.experiments {
        let view = experiment.view();
        runs.entry((view.id(), view.journal.runtime.kind)).or_default().push(view.standing().words());
    }
    let often = runs.into_iter().filter(|(_, standings)| standings.len() > 1);
    often.map(|((id, runtime), standings)| (format!("{id} ({runtime})"), standings)).collect()
}

fn not_judged(selection: &Selection) -> Option<String> {
    let others = &selection.not_judged;
    let journals: usize = others.iter().map(|run| run.journals).sum();
    let latest = others.first()?;
    let runs = words::count(others.len(), "other run");
    let journals = words::count(journals, "journal");
    let running = others.iter().filter(|run| run.is_running).count();
    let running = if running > 0 { format!("; {running} under way") } else { String::new() };
    let name = |run: &RunBrief| run.id.clone().unwrap_or_else(|| "without a name".to_owned());
    Some(format!(
        "{runs} with {journals}{running}; the latest: {} of {}; `--run ID` or `--run all` shows them",
        name(latest),
        moment(latest.started_at)
    ))
}

fn listed(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMES)].join(", ");
    if names.len() > NAMES { format!("{shown} and {} more", names.len() - NAMES) } else { shown }
}

fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.experiment, self.runtime)
    }
}
