//! What is in the file of an undo log, line by line: each line counts that can be read, whatever is around it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Header, Line, UndoStep};

/// A log of half an hour under ever new faults has a tenth of this.
pub(super) const MOST_BYTES: u64 = 8 << 20;
/// Of a line that cannot be read, so much is shown.
const SHOWN: usize = 200;

/// The lines of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Whose it is; `None` where no line says so.
    pub(super) header: Option<Header>,
    /// What was noted and not done, oldest first.
    pub(super) steps: Vec<UndoStep>,
    /// What cannot be read, or not by this version, oldest first.
    pub(super) unread: Vec<Vec<u8>>,
}

impl Contents {
    /// The log of `environment`. A last line without an end is left out: what it was about to note had not been done.
    pub(super) fn parse(environment: &str, bytes: &[u8]) -> Self {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let lines = lines.filter(|line| !line.trim_ascii().is_empty());
        let mut header = None;
        let mut open: HashMap<String, (usize, Value, &[u8])> = HashMap::new();
        let mut unread: Vec<(usize, &[u8])> = Vec::new();
        for (number, line) in lines.enumerate() {
            // As they are written, so that a step of a later version which was taken is known to be.
            match serde_json::from_slice::<Line<Value>>(line) {
                Ok(Line::Note(step)) => drop(open.entry(step.to_string()).or_insert((number, step, line))),
                Ok(Line::Done(step)) => drop(open.remove(&step.to_string())),
                Err(_) => match serde_json::from_slice::<Header>(line) {
                    Ok(read) if read.environment == environment && header.as_ref().is_none_or(|it| *it == read) => {
                        header = Some(read);
                    }
                    _ => unread.push((number, line)),
                },
            }
        }
        let mut open: Vec<_> = open.into_values().collect();
        open.sort_by_key(|(number, ..)| *number);
        let (mut steps, mut seen) = (Vec::new(), HashSet::new());
        for (number, step, line) in open {
            match serde_json::from_value::<UndoStep>(step) {
                Ok(step) => steps.extend(Some(step).filter(|step| seen.insert(format!("{step:?}")))),
                Err(_) => unread.push((number, line)),
            }
        }
        unread.sort_by_key(|(number, _)| *number);
        let unread = unread.into_iter().map(|(_, line)| line.to_owned()).collect();
        Self { header, steps, unread }
    }

    /// Whether it holds lines, and none that says anything.
    pub(super) fn is_nonsense(&self) -> bool {
        self.header.is_none() && self.steps.is_empty() && !self.unread.is_empty()
    }

    /// As it is written.
    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let header = self.header.as_ref().map(line_of).transpose()?;
        let steps = self.steps.iter().map(|step| line_of(&Line::Note(step))).collect::<Result<Vec<_>, _>>()?;
        Ok([header.unwrap_or_default(), steps.concat(), self.unread.concat()].concat())
    }
}

/// A line with its end.
pub(super) fn line_of(line: &impl serde::Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

/// The beginning of a line that cannot be read, safe to print.
pub(super) fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]).trim_end().to_owned();
    let safe = text.replace(|character: char| character.is_control(), "\u{fffd}");
    if line.len() > SHOWN { format!("{safe} ... ({} bytes)", line.len()) } else { safe }
}

/// Reads arbitrary bytes as an undo log; panics when a guarantee is broken.
pub fn fuzz_undo_log(input: &[u8]) {
    let contents = Contents::parse("chaos-fuzz-1-1-1", input);
    for line in &contents.unread {
        assert!(shown(line).len() <= 3 * SHOWN + 40 && !shown(line).contains(char::is_control));
    }
    let Ok(written) = contents.to_bytes() else { return };
    let again = Contents::parse("chaos-fuzz-1-1-1", &written);
    assert_eq!(contents, again, "what is kept says the same as before");
}
