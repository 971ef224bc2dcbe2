//! Binaries of the user's own workspaces, built for targets with the user's own settings.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::RuntimeError;
use crate::folders::build_dir;
use crate::progress;
use crate::topology::{Build, CargoBin};

/// A build that takes longer is announced: it is the one long wait before anything else is to be seen.
const QUIET: Duration = Duration::from_secs(1);

/// How a binary is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Linking {
    /// As the user's settings have it.
    Usual,
    /// Statically where it can be, since a container has no libraries.
    #[cfg(feature = "docker")]
    Static,
}

/// Builds `bin`, once in this process, and returns the executable. Cargo decides whether there is anything to do.
///
/// # Errors
/// [`RuntimeError::Build`] with the end of cargo's output.
pub(super) fn build(bin: &CargoBin, settings: &Build, linking: Linking) -> Result<PathBuf, RuntimeError> {
    static BUILT: Mutex<BTreeMap<(CargoBin, Build, Linking), PathBuf>> = Mutex::new(BTreeMap::new());
    // Held while building, so that tests of one process wait for one build too.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (bin.clone(), settings.clone(), linking);
    if let Some(executable) = built.get(&key) {
        return Ok(executable.clone());
    }
    let executable = announced(bin, || build_anew(bin, settings, linking))?;
    built.insert(key, executable.clone());
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

fn build_anew(bin: &CargoBin, settings: &Build, linking: Linking) -> Result<PathBuf, RuntimeError> {
    let failed = |output: String| RuntimeError::Build { package: bin.package.clone(), bin: bin.bin.clone(), output };
    let folder = build_dir();
    let lock = format!("lock {}", folder.display());
    std::fs::create_dir_all(&folder).map_err(RuntimeError::io(lock.clone()))?;
    // Cargo puts what is linked in either way in the same place: nobody else builds until it is taken from there.
    let locked = File::create(folder.join("chaos.lock")).and_then(|file| file.lock().map(|()| file));
    let _locked = locked.map_err(RuntimeError::io(lock))?;
    let run = |linking| -> Result<PathBuf, String> {
        let mut cargo = cargo(bin, settings, linking, &folder)?;
        let output = cargo.output().map_err(|error| format!("cargo could not be run: {error}"))?;
        if !output.status.success() {
            return Err(tail(&output.stderr, 40));
        }
        executable(&output, &bin.bin).ok_or_else(|| "cargo named no executable".to_owned())
    };
    let made = match (run(linking), linking) {
        (Err(reason), linking) if linking != Linking::Usual => {
            // Were it the code and not the linking, this fails as well, and says so.
            let made = run(Linking::Usual).map_err(failed)?;
            let reason = reason.lines().find(|line| line.starts_with("error")).unwrap_or_default();
            progress::print(&format!("`{}` cannot be linked statically ({reason}); it is linked as usual", bin.bin));
            made
        }
        (made, _) => made.map_err(failed)?,
    };
    let taken = folder.join(format!("taken/{linking:?}-{:016x}", key_of(bin, settings))).join(&bin.bin);
    take(&made, &taken).map_err(RuntimeError::io(format!("copy {}", made.display())))?;
    Ok(taken)
}

/// Tells builds apart that differ in more than the name of the binary.
fn key_of(bin: &CargoBin, settings: &Build) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&bin.package, &bin.bin, &settings.manifest, &settings.profile).hash(&mut hasher);
    (&settings.features, settings.no_default_features).hash(&mut hasher);
    hasher.finish()
}

/// Puts `made` at `taken` in one step, since others may be starting what is there.
fn take(made: &Path, taken: &Path) -> std::io::Result<()> {
    let folder = taken.parent().unwrap_or(taken);
    std::fs::create_dir_all(folder)?;
    let next = folder.join(format!(".next-{}", std::process::id()));
    let _ = std::fs::remove_file(&next);
    if std::fs::hard_link(made, &next).is_err() {
        std::fs::copy(made, &next)?;
    }
    std::fs::rename(&next, taken)?;
    // Of two links to one file the first stays.
    let _ = std::fs::remove_file(&next);
    Ok(())
}

/// A build in a folder of its own, so that it does not wait for the user's builds, nor they for it. All else is as the
/// user has it: the flag for static linking is given to the binary alone, beside what the user's settings say.
fn cargo(bin: &CargoBin, settings: &Build, linking: Linking, folder: &Path) -> Result<Command, String> {
    let mut command = program(settings)?;
    command
        .arg(if linking == Linking::Usual { "build" } else { "rustc" })
        .args(["--message-format=json-render-diagnostics", "--package", &bin.package, "--bin", &bin.bin])
        .args(["--profile", settings.profile.as_deref().unwrap_or("release")])
        .arg("--target-dir")
        .arg(absolute(folder));
    for feature in &settings.features {
        command.args(["--features", feature]);
    }
    if settings.no_default_features {
        command.arg("--no-default-features");
    }
    if linking != Linking::Usual {
        command.args(["--", "-C", "target-feature=+crt-static"]);
    }
    Ok(command)
}

/// Cargo, where its settings are found: those of the folder in which it runs.
fn program(settings: &Build) -> Result<Command, String> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let Some(manifest) = &settings.manifest else {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(package.unwrap_or_else(|| PathBuf::from(".")));
        return Ok(command);
    };
    let manifest = absolute(&package.unwrap_or_default().join(manifest));
    let folder = if manifest.is_dir() { Some(manifest.as_path()) } else { manifest.parent() };
    let folder = folder.filter(|folder| folder.join("Cargo.toml").is_file());
    let folder = folder.ok_or_else(|| format!("there is no manifest at {}", manifest.display()))?;
    let mut command = Command::new("cargo");
    // Of the other workspace's toolchain, which rustup tells by the folder.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC");
    command.current_dir(folder);
    Ok(command)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn executable(output: &Output, bin: &str) -> Option<PathBuf> {
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let of_bin = messages.filter(|message| message["target"]["name"] == bin);
    of_bin.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back()
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
    let folder = build_dir();
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

/// The same of bytes.
#[cfg(feature = "docker")]
pub(super) fn digest_of(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};

    short(&Sha256::digest(bytes))
}

/// The first 12 hexadecimal digits of a digest.
#[cfg(feature = "docker")]
pub(super) fn short(digest: &[u8]) -> String {
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a program that this library carries on the disk, once for each version of it.
#[cfg(feature = "docker")]
pub(super) fn unpack(name: &str, program: &[u8]) -> Result<PathBuf, RuntimeError> {
    use std::os::unix::fs::PermissionsExt;

    let folder = build_dir();
    let file = folder.join(format!("{name}-{}", digest_of(program)));
    if file.is_file() {
        return Ok(file);
    }
    let write = || {
        std::fs::create_dir_all(&folder)?;
        let next = tempfile::NamedTempFile::new_in(&folder)?;
        std::fs::write(next.path(), program)?;
        next.as_file().set_permissions(std::fs::Permissions::from_mode(0o755))?;
        next.persist(&file).map(drop).map_err(|error| error.error)
    };
    write().map_err(RuntimeError::io(format!("write {}", file.display())))?;
    Ok(file)
}

#[cfg(test)]
pub(super) mod tests;
