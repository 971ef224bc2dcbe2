//! Finds processes by their marks, which they inherit from each other: whoever started them, and whatever group they
//! are in.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::folders;
use crate::runtime::session::start_time;
use crate::runtime::{EnvironmentId, Leftover, RuntimeError, is_owner_gone, owner_of_this_process};
use crate::trusted::me;

/// The environment of a process belongs to the environment of the harness that this names.
const ENVIRONMENT: &str = "CHAOS_HARNESS_ENVIRONMENT";
/// And that to this test process.
pub(crate) const OWNER: &str = "CHAOS_HARNESS_OWNER";
/// How long killed processes may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);

/// The variables that mark a process as one of an environment.
pub(super) fn marks(id: &EnvironmentId) -> BTreeMap<String, String> {
    BTreeMap::from([(ENVIRONMENT.to_owned(), id.name().to_owned()), (OWNER.to_owned(), owner_of_this_process())])
}

/// A marked process.
struct Marked {
    pid: u32,
    started: u64,
    environment: String,
    owner: String,
}

impl Marked {
    fn read(folder: &Path) -> Option<Self> {
        let pid = folder.file_name()?.to_str()?.parse().ok()?;
        // Its marks are what a process says of itself; another user's is not believed.
        if std::fs::metadata(folder).ok()?.uid() != me() {
            return None;
        }
        let started = start_time(pid)?;
        let variables = std::fs::read(folder.join("environ")).ok()?;
        let value = |name: &str| {
            let of_name = |text: &[u8]| Some(text.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
            String::from_utf8(variables.split(|byte| *byte == 0).find_map(of_name)?).ok()
        };
        Some(Self { pid, started, environment: value(ENVIRONMENT)?, owner: value(OWNER)? })
    }

    fn is_there(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    /// Ends it, unless its number belongs to another process by now.
    fn kill(&self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw).filter(|_| self.is_there()) {
            // A failure means that it has ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn marked() -> Vec<Marked> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| Marked::read(&process.path())).collect()
}

/// Whether process `pid` is of `environment`.
pub(crate) fn is_of_environment(pid: u32, environment: &str) -> bool {
    Marked::read(&Path::new("/proc").join(pid.to_string())).is_some_and(|process| process.environment == environment)
}

/// Ends every process of `environment`, and those that they start meanwhile.
pub(crate) async fn remove_environment(environment: &str) -> Result<(), RuntimeError> {
    end_all(|process| process.environment == environment).await?;
    folders::remove(|folder| folder.environment == environment)
}

/// Ends every process of every environment of `owner`.
pub(crate) async fn remove_of_owner(owner: &str) -> Result<(), RuntimeError> {
    end_all(|process| process.owner == owner).await?;
    folders::remove(|folder| folder.owner == owner)
}

async fn end_all(is_meant: impl Fn(&Marked) -> bool) -> Result<(), RuntimeError> {
    let since = Instant::now();
    loop {
        let left: Vec<Marked> = marked().into_iter().filter(&is_meant).collect();
        if left.is_empty() {
            return Ok(());
        }
        if since.elapsed() > GONE_WITHIN {
            let what = left.iter().map(|process| format!("process {}", process.pid)).collect();
            return Err(RuntimeError::LeftBehind { what });
        }
        left.iter().for_each(Marked::kill);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Finds the processes and folders whose owner is gone, and takes them away unless `check` is set; what was found, and why
/// some of it could not be looked at or removed.
pub(crate) fn sweep(check: bool) -> (Vec<Leftover>, Option<RuntimeError>) {
    let orphans: Vec<Marked> = marked().into_iter().filter(|process| is_owner_gone(&process.owner)).collect();
    if !check {
        orphans.iter().for_each(Marked::kill);
    }
    let processes = orphans.iter().map(|it| Leftover::new("process", format!("{} of {}", it.pid, it.environment)));
    let (folders, failed) = folders::sweep(check);
    (processes.chain(folders).collect(), failed)
}
