//! Variables of the harness with values that mean nothing: each fails the test, and none passes it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

use rstest::rstest;

/// No text in any encoding of ours.
fn bytes() -> OsString {
    OsString::from_vec(vec![b'1', 0xff])
}

fn run(name: &str, value: OsString) -> (bool, String) {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--ignored", "--exact", "victim::passes"]).env("CHAOS_RUNTIME", "process").env(name, value);
    let output = test.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[rstest]
#[case("CHAOS_DRY_RUN", &["2", "yes", "TRUE", " 1"])]
#[case("CHAOS_NETWORK_HELPER", &["2", "yes"])]
#[case("CHAOS_SEED", &["-1", "one", "18446744073709551616"])]
#[case("CHAOS_RUNTIME", &["podman", "Docker", " process"])]
#[case("CHAOS_RUN", &["latest", "all"])]
#[case("CHAOS_NETWORK_HELPER_IMAGE", &[])]
#[case("CHAOS_GUARD_OF", &["", "x", "1/2/a/b/c 0123"])]
#[case("CHAOS_HARNESS_OWNER", &["x", "1/2"])]
fn a_value_that_means_nothing_is_refused(#[case] name: &str, #[case] values: &[&str]) {
    for value in values.iter().map(OsString::from).chain([bytes()]) {
        let (passed, said) = run(name, value.clone());
        assert!(!passed && said.contains(name), "{name}={value:?}: {said}");
    }
}

#[rstest]
#[case("CHAOS_DRY_RUN", &["", "0", "1", "true", "false"])]
#[case("CHAOS_NETWORK_HELPER", &["", "0", "1", "true", "false"])]
#[case("CHAOS_SEED", &["", "7"])]
#[case("CHAOS_RUNTIME", &["", "auto", "process"])]
fn one_that_is_understood_is_not(#[case] name: &str, #[case] values: &[&str]) {
    for value in values {
        let (passed, said) = run(name, value.into());
        assert!(passed, "{name}={value:?}: {said}");
    }
}
