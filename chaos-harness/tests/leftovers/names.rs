//! Names of somebody else's container: found as before, once whoever delayed them is killed.

use std::process::Command;
use std::time::{Duration, Instant};

use chaos_harness_netns::Namespace;

use crate::common::inside::{ask, may_enter, time_to_find};
use crate::common::{docker, engine_answers, not_run};
use crate::existing::allow_list;
use crate::foreign::{Foreign, image};
use crate::planted::{cleaned, here};
use crate::traces;
use crate::victim::Victim;

#[test]
fn names_of_somebody_elses_container() {
    if !engine_answers() || !may_enter() {
        return not_run("it takes a docker engine, and root");
    }
    let foreign = Foreign::start(&image(), "product", &[]);
    let (_folder, list) = allow_list(&foreign.name);
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &foreign.id]);
    let namespace = Namespace::of_process(pid.trim().parse().unwrap()).unwrap();
    let late = Duration::from_secs(1);
    // Whatever the guard does, names are found as soon as nobody holds them back.
    for (helper, guarded) in [(false, true), (true, true), (false, false), (true, false)] {
        let mut variables = vec![("EXISTING", &*foreign.id), ("CHAOS_ALLOW_FILE", list.to_str().unwrap())];
        variables.extend(helper.then_some(("CHAOS_NETWORK_HELPER", "1")));
        let mut victim = Victim::start_with("delays_names", "docker", &variables);
        victim.wait_for_fault();
        assert!(time_to_find(&namespace, &foreign.name) >= late);
        if guarded {
            victim.kill();
        } else {
            victim.kill_with_its_guard();
        }
        let since = Instant::now();
        while ask(&namespace, &foreign.name, late / 2).is_err() {
            assert!(since.elapsed() < traces::WITHIN, "names are found late still");
        }
        let case = format!("helper: {helper}, guard: {guarded}");
        eprintln!("{case}: names are found as before {:?} after the kill", since.elapsed());
        if guarded {
            victim.wait_until_gone(&case);
        } else {
            let said = cleaned(&mut here(), victim.folder.path(), &list);
            assert!(!said.contains("failed: "), "{said}");
        }
        let tables = namespace.run(|| Command::new("nft").args(["list", "tables"]).output().unwrap()).unwrap();
        assert!(!String::from_utf8_lossy(&tables.stdout).contains("chaos_"), "{case}: {tables:?}");
        assert_eq!(traces::resources(victim.pid()), [""; 0], "{case}");
    }
}
