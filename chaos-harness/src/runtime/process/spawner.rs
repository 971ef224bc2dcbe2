//! The thread that children are born from.
//!
//! `PR_SET_PDEATHSIG` kills a child when the *thread* that forked it ends, not when the process does.
//! Threads of an async runtime come and go, so one thread that never ends forks every child.

use std::io;
use std::process::Stdio;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Spawns `command` with its output piped, in a process group of its own, to die with this process.
pub(super) async fn spawn(mut command: Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    super::child::die_with_parent(&mut command);
    let runtime = Handle::current();
    let (reply, answer) = oneshot::channel();
    submit(Box::new(move || {
        let _entered = runtime.enter();
        // The receiver waits below; it is gone only when the caller was cancelled, and then the child is dropped.
        let _ = reply.send(command.spawn());
    }));
    answer.await.map_err(|_| io::Error::other("the thread that spawns children is gone"))?
}

fn submit(job: Job) {
    static JOBS: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let jobs = JOBS.get_or_init(|| {
        let (jobs, queue) = channel::<Job>();
        std::thread::Builder::new()
            .name("chaos-spawner".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job()))
            // Without a thread the queue is closed, and `spawn` reports it.
            .ok();
        Mutex::new(jobs)
    });
    let _ = jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job);
}
