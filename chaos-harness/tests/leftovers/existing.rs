//! Containers that are not the harness's own: not touched unless written down, and as they were before afterwards.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::common::{engine_answers, not_run};
use crate::foreign::{Foreign, image};
use crate::traces;
use crate::victim::Victim;

/// What the victim said in its end.
pub(crate) fn said(victim: Victim) -> (bool, String) {
    let output = victim.process.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A list that nobody else may write, in a folder of which the same holds.
pub(crate) fn allow_list(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("chaos-allow.txt");
    std::fs::write(&list, format!("{name}\n")).unwrap();
    std::fs::set_permissions(&list, Permissions::from_mode(0o600)).unwrap();
    (folder, list)
}

#[test]
fn somebody_elses_container() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    let foreign = Foreign::start(&image(), "product", &[]);
    is_refused_by_name_and_by_id(&foreign);
    let (_folder, list) = allow_list(&foreign.name);
    let allowed = list.to_str().unwrap();
    stays_off_limits_to_a_test_that_allows_itself(&foreign);
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

/// The list is the one that was there before the test, in the workspace, and that nobody else may write.
fn stays_off_limits_to_a_test_that_allows_itself(foreign: &Foreign) {
    let not_allowed = format!("refused: container `{}` was not made by this harness", foreign.name);
    let outer = tempfile::tempdir().unwrap();
    let workspace = outer.path().join("workspace");
    let list = workspace.join("chaos-allow.txt");
    std::fs::create_dir(&workspace).unwrap();
    std::fs::set_permissions(&workspace, Permissions::from_mode(0o755)).unwrap();
    std::fs::write(workspace.join("Cargo.toml"), "[package]\nname = \"alone\"\n").unwrap();
    let widened = |named: Option<&Path>| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.current_dir(&workspace).env("CARGO_MANIFEST_DIR", &workspace);
        named.map(|named| command.env("CHAOS_ALLOW_FILE", named));
        let variables = [("EXISTING", foreign.name.as_str()), ("WIDENED", list.to_str().unwrap())];
        let folder = tempfile::tempdir().unwrap();
        said(Victim::start_at(folder, command, "victim::widens", "docker", &variables))
    };
    // Above the workspace, and written in the workspace by the test.
    std::fs::write(outer.path().join("chaos-allow.txt"), &foreign.name).unwrap();
    let (_, out) = widened(None);
    assert!(out.contains(&not_allowed), "{out}");
    // There before, and widened by the test.
    for named in [None, Some(list.as_path())] {
        std::fs::write(&list, "another\n").unwrap();
        std::fs::set_permissions(&list, Permissions::from_mode(0o644)).unwrap();
        let (_, out) = widened(named);
        assert!(out.contains(&not_allowed), "{named:?}: {out}");
    }
    std::fs::set_permissions(&list, Permissions::from_mode(0o666)).unwrap();
    let (success, out) = widened(None);
    assert!(!success && out.contains("the allow-list is not taken") && out.contains("by others"), "{out}");
    std::fs::set_permissions(&list, Permissions::from_mode(0o644)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&list, Some(54321), Some(54321)).unwrap();
        let (success, out) = widened(None);
        assert!(!success && out.contains("belongs to user 54321, and this process runs as user 0"), "{out}");
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
    // The guard was told what the file said.
    std::fs::remove_file(traces::logs(first.folder.path()).remove(0)).unwrap();
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
