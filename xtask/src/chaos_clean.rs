//! `cargo xtask chaos-clean`: takes away what dead test processes left on this machine.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use chaos_harness::folders::undo_dir;
use chaos_harness::report::foreign;
use chaos_harness::runtime::{OwnImage, remove_unused_images};
use chaos_harness::safety::{Cleaned, clean};
use clap::Args;

#[derive(Args)]
pub(crate) struct Options {
    /// Only look: exit with 1 when something is left.
    #[arg(long)]
    check: bool,
    /// Also remove the images that the harness has made of binaries, where no container uses them; with --check, list
    /// them. For when no test runs.
    #[arg(long)]
    images: bool,
}

/// Exits with 0 when nothing is left, 1 when something is.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let cleaned = runtime.block_on(clean(&undo_dir(), options.check));
    print(options.check, &cleaned)?;
    if options.images {
        // After what used them has been taken away.
        print_images(options.check, &runtime.block_on(remove_unused_images(options.check))?)?;
    }
    let is_left = options.check && !cleaned.found.is_empty();
    Ok(if is_left || !cleaned.failed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Images are no leftovers, so they change nothing about the status.
fn print_images(check: bool, images: &[OwnImage]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for image in images {
        let what = if check { "unused:" } else { "removed:" };
        let line = format!("{what} image {} ({})", image.name, megabytes(image.bytes));
        writeln!(out, "{}", foreign::log(&line))?;
    }
    let all = megabytes(images.iter().map(|image| image.bytes).sum());
    match (images.len(), check) {
        (0, _) => writeln!(out, "no image of the harness is unused")?,
        (count, true) => writeln!(
            out,
            "{count} images, {all} with what they share; `cargo xtask chaos-clean --images` removes them"
        )?,
        (count, false) => writeln!(out, "{count} images removed, {all} with what they shared")?,
    }
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

fn print(check: bool, cleaned: &Cleaned) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for leftover in &cleaned.found {
        let what = if check { "left:" } else { "found:" };
        writeln!(out, "{}", foreign::log(&format!("{what} {leftover}")))?;
    }
    for failure in &cleaned.failed {
        eprintln!("{}", foreign::log(&format!("error: {failure}")));
    }
    writeln!(out, "{}", summary(check, cleaned.found.len(), cleaned.failed.len()))?;
    Ok(())
}

/// Says that nothing is left only where that is known.
fn summary(check: bool, found: usize, failed: usize) -> String {
    match (found, failed, check) {
        (0, 0, _) => "nothing is left of test processes that are gone".to_owned(),
        (_, 0, true) => format!("{found} left; `cargo xtask chaos-clean` takes them away"),
        (_, 0, false) => format!("{found} removed"),
        (_, _, true) => format!("{found} left, and there may be more: {failed} could not be looked at"),
        (_, _, false) => format!("{found} found, and there may be more: {failed} could not be looked at or taken away"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_only_where_nothing_failed() {
        for (check, found, failed) in
            [(false, 0, 0), (true, 0, 0), (false, 2, 0), (true, 2, 0), (false, 0, 1), (true, 2, 1)]
        {
            let said = summary(check, found, failed);
            assert_eq!(said.contains("nothing is left"), (found, failed) == (0, 0), "{said}");
            assert_eq!(said.contains("could not"), failed > 0, "{said}");
        }
    }
}
