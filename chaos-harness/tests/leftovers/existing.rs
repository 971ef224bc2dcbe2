//! Containers that are not the harness's own: not touched unless written down, and as they were before afterwards.

use std::process::Command;
use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness_netns::Namespace;

use crate::common::inside::{ask, may_enter, time_to_find};
use crate::common::{docker, engine_answers, not_run, open, product};
use crate::traces;
use crate::victim::Victim;
use chaos_harness::runtime::RuntimeKind;
use chaos_harness::safety::clean;
use chaos_harness::topology::{InstanceId, Topology};

/// A container of somebody else.
struct Foreign {
    name: String,
    id: String,
}

impl Foreign {
    /// One for each `purpose`.
    fn start(purpose: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let image = runtime.block_on(image());
        let name = format!("somebody-elses-{purpose}-{}", std::process::id());
        docker(&["network", "create", &name]);
        let run = [
            "run",
            "--detach",
            "--init",
            "--network",
            &name,
            "--env",
            "LISTEN=0.0.0.0:8080",
            "--name",
            &name,
            &image,
            "product",
        ];
        let id = docker(&run).trim().to_owned();
        Self { name, id }
    }

    fn state(&self) -> String {
        docker(&["inspect", "--format", "{{.State.Status}}", &self.id]).trim().to_owned()
    }

    /// How many descriptors its init may have open, and each child of that.
    fn descriptors(&self) -> Vec<String> {
        let init = docker(&["inspect", "--format", "{{.State.Pid}}", &self.id]).trim().to_owned();
        let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap();
        let soft = |pid: &str| {
            let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
            line.split_whitespace().nth(3).unwrap().to_owned()
        };
        [init.as_str()].into_iter().chain(children.split_whitespace()).map(soft).collect()
    }
}

/// Whoever delays names and is killed: they are found as before.
#[test]
fn names_of_somebody_elses_container() {
    if !engine_answers() || !may_enter() {
        return not_run("it takes a docker engine, and root");
    }
    let foreign = Foreign::start("names");
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), format!("{}\n", foreign.name)).unwrap();
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &foreign.id]);
    let namespace = Namespace::of_process(pid.trim().parse().unwrap()).unwrap();
    let late = Duration::from_secs(1);
    // Whatever the guard does, names are found as soon as nobody holds them back.
    for (helper, guarded) in [(false, true), (true, true), (false, false), (true, false)] {
        let mut variables = vec![("EXISTING", &*foreign.id), ("CHAOS_ALLOW_FILE", list.path().to_str().unwrap())];
        variables.extend(helper.then_some(("CHAOS_NETWORK_HELPER", "1")));
        let mut victim = Victim::start_with("delays_names", "docker", &variables);
        victim.wait_for_fault();
        assert!(time_to_find(&namespace, &foreign.name) >= late);
        if !guarded {
            traces::kill_guard(victim.pid());
        }
        victim.kill();
        let since = Instant::now();
        while ask(&namespace, &foreign.name, late / 2).is_err() {
            assert!(since.elapsed() < traces::WITHIN, "names are found late still");
        }
        let case = format!("helper: {helper}, guard: {guarded}");
        eprintln!("{case}: names are found as before {:?} after the kill", since.elapsed());
        if guarded {
            victim.wait_until_gone(&case);
        } else {
            let undo = victim.folder.path().join("undo");
            let cleaned = tokio::runtime::Runtime::new().unwrap().block_on(clean(&undo, false));
            assert_eq!(cleaned.failed, [""; 0]);
        }
        let tables = namespace.run(|| Command::new("nft").args(["list", "tables"]).output().unwrap()).unwrap();
        assert!(!String::from_utf8_lossy(&tables.stdout).contains("chaos_"), "{case}: {tables:?}");
        assert_eq!(traces::resources(victim.pid()), [""; 0], "{case}");
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.id]);
        docker(&["network", "rm", &self.name]);
    }
}

/// The image of the service, which the harness has built.
async fn image() -> String {
    let (id, runtime) = open(RuntimeKind::Docker).await;
    let environment = Environment::start(&Topology::new("image").service(product()), runtime, 1).await.unwrap();
    let container = format!("{}-{}", id.name(), InstanceId::new("product", 1));
    let image = docker(&["inspect", "--format", "{{.Config.Image}}", &container]).trim().to_owned();
    environment.destroy().await.unwrap();
    image
}

/// What the victim said in its end.
fn said(victim: Victim) -> (bool, String) {
    let output = victim.process.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn somebody_elses_container() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    let foreign = Foreign::start("product");
    is_refused_by_name_and_by_id(&foreign);
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), format!("{}\n", foreign.name)).unwrap();
    let allowed = list.path().to_str().unwrap();
    is_used_and_left_as_it_was(&foreign, allowed);
    is_under_one_experiment_at_a_time_and_restored_after_a_kill(&foreign, allowed);
    has_its_descriptors_back_after_a_kill(&foreign, allowed);
}

fn is_refused_by_name_and_by_id(foreign: &Foreign) {
    for given in [&foreign.name, &foreign.id] {
        let nothing = [("EXISTING", given.as_str()), ("HOLD", "0"), ("CHAOS_ALLOW_FILE", "/dev/null")];
        let (success, said) = said(Victim::start_with("touches_existing", "docker", &nothing));
        let refusal = format!("container `{}` was not made by this harness, and may not be touched", foreign.name);
        assert!(!success && said.contains(&refusal) && said.contains("/dev/null"), "{said}");
        assert_eq!(foreign.state(), "running");
    }
}

fn is_used_and_left_as_it_was(foreign: &Foreign, allowed: &str) {
    let variables = [("EXISTING", foreign.id.as_str()), ("HOLD", "0"), ("CHAOS_ALLOW_FILE", allowed)];
    let (success, said) = said(Victim::start_with("touches_existing", "docker", &variables));
    // Without a hypothesis nothing is proven; that it ran to its end is what counts here.
    assert!(!success && said.contains("inconclusive"), "{said}");
    assert_eq!(foreign.state(), "running");
}

fn is_under_one_experiment_at_a_time_and_restored_after_a_kill(foreign: &Foreign, allowed: &str) {
    let variables = [("EXISTING", foreign.name.as_str()), ("HOLD", "60"), ("CHAOS_ALLOW_FILE", allowed)];
    let mut first = Victim::start_with("touches_existing", "docker", &variables);
    first.wait_for_fault();
    assert_eq!(foreign.state(), "paused");
    let (success, said) = said(Victim::start_with("touches_existing", "docker", &variables));
    assert!(!success && said.contains("is under another experiment"), "{said}");
    assert_eq!(foreign.state(), "paused", "the second one changed nothing");
    first.kill();
    let since = Instant::now();
    while foreign.state() != "running" {
        assert!(since.elapsed() < traces::WITHIN, "still {}", foreign.state());
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    eprintln!("somebody else's container goes on {:?} after the kill", since.elapsed());
    first.wait_until_gone("killed");
}

fn has_its_descriptors_back_after_a_kill(foreign: &Foreign, allowed: &str) {
    if !rustix::process::geteuid().is_root() {
        return not_run("only root may limit the processes of containers");
    }
    let before = foreign.descriptors();
    let variables =
        [("EXISTING", foreign.name.as_str()), ("HOLD", "60"), ("CHAOS_ALLOW_FILE", allowed), ("FAULT", "descriptors")];
    let mut victim = Victim::start_with("touches_existing", "docker", &variables);
    victim.wait_for_fault();
    assert!(foreign.descriptors().iter().all(|limit| limit.len() < 4), "{:?}", foreign.descriptors());
    victim.kill();
    let since = Instant::now();
    while foreign.descriptors() != before {
        assert!(since.elapsed() < traces::WITHIN, "still {:?}, not {before:?}", foreign.descriptors());
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    eprintln!("its processes have their limits {before:?} back {:?} after the kill", since.elapsed());
    victim.wait_until_gone("killed");
}
