//! Starts a guard and waits until it stands.

use std::ffi::OsString;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, waitid};

use super::proof::Asked;
use super::{STANDS, VARIABLE};
use crate::runtime::owner_of_this_process;

/// Within which a guard says that it stands.
const SAYS_WITHIN: Duration = Duration::from_secs(20);
/// Within which a guard reads what it is told.
const READS_WITHIN: Duration = Duration::from_secs(2);
/// How often one is started that was killed before it stood.
const TRIES: usize = 5;

/// A guard that stands. The pipe is its lease.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) pid: Pid,
    lease: PipeWriter,
    /// Its end has the guard woken.
    _alive: PipeWriter,
}

/// Starts this executable again with `arguments`, tells it what is `known`, and waits until it stands. `watch` is handed
/// the process as soon as it is there.
///
/// # Errors
/// [`ErrorKind::UnexpectedEof`] when what was started is no guard.
pub(super) fn start(
    arguments: &[OsString],
    known: &[u8],
    watch: impl Fn(Child, Option<Child>) -> std::io::Result<()>,
) -> std::io::Result<Standing> {
    let mut tries = 1;
    loop {
        match start_once(arguments, known, &watch) {
            Err(error) if error.kind() == ErrorKind::Interrupted && tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

/// [`ErrorKind::Interrupted`] when it was killed before it stood.
fn start_once(
    arguments: &[OsString],
    known: &[u8],
    watch: impl Fn(Child, Option<Child>) -> std::io::Result<()>,
) -> std::io::Result<Standing> {
    let asked = Asked { owner: owner_of_this_process(), word: format!("{:032x}", rand::random::<u128>()) };
    let (lease, mut ours) = std::io::pipe()?;
    let (heard, word) = std::io::pipe()?;
    // Before the guard is there: this process may be killed or stopped at any time.
    ours.write_all(format!("{}\n", asked.word).as_bytes())?;
    // Nobody waits for a guard that is busy.
    ioctl_fionbio(&ours, true)?;
    // The path may lead to another program by now, after a build.
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    let guard = command
        .args(arguments)
        .env(VARIABLE, asked.value())
        .env("CHAOS_DIR", crate::folders::chaos_dir())
        .stdin(lease)
        .stdout(Stdio::null())
        .stderr(word)
        .process_group(0)
        .spawn()?;
    drop(command);
    let pid = Pid::from_child(&guard);
    let (end, alive) = std::io::pipe()?;
    // Without a shell, the kernel is left to wake it.
    watch(guard, wake_at_the_end(pid, end).ok())?;
    let mut standing = Standing { pid, lease: ours, _alive: alive };
    let stands = standing.tell(known).and_then(|()| hear(heard, &asked.word));
    match stands {
        Ok(()) => Ok(standing),
        Err(error) => {
            let was_killed = matches!(standing.ended(), Some(status) if status.killed() || status.dumped());
            standing.kill();
            Err(if was_killed { ErrorKind::Interrupted.into() } else { error })
        }
    }
}

/// Wakes the guard, should it be stopped, when this process ends. The kernel does that only where nobody in the session takes
/// over a child whose parent has ended, and not while the guard is still about to stop.
fn wake_at_the_end(guard: Pid, end: PipeReader) -> std::io::Result<Child> {
    const WAKE: &str = "read -r _; i=0; while [ $i -lt 600 ] && kill -CONT \"$1\"; do sleep 0.2; i=$((i + 1)); done";
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", WAKE, "chaos-waker", &guard.to_string()]).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    shell.stdin(end).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()
}

/// Waits for the guard's word; other output may stand before it.
fn hear(mut heard: PipeReader, word: &str) -> std::io::Result<()> {
    let (since, wanted) = (Instant::now(), format!("{STANDS} {word}\n"));
    let mut said = Vec::new();
    loop {
        let left = SAYS_WITHIN.saturating_sub(since.elapsed());
        if !is_ready(&PollFd::new(&heard, PollFlags::IN), left)? {
            return Err(ErrorKind::TimedOut.into());
        }
        let mut piece = [0; 1024];
        match heard.read(&mut piece)? {
            0 => break,
            length => said.extend_from_slice(&piece[..length]),
        }
        if said.windows(wanted.len()).any(|window| window == wanted.as_bytes()) {
            return Ok(());
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    Err(if said.contains(VARIABLE) { std::io::Error::other(said) } else { ErrorKind::UnexpectedEof.into() })
}

/// Waits until something can be done with a pipe, for at most `longest`.
fn is_ready(pipe: &PollFd<'_>, longest: Duration) -> std::io::Result<bool> {
    let since = Instant::now();
    loop {
        let left = Timespec::try_from(longest.saturating_sub(since.elapsed())).map_err(std::io::Error::other)?;
        match poll(&mut [pipe.clone()], Some(&left)) {
            Err(Errno::INTR) => {}
            other => return Ok(other? > 0),
        }
    }
}

impl Standing {
    /// Tells it something.
    ///
    /// # Errors
    /// It has ended, or does not read.
    pub(super) fn tell(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            match self.lease.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !is_ready(&PollFd::new(&self.lease, PollFlags::OUT), READS_WITHIN)? {
                        return Err(ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether it has not ended. It is not waited for before another one stands in its place.
    pub(super) fn is_there(&self) -> bool {
        matches!(
            waitid(WaitId::Pid(self.pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT),
            Ok(None)
        )
    }

    /// How one has ended that has closed its pipes.
    fn ended(&self) -> Option<WaitIdStatus> {
        let since = Instant::now();
        while self.is_there() && since.elapsed() < READS_WITHIN {
            std::thread::sleep(Duration::from_millis(1));
        }
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid), look).ok().flatten()
    }

    /// Ends one that is of no use.
    pub(super) fn kill(&self) {
        if self.is_there() {
            // A failure means that it has ended meanwhile.
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// Waits for the end of a guard, and wakes it whenever it is stopped.
pub(super) fn until_ended(pid: Pid) {
    let look = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
    loop {
        match waitid(WaitId::Pid(pid), look) {
            Ok(Some(status)) if status.stopped() => {
                // A failure means that it has ended meanwhile.
                let _ = kill_process(pid, Signal::CONT);
            }
            Err(Errno::INTR) | Ok(None) => {}
            Ok(Some(_)) | Err(_) => return,
        }
    }
}
