//! Every example of every registered fault, its owner killed while it is in force: nothing of it is left.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chaos_harness::fault::FaultKind;
use chaos_harness::runtime::RuntimeKind;
use rstest::rstest;

use crate::common::asking::why_not;
use crate::common::{engine_answers, inside, not_run};
use crate::foreign::{Foreign, image};
use crate::holder::{Came, Holder, examples};
use crate::traces::WITHIN;

/// How many owners live at a time. They mostly wait.
const AT_A_TIME: usize = 4;
const PAUSE: Duration = Duration::from_millis(25);

/// The examples that this machine can do on `kind`, by number; of the others it says why they are not run.
fn possible(kind: RuntimeKind) -> Vec<usize> {
    let mut possible = Vec::new();
    for (number, (fault, _)) in examples().iter().enumerate() {
        match why_not(fault, kind) {
            None => possible.push(number),
            Some(reason) => not_run(&format!("{fault} on {kind}: {reason}")),
        }
    }
    possible
}

/// How long it took after each kill, by example.
#[derive(Default)]
struct Times(Mutex<Vec<(Duration, usize)>>);

impl Times {
    fn add(&self, number: usize, took: Duration) {
        self.0.lock().unwrap().push((took, number));
    }

    fn print(self, what: &str) {
        let mut times = self.0.into_inner().unwrap();
        times.sort();
        let (median, (worst, number)) = (times[times.len() / 2].0, times[times.len() - 1]);
        let (count, fault) = (times.len(), examples()[number].0.describe());
        eprintln!("{what}: {count} of {count} clean, median after {median:?}, the last after {worst:?} (`{fault}`)");
    }
}

#[rstest]
fn killed_under_every_fault(#[values(RuntimeKind::Process, RuntimeKind::Docker)] kind: RuntimeKind) {
    if kind == RuntimeKind::Docker && !engine_answers() {
        return not_run("no docker engine");
    }
    let numbers = possible(kind);
    let (queue, times) = (Mutex::new(VecDeque::from(numbers.clone())), Times::default());
    let next = || queue.lock().unwrap().pop_front();
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(number) = next() {
                    let fault = &examples()[number].0;
                    let holder = Holder::start(&kind.to_string(), &[number], &[]);
                    let in_force = matches!(holder.came, Came::InForce(it) if it == number);
                    assert!(in_force, "`{fault}` was refused: {:?}", holder.refused);
                    times.add(number, holder.kill(&format!("killed under `{fault}` on {kind}")));
                }
            });
        }
    });
    assert_eq!(times.0.lock().unwrap().len(), numbers.len());
    times.print(&format!("killed under every fault on {kind}"));
}

/// What dies with its container proves little: here the containers stay, and are as they were before.
#[test]
fn killed_under_every_fault_on_somebody_elses_containers() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    if std::process::Command::new("nft").arg("--version").output().is_err() || !inside::may_enter() {
        return not_run("the rules in a container's network cannot be listed; it takes root, and `nft`");
    }
    let (image, times, refused) = (image(), Times::default(), Mutex::new(Vec::new()));
    let numbers = possible(RuntimeKind::Docker);
    std::thread::scope(|scope| {
        for lane in 0..AT_A_TIME {
            let mine: Vec<usize> = numbers.iter().copied().skip(lane).step_by(AT_A_TIME).collect();
            let (image, times, refused) = (&image, &times, &refused);
            scope.spawn(move || {
                let mut of_lane = Pair::start(image).survive(&mine, times);
                refused.lock().unwrap().append(&mut of_lane);
            });
        }
    });
    let refused = refused.into_inner().unwrap();
    for refusal in &refused {
        not_run(&format!("on an existing container: {refusal}"));
    }
    assert_eq!(times.0.lock().unwrap().len() + refused.len(), numbers.len());
    times.print("killed under every fault on existing containers");
}

/// Two containers of somebody else, and the list that allows to touch them.
struct Pair {
    inventory: Foreign,
    product: Foreign,
    list: tempfile::NamedTempFile,
}

impl Pair {
    fn start(image: &str) -> Self {
        let inventory = Foreign::start(image, "inventory", &["PRODUCT_URL=http://127.0.0.1:1"]);
        let control = "CHAOS_CONTROL_LISTEN=0.0.0.0:9100";
        let product = Foreign::start(image, "product", &["UDP_LISTEN=0.0.0.0:8080", "STRESS=on", control]);
        let list = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(list.path(), format!("{}\n{}\n", inventory.name, product.name)).unwrap();
        Self { inventory, product, list }
    }

    fn fingerprint(&self) -> [Vec<String>; 2] {
        [self.inventory.fingerprint(), self.product.fingerprint()]
    }

    /// Kills an owner under each of the faults that these containers accept; what they do not accept, and why.
    fn survive(&self, numbers: &[usize], times: &Times) -> Vec<String> {
        let existing = format!("{},{}", self.inventory.name, self.product.name);
        let allowed = self.list.path().to_str().unwrap();
        let variables = [("EXISTING", existing.as_str()), ("CHAOS_ALLOW_FILE", allowed)];
        let (mut left, mut refused) = (numbers, Vec::new());
        eventually_answers(&self.product);
        let before = self.fingerprint();
        while !left.is_empty() {
            let mut holder = Holder::start("docker", left, &variables);
            refused.append(&mut holder.refused);
            let Came::InForce(number) = holder.came else {
                holder.kill("refused");
                break;
            };
            let context = format!("killed under `{}` on an existing container", examples()[number].0);
            holder.victim.kill();
            times.add(number, self.wait_until_as(&before, &context));
            holder.victim.wait_until_gone(&context);
            let position = left.iter().position(|it| *it == number).unwrap();
            left = &left[position + 1..];
        }
        assert_eq!(self.fingerprint(), before, "after the last of them");
        refused
    }

    /// Waits until both are as they were `before`; how long that took.
    fn wait_until_as(&self, before: &[Vec<String>; 2], context: &str) -> Duration {
        let since = Instant::now();
        loop {
            let now = self.fingerprint();
            if now == *before {
                return since.elapsed();
            }
            assert!(since.elapsed() < WITHIN, "{context}: after {WITHIN:?}\n{now:#?}\nand before\n{before:#?}");
            std::thread::sleep(PAUSE);
        }
    }
}

/// What has only just been started is no measure of how it was before.
fn eventually_answers(product: &Foreign) {
    let since = Instant::now();
    while !product.fingerprint().iter().any(|line| line.contains("200 OK")) {
        assert!(since.elapsed() < WITHIN, "no answer: {:#?}", product.fingerprint());
        std::thread::sleep(PAUSE);
    }
}
