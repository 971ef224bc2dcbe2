//! The command that runs a test again with the same decisions, as it can be pasted into a shell.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::__private::Compiled;
use crate::invocation::Invocation;
use crate::journal::TestRef;
use crate::runtime::RuntimeKind;

/// What is known of a test beside what the journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Again {
    /// The folder of its package.
    pub(crate) manifest_dir: String,
    /// What it was compiled in.
    pub(crate) kind: Compiled,
    /// Whether it is run only when asked for.
    pub(crate) ignored: bool,
}

/// A target of a package, as `cargo metadata` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
    #[serde(default, rename = "required-features")]
    required_features: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

/// The command for `test`. Cargo is asked for the name of its target; without an answer a pattern stands for it.
pub(crate) async fn command(test: &TestRef, again: &Again, seed: u64, runtime: RuntimeKind) -> String {
    let variables = format!("CHAOS_SEED={seed} CHAOS_RUNTIME={runtime}");
    if again.kind == Compiled::Program {
        return program(&std::env::args().collect::<Vec<_>>(), &variables);
    }
    let (of_test, of_again) = (test.clone(), again.clone());
    let found = tokio::task::spawn_blocking(move || target(&of_test, &of_again)).await.ok().flatten();
    let invocation = Invocation::of_this_process();
    let arguments = invocation.map(|invocation| invocation.arguments).unwrap_or_default();
    line(test, again, found.as_ref(), &arguments, &variables)
}

/// The command that started a program, with `variables` before it.
fn program(words: &[String], variables: &str) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("{variables} {}", words.join(" "))
}

fn line(test: &TestRef, again: &Again, target: Option<&Target>, arguments: &[String], variables: &str) -> String {
    let mut words = vec!["cargo".to_owned(), "test".to_owned()];
    words.extend(build(arguments));
    words.extend(lacking_features(&words, target));
    words.extend(["-p".to_owned(), test.package.clone()]);
    words.extend(which(test, again, target));
    words.extend(["--", "--exact"].map(str::to_owned));
    if again.ignored {
        words.push("--include-ignored".to_owned());
    }
    words.push(test.test.clone());
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("{variables} {}", words.join(" "))
}

/// The features that the target cannot be built without, as far as `said` does not turn them on.
fn lacking_features(said: &[String], target: Option<&Target>) -> Vec<String> {
    if said.iter().any(|word| word == "--all-features") {
        return Vec::new();
    }
    let is_said = |feature: &str| said.iter().any(|word| word.split([',', ' ']).any(|name| name == feature));
    let required = target.iter().flat_map(|target| &target.required_features);
    let lacking: Vec<&str> = required.map(String::as_str).filter(|feature| !is_said(feature)).collect();
    if lacking.is_empty() { Vec::new() } else { vec!["--features".to_owned(), lacking.join(",")] }
}

/// The arguments that choose the target.
fn which(test: &TestRef, again: &Again, target: Option<&Target>) -> Vec<String> {
    let Some(target) = target else {
        // Cargo takes patterns, and which of its names had a `-` is no longer known.
        let name = test.target.replace('_', "[-_]");
        return match again.kind {
            Compiled::Library => vec!["--lib".to_owned()],
            Compiled::Executable | Compiled::Program => vec!["--bin".to_owned(), name],
            Compiled::Test => vec!["--test".to_owned(), name],
        };
    };
    let option = target.kind.iter().find_map(|kind| match kind.as_str() {
        "test" => Some("--test"),
        "bench" => Some("--bench"),
        "bin" => Some("--bin"),
        "example" => Some("--example"),
        _ => None,
    });
    match option {
        Some(option) => vec![option.to_owned(), target.name.clone()],
        None => vec!["--lib".to_owned()],
    }
}

/// The target in which `test` was compiled.
fn target(test: &TestRef, again: &Again) -> Option<Target> {
    let manifest = Path::new(&again.manifest_dir).join("Cargo.toml");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"]).arg(&manifest);
    let output = cargo.output().ok().filter(|output| output.status.success())?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).ok()?;
    let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest)?;
    chosen(package.targets, test, again.kind, &metadata.workspace_root)
}

/// Of the targets with that name and of that kind, the one whose source lies nearest above the test's.
fn chosen(targets: Vec<Target>, test: &TestRef, compiled: Compiled, root: &Path) -> Option<Target> {
    let file = root.join(&test.file);
    let kinds: &[&str] = match compiled {
        Compiled::Test => &["test", "bench"],
        Compiled::Executable | Compiled::Program => &["bin", "example"],
        Compiled::Library => &["lib", "rlib", "dylib", "cdylib", "staticlib", "proc-macro", "example"],
    };
    let fits = |target: &Target| {
        target.name.replace('-', "_") == test.target && target.kind.iter().any(|kind| kinds.contains(&kind.as_str()))
    };
    let nearness = |target: &Target| {
        let folder = target.src_path.parent().filter(|folder| file.starts_with(folder));
        (target.src_path == file, folder.map_or(0, |folder| folder.components().count()))
    };
    targets.into_iter().filter(fits).max_by_key(nearness)
}

/// The arguments of `cargo test` or `cargo nextest run` that decide what is built.
fn build(arguments: &[String]) -> Vec<String> {
    const SWITCHES: [&str; 6] = ["--all-features", "--no-default-features", "--release", "-r", "--locked", "--offline"];
    const VALUES: [&str; 7] = ["--features", "-F", "--profile", "--target", "--manifest-path", "--config", "-Z"];
    let is_nextest = arguments.iter().any(|argument| argument == "nextest");
    let mut kept = Vec::new();
    let mut rest = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = rest.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        // Nextest has profiles of its own.
        let name = match name {
            "--profile" if is_nextest => continue,
            "--cargo-profile" => "--profile",
            name => name,
        };
        if SWITCHES.contains(&name) {
            kept.push(name.to_owned());
        } else if VALUES.contains(&name) {
            kept.push(name.to_owned());
            kept.extend(value.or_else(|| rest.next().cloned()));
        } else if name.starts_with("-F") && name.len() > 2 {
            kept.push(argument.clone());
        }
    }
    kept
}

/// As a shell reads it back: in quotes where it would read something else.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
