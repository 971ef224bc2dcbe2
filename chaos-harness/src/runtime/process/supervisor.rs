//! Keeps one instance as it is wished: waits for its end, and starts it again where its policy says so.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::sync::{broadcast, watch};

use super::output::Output;
use super::spawner;
use crate::runtime::{Change, InstanceSpec, RuntimeError, State, Status};

/// The first delay before a restart, doubled each time up to the longest, as Docker's restart manager does.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// An instance that ran for this long starts from the first delay again.
const LONG_RUN: Duration = Duration::from_secs(10);

/// Whether an instance is meant to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It is, as far as its restart policy says.
    Up,
    /// It is not.
    Down,
}

/// An instance under supervision.
#[derive(Debug)]
pub(super) struct Supervised {
    spec: InstanceSpec,
    program: PathBuf,
    /// Where it runs.
    folder: PathBuf,
    address: SocketAddr,
    output: Output,
    status: watch::Sender<Status>,
    wish: Mutex<Wish>,
    changes: broadcast::Sender<Change>,
    this: Weak<Supervised>,
}

impl Supervised {
    /// Starts the instance for the first time.
    pub(super) async fn start(
        spec: InstanceSpec,
        (program, folder): (PathBuf, PathBuf),
        address: SocketAddr,
        changes: broadcast::Sender<Change>,
    ) -> Result<Arc<Self>, RuntimeError> {
        let down = Status { state: State::Exited { code: 0, oom: false }, address: None, pid: None, restarts: 0 };
        let supervised = Arc::new_cyclic(|this| Self {
            spec,
            program,
            folder,
            address,
            output: Output::default(),
            status: watch::Sender::new(down),
            wish: Mutex::new(Wish::Up),
            changes,
            this: this.clone(),
        });
        let child = supervised.spawn().await?;
        tokio::spawn(supervise(Arc::downgrade(&supervised), child, FIRST_DELAY));
        Ok(supervised)
    }

    /// Starts it again after it was stopped; does nothing while it runs.
    pub(super) async fn start_again(&self) -> Result<(), RuntimeError> {
        self.wish(Wish::Up);
        if self.status().pid.is_none() {
            let child = self.spawn().await?;
            tokio::spawn(supervise(self.this.clone(), child, FIRST_DELAY));
        }
        Ok(())
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(super) fn output(&self) -> &Output {
        &self.output
    }

    pub(super) fn wish(&self, wish: Wish) {
        *self.wish.lock().unwrap_or_else(PoisonError::into_inner) = wish;
    }

    /// How long it may take to shut down at the end, where it is to be asked to.
    pub(super) fn grace(&self) -> Option<Duration> {
        self.spec.service.stop_grace
    }

    fn wants_restart(&self) -> bool {
        let wish = *self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        let Status { state: State::Exited { code, .. }, restarts, .. } = self.status() else { return false };
        wish == Wish::Up && self.spec.service.restart.restarts_after(code, restarts)
    }

    /// Notes that process `pid` was stopped or goes on; ignored when another runs by now.
    pub(super) fn set_state(&self, pid: u32, state: State) {
        if self.status().pid == Some(pid) {
            self.change(|status| status.state = state);
        }
    }

    /// Waits until process `pid` has ended; false when it takes longer than `limit`.
    pub(super) async fn ends_within(&self, pid: u32, limit: Duration) -> bool {
        let mut status = self.status.subscribe();
        let ended = status.wait_for(|status| status.pid != Some(pid));
        tokio::time::timeout(limit, ended).await.is_ok()
    }

    async fn spawn(&self) -> Result<Child, RuntimeError> {
        let mut command = Command::new(&self.program);
        command.args(&self.spec.args).current_dir(&self.folder).env_clear().envs(inherited()).envs(&self.spec.env);
        let mut child = spawner::spawn(command).await.map_err(|source| RuntimeError::Spawn {
            instance: self.spec.id.clone(),
            program: self.program.clone(),
            source,
        })?;
        if let Some(pipe) = child.stdout.take() {
            self.output.read(pipe);
        }
        if let Some(pipe) = child.stderr.take() {
            self.output.read(pipe);
        }
        self.change(|status| {
            status.state = State::Running;
            status.address = Some(self.address);
            status.pid = child.id();
        });
        Ok(child)
    }

    fn ended(&self, exit: Option<ExitStatus>) {
        let signal = exit.and_then(|exit| exit.signal());
        let code = exit.and_then(|exit| exit.code()).unwrap_or_else(|| 128 + signal.unwrap_or_default());
        self.change(|status| {
            status.state = State::Exited { code, oom: false };
            status.address = None;
            status.pid = None;
        });
    }

    fn change(&self, update: impl FnOnce(&mut Status)) {
        self.status.send_modify(update);
        // No receiver is no loss: nobody is interested yet.
        let _ = self.changes.send(Change { id: self.spec.id.clone(), at: Instant::now(), status: self.status() });
    }
}

/// Waits for the end of `child`, then for as long as the policy says so starts another.
async fn supervise(instance: Weak<Supervised>, mut child: Child, mut delay: Duration) {
    loop {
        let started = Instant::now();
        let exit = child.wait().await.ok();
        let Some(supervised) = instance.upgrade() else { return };
        supervised.ended(exit);
        if started.elapsed() >= LONG_RUN {
            delay = FIRST_DELAY;
        }
        if !supervised.wants_restart() {
            return;
        }
        drop(supervised);
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
        let Some(supervised) = instance.upgrade() else { return };
        if !supervised.wants_restart() {
            return;
        }
        match supervised.spawn().await {
            Ok(next) => child = next,
            Err(error) => return supervised.output.push(&error.to_string()),
        }
        supervised.change(|status| status.restarts += 1);
    }
}

/// What children may see of the test's environment: enough to find programs and libraries.
fn inherited() -> impl Iterator<Item = (String, String)> {
    ["PATH", "HOME", "TMPDIR", "LANG", "TZ"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), std::env::var(key).ok()?)))
}
