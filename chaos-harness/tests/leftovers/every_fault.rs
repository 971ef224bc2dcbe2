//! Every example of every registered fault, its owner killed while it is in force: nothing of it is left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chaos_harness::fault::FaultKind;
use chaos_harness::runtime::RuntimeKind;
use rstest::rstest;

use crate::common::asking::why_not;
use crate::common::{engine_answers, inside, not_run};
use crate::existing::allow_list;
use crate::foreign::{Foreign, image};
use crate::holder::{Came, Holder, examples};
use crate::lanes;
use crate::traces::WITHIN;

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

/// Prints how long it took after the kill under each example.
fn print(what: &str, mut times: Vec<(Duration, usize)>) {
    times.sort();
    let (median, (worst, number)) = (times[times.len() / 2].0, times[times.len() - 1]);
    let (count, fault) = (times.len(), examples()[number].0.describe());
    eprintln!("{what}: {count} of {count} clean, median after {median:?}, the last after {worst:?} (`{fault}`)");
}

#[rstest]
fn killed_under_every_fault(#[values(RuntimeKind::Process, RuntimeKind::Docker)] kind: RuntimeKind) {
    if kind == RuntimeKind::Docker && !engine_answers() {
        return not_run("no docker engine");
    }
    let numbers = possible(kind);
    let times = lanes::each(&numbers, |number| {
        let fault = &examples()[*number].0;
        let holder = Holder::start(&kind.to_string(), &[*number], &[]);
        let in_force = matches!(holder.came, Came::InForce(it) if it == *number);
        assert!(in_force, "`{fault}` was refused: {:?}", holder.refused);
        (holder.kill(&format!("killed under `{fault}` on {kind}")), *number)
    });
    assert_eq!(times.len(), numbers.len());
    print(&format!("killed under every fault on {kind}"), times);
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
    let (image, numbers) = (image(), possible(RuntimeKind::Docker));
    let of_lane = |lane| numbers.iter().copied().skip(lane).step_by(lanes::AT_A_TIME).collect();
    let of_lanes: Vec<Vec<usize>> = (0..lanes::AT_A_TIME).map(of_lane).collect();
    let survived = lanes::each(&of_lanes, |mine| Pair::start(&image).survive(mine));
    let (times, refused): (Vec<_>, Vec<_>) = survived.into_iter().unzip();
    let (times, refused) = (times.concat(), refused.concat());
    for refusal in &refused {
        not_run(&format!("on an existing container: {refusal}"));
    }
    assert_eq!(times.len() + refused.len(), numbers.len());
    print("killed under every fault on existing containers", times);
}

/// Two containers of somebody else, and the list that allows to touch them.
struct Pair {
    inventory: Foreign,
    product: Foreign,
    _folder: tempfile::TempDir,
    list: PathBuf,
}

impl Pair {
    fn start(image: &str) -> Self {
        let inventory = Foreign::start(image, "inventory", &["PRODUCT_URL=http://127.0.0.1:1"]);
        let control = "CHAOS_CONTROL_LISTEN=0.0.0.0:9100";
        let product = Foreign::start(image, "product", &["UDP_LISTEN=0.0.0.0:8080", "STRESS=on", control]);
        let (folder, list) = allow_list(&format!("{}\n{}", inventory.name, product.name));
        Self { inventory, product, _folder: folder, list }
    }

    fn fingerprint(&self) -> [Vec<String>; 2] {
        [self.inventory.fingerprint(), self.product.fingerprint()]
    }

    /// Kills an owner under each of the faults that these containers accept: how long each took, and what they do not
    /// accept, and why.
    fn survive(&self, numbers: &[usize]) -> (Vec<(Duration, usize)>, Vec<String>) {
        let existing = format!("{},{}", self.inventory.name, self.product.name);
        let allowed = self.list.to_str().unwrap();
        let variables = [("EXISTING", existing.as_str()), ("CHAOS_ALLOW_FILE", allowed)];
        let (mut left, mut times, mut refused) = (numbers, Vec::new(), Vec::new());
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
            times.push((self.wait_until_as(&before, &context), number));
            holder.victim.wait_until_gone(&context);
            let position = left.iter().position(|it| *it == number).unwrap();
            left = &left[position + 1..];
        }
        assert_eq!(self.fingerprint(), before, "after the last of them");
        (times, refused)
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
