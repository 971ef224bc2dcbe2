//! The helper: does one job, given as JSON, in the network namespace in which it was started, and prints what came of it.
#![allow(clippy::print_stdout, reason = "its output is what it is run for")]

use chaos_harness_netns::{Done, Job, NetnsError};

fn main() -> serde_json::Result<()> {
    let job: Job = serde_json::from_str(&std::env::args().nth(1).unwrap_or_default())?;
    let outcome: Result<Done, NetnsError> = job.perform();
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}
