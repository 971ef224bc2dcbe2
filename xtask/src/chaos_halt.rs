//! `cargo xtask chaos-halt`: asks every experiment that runs to roll back and end.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use chaos_harness::folders::undo_dir;
use chaos_harness::report::foreign;
use chaos_harness::safety::halt_all;
use clap::Args;

#[derive(Args)]
pub(crate) struct Options {
    /// How long to wait until they have ended.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    wait: Duration,
}

/// Exits with 0 when no experiment runs any more, 1 when one is still there.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let halted = tokio::runtime::Runtime::new()?.block_on(halt_all(&undo_dir(), options.wait))?;
    let mut out = std::io::stdout().lock();
    for environment in &halted.asked {
        let still = if halted.left.contains(environment) { "still rolling back" } else { "ended" };
        writeln!(out, "{}", foreign::log(&format!("{environment}: {still}")))?;
    }
    if halted.asked.is_empty() {
        writeln!(out, "no experiment runs")?;
    }
    Ok(if halted.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
