//! `cargo xtask chaos-clean`: takes away what dead test processes left on this machine.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use chaos_harness::folders::undo_dir;
use chaos_harness::safety::{Cleaned, clean};
use clap::Args;

#[derive(Args)]
pub(crate) struct Options {
    /// Only look: exit with 1 when something is left.
    #[arg(long)]
    check: bool,
}

/// Exits with 0 when nothing is left, 1 when something is.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let cleaned = tokio::runtime::Runtime::new()?.block_on(clean(&undo_dir(), options.check));
    print(options.check, &cleaned)?;
    let is_left = options.check && !cleaned.found.is_empty();
    Ok(if is_left || !cleaned.failed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(check: bool, cleaned: &Cleaned) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for leftover in &cleaned.found {
        writeln!(out, "{} {leftover}", if check { "left:" } else { "found:" })?;
    }
    for failure in &cleaned.failed {
        eprintln!("error: {failure}");
    }
    match (cleaned.found.len(), check) {
        (0, _) => writeln!(out, "nothing is left of test processes that are gone")?,
        (count, true) => writeln!(out, "{count} left; `cargo xtask chaos-clean` takes them away")?,
        (count, false) => writeln!(out, "{count} removed, {} failed", cleaned.failed.len())?,
    }
    Ok(())
}
