//! Binaries of the user's own workspace, built for targets: static, so that they run in an empty image.

use std::collections::BTreeMap;
#[cfg(feature = "docker")]
use std::path::Path;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::RuntimeError;
use crate::folders::chaos_dir;
use crate::progress;
use crate::topology::CargoBin;

/// A build that takes longer is announced: it is the one long wait before anything else is to be seen.
const QUIET: Duration = Duration::from_secs(1);

/// Builds `bin`, once in this process, and returns the executable. Cargo decides whether there is anything to do, and
/// its lock makes several test processes wait for one build.
///
/// # Errors
/// [`RuntimeError::Build`] with the end of cargo's output.
pub(super) fn build(bin: &CargoBin) -> Result<PathBuf, RuntimeError> {
    static BUILT: Mutex<BTreeMap<CargoBin, PathBuf>> = Mutex::new(BTreeMap::new());
    // Held while building, so that tests of one process wait for one build too.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(executable) = built.get(bin) {
        return Ok(executable.clone());
    }
    let executable = announced(bin, || build_anew(bin))?;
    built.insert(bin.clone(), executable.clone());
    Ok(executable)
}

/// Runs `work`, and says what it is when it takes long.
fn announced<T>(bin: &CargoBin, work: impl FnOnce() -> T) -> T {
    let (done, wait) = channel::<()>();
    let text =
        format!("building `{}` of package `{}` for its targets; the first time takes a while", bin.bin, bin.package);
    let announcer = std::thread::spawn(move || {
        if wait.recv_timeout(QUIET) == Err(RecvTimeoutError::Timeout) {
            progress::print(&text);
        }
    });
    let result = work();
    drop(done);
    // It only prints; there is nothing to do about a panic in it.
    let _ = announcer.join();
    result
}

fn build_anew(bin: &CargoBin) -> Result<PathBuf, RuntimeError> {
    let failed = |output: String| RuntimeError::Build { package: bin.package.clone(), bin: bin.bin.clone(), output };
    let host = host_triple().map_err(failed)?;
    let output = cargo(bin, &host).output().map_err(|error| failed(format!("cargo could not be run: {error}")))?;
    if !output.status.success() {
        return Err(failed(tail(&output.stderr, 40)));
    }
    executable(&output, &bin.bin).ok_or_else(|| failed("cargo named no executable".to_owned()))
}

/// A release build in a folder of its own: the flags for static linking differ from those of the tests,
/// and would make the two throw away each other's work.
fn cargo(bin: &CargoBin, host: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--release", "--message-format=json-render-diagnostics", "--target", host])
        .args(["--package", &bin.package, "--bin", &bin.bin])
        .arg("--target-dir")
        .arg(chaos_dir().join("build"))
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if let Some(package) = std::env::var_os("CARGO_MANIFEST_DIR") {
        command.current_dir(package);
    }
    command
}

fn executable(output: &Output, bin: &str) -> Option<PathBuf> {
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let of_bin = messages.filter(|message| message["target"]["name"] == bin);
    of_bin.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back()
}

fn host_triple() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().map_err(|error| format!("rustc could not be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc did not name its host".to_owned())
}

/// The last `lines` lines of `bytes`.
fn tail(bytes: &[u8], lines: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// The program that uses up what a container has, compiled from the source that the crate carries, once for each
/// version of it.
///
/// # Errors
/// [`RuntimeError::Build`] with the end of the compiler's output.
#[cfg(feature = "docker")]
pub(super) fn helper() -> Result<PathBuf, RuntimeError> {
    const SOURCE: &str = include_str!("docker/helper/main.rs");
    let folder = chaos_dir().join("build");
    let program = folder.join(format!("chaos-press-{}", digest_of(SOURCE.as_bytes())));
    if program.is_file() {
        return Ok(program);
    }
    let compile = || {
        std::fs::create_dir_all(&folder)?;
        // Under a name of its own until it is whole: several test processes may do this at once.
        let work = tempfile::tempdir_in(&folder)?;
        let (source, made) = (work.path().join("main.rs"), work.path().join("press"));
        std::fs::write(&source, SOURCE)?;
        let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        command.args(["--edition", "2024", "--crate-name", "chaos_press", "-C", "opt-level=2", "-C", "panic=abort"]);
        command.args(["-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"]).arg(&made).arg(&source);
        let output = command.output()?;
        if !output.status.success() {
            return Err(std::io::Error::other(tail(&output.stderr, 40)));
        }
        std::fs::rename(&made, &program)
    };
    compile().map_err(|error| RuntimeError::Build {
        package: "chaos-harness".to_owned(),
        bin: "chaos-press".to_owned(),
        output: error.to_string(),
    })?;
    Ok(program)
}

/// The first 12 hexadecimal digits of the SHA-256 of a file.
#[cfg(feature = "docker")]
pub(super) fn digest(file: &Path) -> Result<String, RuntimeError> {
    let bytes = std::fs::read(file).map_err(RuntimeError::io(format!("read {}", file.display())))?;
    Ok(digest_of(&bytes))
}

#[cfg(feature = "docker")]
fn digest_of(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};

    Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_fails_says_so() {
        let bin = CargoBin { package: "no-such-package".to_owned(), bin: "x".to_owned() };
        let message = build(&bin).unwrap_err().to_string();
        assert!(message.starts_with("building `x` of package `no-such-package` failed:"), "{message}");
        assert!(message.contains("no-such-package` did not match any packages"), "{message}");
    }
}
