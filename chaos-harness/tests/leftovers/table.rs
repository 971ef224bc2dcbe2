//! Every way to end a test process: [`Cell`]s, some side by side.

use std::collections::BTreeSet;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rstest::rstest;

use crate::cell::{Cell, LOGS, MOMENTS, RUNTIMES, SIGNALS, TARGETS, pid, state, tell};
use crate::common::{engine_answers, not_run};
use crate::foreign::{Foreign, image};

/// How many victims live at a time.
const AT_A_TIME: usize = 8;

/// All 800.
fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for runtime in RUNTIMES {
        for signal in SIGNALS {
            for target in TARGETS {
                for log in LOGS {
                    cells.extend(MOMENTS.map(|moment| Cell { signal, target, log, moment, runtime }));
                }
            }
        }
    }
    cells
}

/// Every signal to every target, on each runtime, such that every pair of values of two dimensions is there.
fn slice() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (r, runtime) in RUNTIMES.into_iter().enumerate() {
        for (s, signal) in SIGNALS.into_iter().enumerate() {
            for (t, target) in TARGETS.into_iter().enumerate() {
                let (log, moment) = (LOGS[(s + t) % LOGS.len()], MOMENTS[(s + 2 * t + 2 * r) % MOMENTS.len()]);
                cells.push(Cell { signal, target, log, moment, runtime });
            }
        }
    }
    cells
}

#[test]
fn the_slice_has_every_pair() {
    let values = |cell: &Cell| {
        let Cell { signal: (signal, _), target, log, moment, runtime } = cell;
        [signal.to_string(), format!("{target:?}"), format!("{log:?}"), format!("{moment:?}"), runtime.to_string()]
    };
    let pairs = |cells: Vec<Cell>| {
        let pairs = |cell: &Cell| {
            let values = values(cell);
            let pairs = (0..5).flat_map(|one| (0..one).map(move |other| (one, other)));
            pairs.map(|(one, other)| (values[one].clone(), values[other].clone())).collect::<Vec<_>>()
        };
        cells.iter().flat_map(pairs).collect::<BTreeSet<_>>()
    };
    let missing: Vec<_> = pairs(all()).difference(&pairs(slice())).cloned().collect();
    assert_eq!(missing, []);
}

#[rstest]
fn nothing_is_left_however_it_is_ended(#[values("process", "docker")] runtime: &str) {
    if runtime == "docker" && !engine_answers() {
        return not_run("no docker engine");
    }
    end_all(slice().into_iter().filter(|cell| cell.runtime == runtime).collect());
}

/// `cargo test -p chaos-harness --test leftovers the_whole_table -- --ignored --nocapture`
#[test]
#[ignore = "takes half an hour"]
fn the_whole_table() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    end_all(all());
}

/// Ends victims in all these ways and prints the table; containers and processes of somebody else are as before.
fn end_all(cells: Vec<Cell>) {
    let bystanders = Bystanders::start(cells.iter().any(|cell| cell.runtime == "docker"));
    let before = bystanders.fingerprint();
    let (swept, guarded): (Vec<Cell>, Vec<Cell>) = cells.iter().partition(|cell| cell.are_both_killed());
    let since = Instant::now();
    // Whatever starts takes away what it finds, and would hide that a guard has not: all of a batch are up before the first
    // of them is ended. Those that the next run cleans up are by themselves for the same reason.
    let batches = guarded.chunks(AT_A_TIME).chain(swept.chunks(AT_A_TIME));
    let ended: Vec<(Cell, Result<Duration, String>)> = batches.flat_map(end_batch).collect();
    print(&ended, since.elapsed());
    let failed: Vec<_> = ended.iter().filter_map(|(_, ended)| ended.as_ref().err()).collect();
    assert!(failed.is_empty() && ended.len() == cells.len(), "{failed:#?}");
    assert_eq!(bystanders.fingerprint(), before);
}

fn end_batch(cells: &[Cell]) -> Vec<(Cell, Result<Duration, String>)> {
    let up = side_by_side(cells.to_vec(), |cell| cell.start());
    let ended = side_by_side(cells.iter().zip(up).collect(), |(cell, victim)| {
        let took = cell.end(&mut victim?);
        tell(cell, took);
        Ok(took)
    });
    cells.iter().copied().zip(ended.into_iter().map(Result::flatten)).collect()
}

/// Does `work` with each, all at once; a panic is an error.
fn side_by_side<T: Send, R: Send>(all: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<Result<R, String>> {
    let work = &work;
    std::thread::scope(|scope| {
        let all: Vec<_> = all.into_iter().map(|one| scope.spawn(move || work(one))).collect();
        all.into_iter().map(|one| one.join().map_err(|panic| words(panic.as_ref()))).collect()
    })
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| format!("{:?}", panic.downcast_ref::<&str>()))
}

/// A row for each signal and target, a column for each state of the log on each runtime: how many were clean, and the
/// longest that took in milliseconds.
fn print(ended: &[(Cell, Result<Duration, String>)], took: Duration) {
    let columns: Vec<_> = RUNTIMES.iter().flat_map(|runtime| LOGS.map(|log| (*runtime, log))).collect();
    let mut table = String::from("signal  target");
    for (runtime, log) in &columns {
        table.push_str(&format!(" | {:<19}", format!("{runtime} {log:?}")));
    }
    for signal in SIGNALS {
        for target in TARGETS {
            table.push_str(&format!("\n{:<7} {:<6}", signal.0, format!("{target:?}")));
            for (runtime, log) in &columns {
                let of_cell = |cell: &Cell| {
                    (cell.signal, cell.target, cell.runtime, cell.log) == (signal, target, *runtime, *log)
                };
                let tried = ended.iter().filter(|(cell, _)| of_cell(cell)).map(|(_, ended)| ended.as_ref().ok());
                let tried: Vec<Option<&Duration>> = tried.collect();
                let clean = tried.iter().flatten();
                let longest = clean.clone().max().map_or(0, |longest| longest.as_millis());
                let text = format!("{}/{} ({longest})", clean.count(), tried.len());
                table.push_str(&format!(" | {:<19}", if tried.is_empty() { String::new() } else { text }));
            }
        }
    }
    let clean = ended.iter().filter(|(_, ended)| ended.is_ok()).count();
    eprintln!("{table}\n{clean} of {} clean, in {took:?}", ended.len());
}

/// A process and, where there is an engine, a container of somebody else.
struct Bystanders {
    process: Child,
    container: Option<Foreign>,
}

impl Bystanders {
    fn start(on_docker: bool) -> Self {
        let process = Command::new("sleep").arg("7200").spawn().unwrap();
        let container = on_docker.then(|| Foreign::start(&image(), "product", &[]));
        Self { process, container }
    }

    /// All that could be changed about them.
    fn fingerprint(&self) -> Vec<String> {
        let read = |file| std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap();
        let mut fingerprint = vec![read("limits"), read("cgroup"), read("oom_score_adj")];
        fingerprint.push(format!("stopped: {:?}", state(pid(self.process.id())).map(|state| state == 'T')));
        fingerprint.extend(self.container.iter().flat_map(Foreign::fingerprint));
        fingerprint
    }
}

impl Drop for Bystanders {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
