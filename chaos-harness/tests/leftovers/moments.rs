//! SIGKILL at random moments of an experiment.

use std::time::Duration;

use chaos_harness::journal::Status;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{engine_answers, not_run};
use crate::lanes;
use crate::victim::Victim;

/// How often the test process is killed, on each runtime.
const KILLS: usize = 50;
/// The victim's experiment takes about as long.
const LENGTH: Duration = Duration::from_millis(5300);

#[test]
fn killed_on_processes() {
    kill_all("process", 21);
}

#[test]
fn killed_on_docker() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    kill_all("docker", 22);
}

/// Kills victims at moments spread over all phases; the same seed gives the same ones.
fn kill_all(runtime: &str, seed: u64) {
    // What the victims run is built before the first of them is timed.
    let mut first = Victim::start("experiments", runtime);
    first.process.wait().unwrap();
    let journals = first.journals("not killed");
    assert_eq!((journals.len(), journals[0].status), (1, Status::Complete));
    assert!(journals[0].problems.is_empty(), "{:?}", journals[0].problems);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let moments: Vec<Duration> = (0..KILLS).map(|_| LENGTH.mul_f64(rng.random_range(0.0..1.0))).collect();
    let mut times = lanes::each(&moments, |after| kill(runtime, *after));
    times.sort();
    assert_eq!(times.len(), KILLS);
    eprintln!(
        "{runtime}: {KILLS} of {KILLS} clean, median after {:?}, the last after {:?}",
        times[KILLS / 2],
        times[KILLS - 1]
    );
}

/// Kills a victim after a while; how long something of it was left.
fn kill(runtime: &str, after: Duration) -> Duration {
    let mut victim = Victim::start("experiments", runtime);
    std::thread::sleep(after); // The moment is what is tested; there is no condition to wait for.
    victim.kill();
    let context = format!("killed after {after:?} on {runtime}");
    let gone = victim.wait_until_gone(&context);
    victim.journals(&context);
    gone
}
