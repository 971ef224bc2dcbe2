//! Test processes that are killed after their undo log was lost or damaged, or while somebody else's container is on
//! their network.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chaos_harness::safety::{Cleaned, clean};
use rstest::rstest;

use crate::common::{docker, engine_answers, not_run};
use crate::foreign::image;
use crate::lanes;
use crate::traces::{self, WITHIN, all_of, logs, processes};
use crate::victim::Victim;

/// What can become of an undo log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Deleted,
    Emptied,
    CutInTheMiddle,
    Scrambled,
    GarbageInTheMiddle,
    GarbageAtTheTop,
    Unreadable,
    ADirectory,
    FolderGone,
    EverythingGone,
}

use Damage::*;

const ALL: [Damage; 10] = [
    Deleted,
    Emptied,
    CutInTheMiddle,
    Scrambled,
    GarbageInTheMiddle,
    GarbageAtTheTop,
    Unreadable,
    ADirectory,
    FolderGone,
    EverythingGone,
];

const GARBAGE: &[u8] = b"{\"note\":{\"on\":\"\xff\xfe\n";

impl Damage {
    fn make(self, folder: &Path) {
        let log = PathBuf::from(logs(folder).remove(0));
        let text = std::fs::read(&log).unwrap();
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let write = |pieces: &[&[u8]]| std::fs::write(&log, pieces.concat()).unwrap();
        match self {
            Deleted => std::fs::remove_file(&log).unwrap(),
            Emptied => write(&[]),
            CutInTheMiddle => write(&[&text[..text.len() / 2]]),
            Scrambled => write(&[&[0xa5_u8; 900], b"\n"]),
            GarbageInTheMiddle => write(&[lines[0], GARBAGE, &lines[1..].concat()]),
            GarbageAtTheTop => write(&[GARBAGE, &lines[1..].concat()]),
            Unreadable => std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o000)).unwrap(),
            ADirectory => {
                std::fs::remove_file(&log).unwrap();
                std::fs::create_dir(&log).unwrap();
            }
            FolderGone => std::fs::remove_dir_all(log.parent().unwrap()).unwrap(),
            // The folder of builds is linked into it.
            EverythingGone => std::fs::remove_dir_all(folder).unwrap(),
        }
    }

    /// What a run that comes after the guard is to name.
    fn is_kept(self) -> bool {
        matches!(self, Scrambled | GarbageInTheMiddle | GarbageAtTheTop | ADirectory)
    }
}

fn clean_in(folder: &Path) -> Cleaned {
    tokio::runtime::Runtime::new().unwrap().block_on(clean(&folder.join("undo"), false))
}

/// Waits until nothing of process `victim` is left but `kept`, nor its guard.
fn wait_until_gone(victim: u32, kept: &[String], context: &str) {
    let since = Instant::now();
    loop {
        let mut left = all_of(victim);
        left.extend(processes("CHAOS_GUARD_OF", victim));
        if left == kept {
            return eprintln!("{context}: clean after {:?}", since.elapsed());
        }
        assert!(since.elapsed() < WITHIN, "{context}: left after {WITHIN:?}: {left:?}");
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
}

#[rstest]
fn an_undo_log_is_lost_or_damaged(#[values("process", "docker")] runtime: &str) {
    if runtime == "docker" && !engine_answers() {
        return not_run("no docker engine");
    }
    // All of them are there before the first is killed: what starts later takes away what it finds, and would hide that
    // a guard has not.
    let mut victims = lanes::each(&ALL, |damage| {
        let victim = Victim::start("waits", runtime);
        victim.wait_for_fault();
        (*damage, victim)
    });
    for (damage, victim) in &mut victims {
        damage.make(victim.folder.path());
        victim.kill();
    }
    for (damage, victim) in &victims {
        let context = format!("{damage:?} on {runtime}");
        wait_until_gone(victim.pid(), &[], &context);
        let left = logs(victim.folder.path());
        assert_eq!(left.is_empty(), !damage.is_kept(), "{context}: {left:?}");
    }
    for (damage, victim) in &victims {
        let failed = clean_in(victim.folder.path()).failed;
        let named = |log: &String| failed.iter().any(|failed| failed.contains(log.as_str()));
        let left = logs(victim.folder.path());
        assert!(left.iter().all(named), "{damage:?} on {runtime}: {failed:?} does not name {left:?}");
    }
}

#[test]
fn somebody_elses_container_is_on_our_network() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    let (image, mut victim) = (image(), Victim::start("waits", "docker"));
    victim.wait_for_fault();
    let label = format!("label=chaos-harness.owner={}", owner(victim.pid()));
    let network = docker(&["network", "ls", "--filter", &label, "--format", "{{.Name}}"]).trim().to_owned();
    let stranger = format!("a-stranger-{}", victim.pid());
    let run = ["run", "--detach", "--network", &network, "--name", &stranger, "--env", "LISTEN=0.0.0.0:8080"];
    docker(&[&run[..], &[&image, "product"][..]].concat());
    victim.kill();
    let network_stays = traces::resources(victim.pid()).into_iter().filter(|it| it.starts_with(&network));
    let network_stays: Vec<String> = network_stays.filter(|it| !it.contains("-product-1")).take(1).collect();
    wait_until_gone(victim.pid(), &network_stays, "a stranger on the network");
    assert_eq!(logs(victim.folder.path()), [""; 0]);
    let cleaned = clean_in(victim.folder.path());
    let named = |failed: &String| failed.contains(&network) && failed.contains(&format!("{stranger} ({image})"));
    assert!(cleaned.failed.iter().any(named), "{:?}", cleaned.failed);
    assert_eq!(docker(&["inspect", "--format", "{{.State.Status}}", &stranger]).trim(), "running");
    docker(&["rm", "--force", &stranger]);
    clean_in(victim.folder.path());
    assert_eq!(traces::resources(victim.pid()), [""; 0]);
}

/// The owner as labels have it.
fn owner(victim: u32) -> String {
    let format = "{{.Label \"chaos-harness.owner\"}}";
    let owners = docker(&["ps", "--filter", "label=chaos-harness.owner", "--format", format]);
    owners.lines().find(|owner| owner.starts_with(&format!("{victim}/"))).unwrap().to_owned()
}
