//! `cargo xtask fault-table`: the README's table of faults by runtime and privilege, from the registry.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use chaos_harness::fault::catalogue;

const BEGIN: &str = "<!-- faults: made by `cargo xtask fault-table` -->\n";
const END: &str = "<!-- end of faults -->";

/// Writes the README.
pub(crate) fn run() -> Result<ExitCode> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(&path).context("cannot read README.md")?;
    let renewed = renewed(&readme).context("README.md lacks the marks around the table of faults")?;
    std::fs::write(&path, renewed).context("cannot write README.md")?;
    Ok(ExitCode::SUCCESS)
}

/// `readme` with the table as it should be; `None` without the marks around it.
pub(crate) fn renewed(readme: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", catalogue::table()))
}
