//! Tests and tools find one folder, wherever cargo and others put the binaries.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chaos_harness::Lab;
use chaos_harness::folders::{chaos_dir, workspace_root};

/// Tells where its files would go, for the tests below.
#[chaos_harness::chaos_test]
#[ignore = "started by the tests below"]
async fn told(_lab: Lab) -> chaos_harness::Result<()> {
    println!("\nchaos_dir={}\n", chaos_dir().display());
    Ok(())
}

fn value(output: &[u8], name: &str) -> Option<PathBuf> {
    let text = String::from_utf8_lossy(output).into_owned();
    text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")).map(PathBuf::from))
}

/// What this test executable, copied away and started in `current`, says of its folder.
fn copied_away(current: &Path, set: &[(&str, &str)]) -> PathBuf {
    let executable = current.join("copied");
    fs::copy(std::env::current_exe().unwrap(), &executable).unwrap();
    let mut command = Command::new(&executable);
    command.args(["--exact", "told", "--ignored", "--nocapture"]).current_dir(current);
    for name in ["CARGO_MANIFEST_DIR", "CHAOS_DIR", "CARGO_TARGET_DIR", "CHAOS_DRY_RUN"] {
        command.env_remove(name);
    }
    let output = command.envs(set.iter().copied()).output().unwrap();
    value(&output.stdout, "chaos_dir").unwrap_or_else(|| panic!("{output:?}"))
}

#[test]
fn a_copied_test_keeps_its_files_where_it_was_compiled() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    let here = workspace_root().unwrap();
    assert!(here.join("Cargo.lock").is_file(), "{}", here.display());
    assert_eq!(copied_away(&place, &[]), here.join("target/chaos"));
    assert_eq!(copied_away(&place, &[("CARGO_TARGET_DIR", "/elsewhere")]), here.join("target/chaos"));
    assert_eq!(copied_away(&place, &[("CHAOS_DIR", "out")]), here.join("out"), "tests and tools run in other folders");
    assert_eq!(copied_away(&place, &[("CHAOS_DIR", "/out")]), Path::new("/out"));
}

/// As nextest starts what it took from an archive, with the sources in another place.
#[test]
fn a_workspace_elsewhere_has_files_of_its_own() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    let member = place.join("crates/member");
    fs::create_dir_all(&member).unwrap();
    fs::write(place.join("Cargo.toml"), "[workspace]\nmembers = [\"crates/*\"]\n").unwrap();
    fs::write(member.join("Cargo.toml"), "[package]\nname = \"member\"\n").unwrap();
    let set = [("CARGO_MANIFEST_DIR", member.to_str().unwrap())];
    assert_eq!(copied_away(&place, &set), place.join("target/chaos"));
}

/// What the folder follows from is the same for every way to build: cargo says to the test which package it is of.
#[test]
fn every_way_to_build_names_the_package() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    let source = place.join("member/src");
    fs::create_dir_all(&source).unwrap();
    fs::write(place.join("Cargo.toml"), "[workspace]\nmembers = [\"member\"]\nresolver = \"3\"\n").unwrap();
    fs::write(place.join("member/Cargo.toml"), "[package]\nname = \"member\"\nedition = \"2024\"\n").unwrap();
    let test = "#[test] fn t() { println!(\"\\npackage={}\\n\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap()); }\n";
    fs::write(source.join("lib.rs"), test).unwrap();
    let host = host();
    let build_dir = format!("build.build-dir=\"{}\"", place.join("build").display());
    for arguments in
        [vec![], vec!["--target", &host], vec!["--target-dir", "llvm-cov-target"], vec!["--config", &build_dir]]
    {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.arg("test").args(&arguments).args(["--offline", "--", "--nocapture"]).current_dir(&place);
        cargo.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR");
        let output = cargo.output().unwrap();
        assert_eq!(value(&output.stdout, "package"), Some(place.join("member")), "{arguments:?}: {output:?}");
    }
}

fn host() -> String {
    let rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV").output().unwrap();
    let text = String::from_utf8(rustc.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}
