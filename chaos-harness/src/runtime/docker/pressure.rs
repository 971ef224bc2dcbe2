//! Pressure from inside a container: a small static program of the harness that runs within the container's own limits.
//!
//! It is put into the container and started there by the engine, so it takes no privileges, and nothing in the image. It
//! removes its file as it starts, and ends when its standard input does: with the fault, or with this process.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use futures::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::client::{engine, status_code};
use crate::runtime::{DiskWrites, Hold, Pressure, RuntimeError, Space, artifact};
use crate::topology::InstanceId;

/// How long the program may take until it presses, also where it has little processor time.
const PRESSES_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// A program that presses.
pub(super) struct Presser {
    exec: String,
    /// Its standard input, its lease.
    lease: Pin<Box<dyn AsyncWrite + Send>>,
    /// Kept, because the engine ends the connection as a whole.
    _output: Output,
}

impl std::fmt::Debug for Presser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presser").field("exec", &self.exec).finish_non_exhaustive()
    }
}

/// Those of an environment.
#[derive(Debug, Default)]
pub(super) struct Pressers {
    last: u64,
    held: BTreeMap<Hold, Presser>,
}

impl Pressers {
    pub(super) fn add(&mut self, presser: Presser) -> Hold {
        self.last += 1;
        self.held.insert(Hold(self.last), presser);
        Hold(self.last)
    }

    /// Ends one; one that has ended is fine. It is forgotten only once it is gone.
    pub(super) async fn end(&mut self, docker: &Docker, hold: Hold) -> Result<(), RuntimeError> {
        let Some(presser) = self.held.get_mut(&hold) else { return Ok(()) };
        // It may have ended by itself, and its connection with it.
        let _ = presser.lease.shutdown().await;
        let since = Instant::now();
        while is_running(docker, &presser.exec).await? {
            if since.elapsed() > ENDS_WITHIN {
                return Err(RuntimeError::LeftBehind {
                    what: vec![format!("a program that presses ({})", presser.exec)],
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.held.remove(&hold);
        Ok(())
    }

    /// The engine's name of its program; `None` once it was ended.
    pub(super) fn exec(&self, hold: Hold) -> Option<String> {
        self.held.get(&hold).map(|presser| presser.exec.clone())
    }
}

/// Whether a program that presses still runs.
pub(super) async fn is_running(docker: &Docker, exec: &str) -> Result<bool, RuntimeError> {
    match docker.inspect_exec(exec).await {
        Err(error) if status_code(&error) == Some(404) => Ok(false),
        other => Ok(other.map_err(engine("inspect a program that presses"))?.running == Some(true)),
    }
}

fn arguments(pressure: &Pressure) -> Vec<String> {
    match pressure {
        Pressure::Cpu { threads } => vec!["cpu".to_owned(), threads.to_string()],
        Pressure::Memory { bytes } => vec!["memory".to_owned(), bytes.to_string()],
        // One is the program itself.
        Pressure::Processes { count } => vec!["threads".to_owned(), count.saturating_sub(1).to_string()],
        Pressure::Disk { folder, permille } => vec!["disk".to_owned(), folder.clone(), permille.to_string()],
    }
}

/// Starts the program in `container`, and returns once it presses.
pub(super) async fn press(
    docker: &Docker,
    container: &str,
    id: &InstanceId,
    pressure: &Pressure,
) -> Result<Presser, RuntimeError> {
    let (presser, _) = run(docker, container, id, arguments(pressure)).await?;
    Ok(presser)
}

/// How large the file system of a folder is, and how much of it is free.
pub(super) async fn space(
    docker: &Docker,
    container: &str,
    id: &InstanceId,
    folder: &str,
) -> Result<Space, RuntimeError> {
    let (mut presser, said) = run(docker, container, id, vec!["space".to_owned(), folder.to_owned()]).await?;
    let _ = presser.lease.shutdown().await;
    let numbers: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [total, free, ..] => Ok(Space { total: *total, free: *free }),
        _ => Err(failed(id, &said)),
    }
}

/// How long it takes to write in a folder until the disk has it: the longest of so many rounds.
pub(super) async fn sync_time(
    docker: &Docker,
    container: &str,
    id: &InstanceId,
    folder: &str,
    writes: DiskWrites,
    rounds: u32,
) -> Result<Duration, RuntimeError> {
    let DiskWrites { bytes, times } = writes;
    let numbers = [bytes, u64::from(times), u64::from(rounds)].map(|number| number.to_string());
    let arguments = [vec!["sync".to_owned(), folder.to_owned()], numbers.to_vec()].concat();
    let (mut presser, said) = run(docker, container, id, arguments).await?;
    let _ = presser.lease.shutdown().await;
    let took = said.lines().filter_map(|line| line.strip_prefix("took ")?.trim().parse().ok());
    took.max().map(Duration::from_nanos).ok_or_else(|| failed(id, &said))
}

fn failed(id: &InstanceId, said: &str) -> RuntimeError {
    let reason = if said.trim().is_empty() { "it ended before it pressed" } else { said.trim() };
    RuntimeError::io(format!("press on {id}"))(std::io::Error::other(reason.to_owned()))
}

/// Runs the program in a container until it says that it is ready; also what it said until then.
async fn run(
    docker: &Docker,
    container: &str,
    id: &InstanceId,
    arguments: Vec<String>,
) -> Result<(Presser, String), RuntimeError> {
    let name = put_into(docker, container, id).await?;
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some([vec![name], arguments].concat()),
        ..Default::default()
    };
    let doing = || format!("press on {id}");
    let exec = docker.create_exec(container, options).await.map_err(engine(doing()))?.id;
    let started = docker.start_exec(&exec, None).await.map_err(engine(doing()))?;
    let StartExecResults::Attached { output, input } = started else { return Err(failed(id, "detached")) };
    let mut presser = Presser { exec, lease: input, _output: output };
    let ready = tokio::time::timeout(PRESSES_WITHIN, until_ready(&mut presser._output)).await;
    match ready {
        Ok((true, said)) => Ok((presser, said)),
        Ok((false, said)) => Err(failed(id, &said)),
        Err(_) => Err(failed(id, "it did not press in time")),
    }
}

async fn until_ready(output: &mut Output) -> (bool, String) {
    let mut said = String::new();
    while let Some(Ok(piece)) = output.next().await {
        said.push_str(&String::from_utf8_lossy(piece.as_ref()));
        if said.lines().any(|line| line.starts_with("ready")) {
            return (true, said);
        }
    }
    (false, said)
}

/// Puts the program into a container under a name that it has to itself, and returns that.
async fn put_into(docker: &Docker, container: &str, id: &InstanceId) -> Result<String, RuntimeError> {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!(".chaos-press-{}-{number}", std::process::id());
    let packing = name.clone();
    let packed = tokio::task::spawn_blocking(move || {
        let program = artifact::helper()?;
        let pack = || {
            let mut archive = tar::Builder::new(Vec::new());
            archive.sparse(false);
            archive.append_path_with_name(&program, &packing)?;
            archive.into_inner()
        };
        pack().map_err(RuntimeError::io(format!("pack {}", program.display())))
    });
    let archive = packed.await.map_err(engine(format!("press on {id}")))??;
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let put = docker.upload_to_container(container, Some(options), bollard::body_full(archive.into())).await;
    put.map_err(engine(format!("put a program into {id}")))?;
    Ok(format!("/{name}"))
}
