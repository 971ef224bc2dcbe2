//! The house rules: each takes the whole tree and returns what breaks it.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

use super::{Finding, SourceFile};
use crate::fault_table;

pub(super) type Rule = fn(&[SourceFile]) -> Vec<Finding>;

pub(super) const ALL: [Rule; 8] = [
    short_files,
    no_machine_paths,
    no_unfinished_marks,
    module_docs,
    unsafe_only_where_allowed,
    no_orphan_modules,
    readme_commands_exist,
    fault_table_is_current,
];

const MAX_LINES: usize = 400;

/// Sources that may be longer than [`MAX_LINES`], each with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// Sources that may lift the workspace's `unsafe_code` lint, each with the reason.
const UNSAFE_FILES: [(&str, &str); 3] = [
    (
        "chaos-harness/src/runtime/process/child.rs",
        "a child dies with its parent only if told so between fork and exec",
    ),
    ("chaos-harness/src/link/socket.rs", "no library asks the kernel for the place of urgent data (SIOCATMARK)"),
    ("chaos-harness/netns/src/fresh.rs", "a thread leaves its network namespace"),
];

/// Beginnings of paths that exist on somebody's machine only. In pieces, since this file is checked as well.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];

const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimple", "mented!(")];

const UNSAFE_MARKS: [&str; 2] = [concat!("allow(unsafe", "_code"), concat!("expect(unsafe", "_code")];

fn rust_sources(files: &[SourceFile]) -> impl Iterator<Item = &SourceFile> {
    files.iter().filter(|file| file.path.ends_with(".rs"))
}

/// Files of library and commands; tests may be longer.
fn in_src(file: &SourceFile) -> bool {
    file.path.split('/').any(|part| part == "src")
}

fn listed(list: &[(&str, &str)], path: &str) -> bool {
    list.iter().any(|(listed, _reason)| *listed == path)
}

fn whole_file(file: &SourceFile, message: impl Into<String>) -> Finding {
    Finding { path: file.path.clone(), line: 0, message: message.into() }
}

/// A finding for every line that holds one of `marks`, not as part of a longer word.
fn lines_with(file: &SourceFile, marks: &[&str], message: &str) -> Vec<Finding> {
    let continues = |before: char| before.is_alphanumeric() || before == '_' || before == '.';
    let holds = |line: &str, mark: &str| line.match_indices(mark).any(|(at, _)| !line[..at].ends_with(continues));
    let finding = |(at, line)| {
        let mark = marks.iter().find(|mark| holds(line, mark))?;
        Some(Finding { path: file.path.clone(), line: at + 1, message: format!("{message}: {mark}") })
    };
    file.text.lines().enumerate().filter_map(finding).collect()
}

fn short_files(files: &[SourceFile]) -> Vec<Finding> {
    let long = rust_sources(files).filter(|file| in_src(file) && !listed(&LONG_FILES, &file.path));
    let counted = long.map(|file| (file, file.text.lines().count())).filter(|(_, lines)| *lines > MAX_LINES);
    counted
        .map(|(file, lines)| whole_file(file, format!("{lines} lines; split it, the limit is {MAX_LINES}")))
        .collect()
}

fn fault_table_is_current(files: &[SourceFile]) -> Vec<Finding> {
    let readme = files.iter().find(|file| file.path == "README.md");
    let drifted = readme.filter(|file| fault_table::renewed(&file.text).as_deref() != Some(&file.text));
    drifted
        .map(|file| whole_file(file, "the table of faults is out of date; run `cargo xtask fault-table`"))
        .into_iter()
        .collect()
}

fn no_machine_paths(files: &[SourceFile]) -> Vec<Finding> {
    files.iter().flat_map(|file| lines_with(file, &MACHINE_PATHS, "a path of one machine")).collect()
}

fn no_unfinished_marks(files: &[SourceFile]) -> Vec<Finding> {
    let written = files.iter().filter(|file| file.path != "Cargo.lock");
    written.flat_map(|file| lines_with(file, &UNFINISHED, "unfinished; finish it or open an issue")).collect()
}

/// Inputs of compile-fail tests are exempt: their expected messages carry line numbers.
fn module_docs(files: &[SourceFile]) -> Vec<Finding> {
    let is_case = |file: &SourceFile| Path::new(&file.path).ancestors().any(|folder| folder.ends_with("tests/ui"));
    let bare = rust_sources(files).filter(|file| !is_case(file) && !file.text.starts_with("//!"));
    bare.map(|file| whole_file(file, "does not begin with a `//!` line that says what it is for")).collect()
}

fn unsafe_only_where_allowed(files: &[SourceFile]) -> Vec<Finding> {
    let others = rust_sources(files).filter(|file| !listed(&UNSAFE_FILES, &file.path));
    others.flat_map(|file| lines_with(file, &UNSAFE_MARKS, "unsafe code outside the allowed files")).collect()
}

/// A file that no `mod` names is never compiled: a fault or a toxic in it would be missing in silence.
fn no_orphan_modules(files: &[SourceFile]) -> Vec<Finding> {
    let orphans = rust_sources(files).filter(|file| in_src(file) && is_orphan(Path::new(&file.path), files));
    orphans.map(|file| whole_file(file, "no `mod` declaration names it, so it is never compiled")).collect()
}

fn is_orphan(path: &Path, files: &[SourceFile]) -> bool {
    let Some((name, parents)) = declaration(path) else { return false };
    let (module, target) = (format!("mod {name};"), format!("{name}.rs\""));
    // A list of kinds, such as that of the toxics, declares the module that each line names.
    let registered = format!("{name}: ");
    let declares = |line: &str| line.trim_end().ends_with(&module) || line.trim_start().starts_with(&registered);
    !files.iter().any(|file| match Path::new(&file.path).file_name() {
        Some(manifest) if manifest == "Cargo.toml" => file.text.contains(&target),
        _ => parents.iter().any(|parent| parent == Path::new(&file.path)) && file.text.lines().any(declares),
    })
}

/// The name by which a module must be declared, and the files that may do so; `None` for the root of a crate.
fn declaration(path: &Path) -> Option<(&str, [PathBuf; 4])> {
    let (folder, stem) = (path.parent()?, path.file_stem()?.to_str()?);
    let (name, within) = match stem {
        "lib" | "main" => return None,
        _ if folder.ends_with("bin") => return None,
        "mod" => (folder.file_name()?.to_str()?, folder.parent()?),
        _ => (stem, folder),
    };
    Some((name, [within.join("mod.rs"), within.join("lib.rs"), within.join("main.rs"), within.with_extension("rs")]))
}

/// Every `cargo xtask NAME` and every `--test NAME` that the README's code blocks tell people to type.
fn readme_commands_exist(files: &[SourceFile]) -> Vec<Finding> {
    let Some(readme) = files.iter().find(|file| file.path == "README.md") else { return Vec::new() };
    let mut inside = false;
    let mut findings = Vec::new();
    for (at, line) in readme.text.lines().enumerate() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside && let Some(message) = missing_command(line, files) {
            findings.push(Finding { path: readme.path.clone(), line: at + 1, message });
        }
    }
    findings
}

fn missing_command(line: &str, files: &[SourceFile]) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |first: &str| words.iter().position(|word| *word == first).and_then(|at| words.get(at + 1)).copied();
    if line.contains("cargo xtask ")
        && let Some(name) = after("xtask")
        && crate::Cli::command().find_subcommand(name).is_none()
    {
        return Some(format!("there is no command `cargo xtask {name}`"));
    }
    let name = after("--test").filter(|_| line.contains("cargo "))?;
    let (file, folder) = (format!("tests/{name}.rs"), format!("tests/{name}/main.rs"));
    let exists = files.iter().any(|candidate| candidate.path.ends_with(&file) || candidate.path.ends_with(&folder));
    (!exists).then(|| format!("there is no test target `{name}`"))
}

#[cfg(test)]
mod tests;
