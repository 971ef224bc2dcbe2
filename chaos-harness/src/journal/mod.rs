//! What an experiment leaves behind: one JSON file, which reports and gates read.
//!
//! While an experiment runs, its [`Writer`] appends [`Record`]s to a `.partial` file; a killed test
//! process leaves that, and the [reader](read_dir) makes of it a journal that says `interrupted`. A complete
//! journal replaces it by an atomic rename. Both are the same thing: a [`Journal`] is the sum of its records.
//!
//! Journals belong to a [`TestRun`] and lie in its folder; no file is ever replaced by that of another run, runtime or
//! attempt. [`runs`] tells them apart, and the oldest go when there are more than [`RUNS_KEPT`].

mod error;
mod file;
mod file_name;
mod logs;
mod model;
mod parts;
mod reader;
mod record;
mod runs;
mod test_run;
mod traffic;
mod writer;

pub use error::JournalError;
pub use model::{
    Event, InjectionRecord, Journal, Milestones, Outlook, Phase, Problem, SCHEMA_VERSION, Status, TestRef, Versions,
    What,
};
pub(crate) use reader::parse;
pub use reader::{Entry, read_dir, read_file};
pub use record::Record;
pub use runs::{Head, RUNS_KEPT, Run, runs};
pub use test_run::{TestRun, TestRunError};
pub use traffic::{LinkInterval, LinkTraffic, Traffic, TrafficInterval};
pub use writer::Writer;
