//! How fast a disk is for a container: the throttle of its control group, version 1 and version 2.
//!
//! The engine sets one only when it makes a container, so the files of the control group are written here. The kernel
//! holds back what the container's own processes send to the disk: reads, direct writes, and what an fsync waits for.
//! What it writes later out of its cache it holds back under version 2 alone.

use std::fs::{OpenOptions, read_to_string};
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

use bollard::models::ContainerInspectResponse;
use rustix::io::Errno;

use super::cgroup::Cgroup;
use super::{DockerRuntime, kill, undo};
use crate::runtime::docker_undo::{DockerUndo, Knob};
use crate::runtime::{DiskPace, Hold, LimitNow, RuntimeError};
use crate::safety::undo::UndoStep;
use crate::topology::InstanceId;

/// The limits on reading and on writing one disk, in one unit, of one container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Throttle {
    container: String,
    knobs: Vec<Knob>,
}

/// The files and words of a unit in version 1, and in version 2.
fn words(pace: DiskPace) -> [[&'static str; 2]; 2] {
    match pace {
        DiskPace::Operations(_) => {
            [["blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device"], ["riops", "wiops"]]
        }
        DiskPace::Bytes(_) => [["blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"], ["rbps", "wbps"]],
    }
}

fn amount(pace: DiskPace) -> u64 {
    let (DiskPace::Operations(most) | DiskPace::Bytes(most)) = pace;
    most
}

fn knobs(group: &Cgroup, device: &str, pace: DiskPace) -> Vec<Knob> {
    let [one, two] = words(pace);
    let knob =
        |file: PathBuf, word: Option<&str>| Knob { file, device: device.to_owned(), word: word.map(str::to_owned) };
    match (group.of_controller("blkio"), group.unified()) {
        (Some(folder), _) => one.map(|name| knob(folder.join(name), None)).to_vec(),
        (None, Some(folder)) => two.map(|word| knob(folder.join("io.max"), Some(word))).to_vec(),
        (None, None) => Vec::new(),
    }
}

impl Knob {
    fn set(&self, most: Option<u64>) -> Result<(), Error> {
        let value = match (&self.word, most) {
            (None, most) => most.unwrap_or_default().to_string(),
            (Some(word), Some(most)) => format!("{word}={most}"),
            (Some(word), None) => format!("{word}=max"),
        };
        let mut file = OpenOptions::new().write(true).open(&self.file)?;
        file.write_all(format!("{} {value}\n", self.device).as_bytes())
    }

    /// `None` for no limit.
    fn get(&self) -> Result<Option<u64>, Error> {
        let text = read_to_string(&self.file)?;
        let line = text.lines().find_map(|line| line.strip_prefix(&self.device)?.strip_prefix(' '));
        let value = |line: &str| match &self.word {
            None => line.trim().parse().ok(),
            Some(word) => line
                .split_whitespace()
                .find_map(|pair| pair.strip_prefix(word.as_str())?.strip_prefix('=')?.parse().ok()),
        };
        Ok(line.and_then(value))
    }

    /// Whether it is a limit of `group` on a disk, whoever wrote it down: a file and a word of it that there are, and a
    /// number of a device.
    fn is_of(&self, group: &Cgroup) -> bool {
        let is_number = |text: &str| !text.is_empty() && text.chars().all(|character| character.is_ascii_digit());
        let is_device = self.device.split_once(':').is_some_and(|(major, minor)| is_number(major) && is_number(minor));
        let units = [DiskPace::Operations(0), DiskPace::Bytes(0)];
        is_device && units.into_iter().flat_map(|unit| knobs(group, &self.device, unit)).any(|knob| knob == *self)
    }
}

/// Sets limits of a container back; one that does not run has no control group, and so none.
pub(super) fn set_back(
    container: &ContainerInspectResponse,
    knobs: &[(Knob, Option<u64>)],
) -> Result<(), RuntimeError> {
    let id = container.id.clone().unwrap_or_default();
    let pid = container.state.as_ref().and_then(|state| u32::try_from(state.pid?).ok()).filter(|pid| *pid != 0);
    let Some(pid) = pid else { return Ok(()) };
    match Cgroup::of(pid) {
        Some(group) if kill::is_of(pid, &id) => set_back_in(&group, &id, knobs),
        // It has ended meanwhile, or runs on another machine, where nothing could be set.
        _ => Ok(()),
    }
}

/// A limit that is gone, as its disk may be, needs no setting back.
fn set_back_in(group: &Cgroup, container: &str, knobs: &[(Knob, Option<u64>)]) -> Result<(), RuntimeError> {
    if let Some((knob, _)) = knobs.iter().find(|(knob, _)| !knob.is_of(group)) {
        let Knob { file, device, word } = knob;
        let limit = [file.display().to_string(), device.clone(), word.clone().unwrap_or_default()].join(" ");
        return Err(RuntimeError::NoSuchLimit { limit: limit.trim().to_owned(), container: container.to_owned() });
    }
    for (knob, before) in knobs {
        match knob.set(*before) {
            Err(error) if error.kind() != ErrorKind::NotFound && !is_no_device(&error) => {
                return Err(RuntimeError::io(format!("set back {}", knob.file.display()))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_no_device(error: &Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NODEV | Errno::NXIO))
}

/// The disk on which `folder` of process `pid` is, as `254:0`; the inner error says what it is on instead.
fn device(pid: u32, folder: &str) -> Result<Result<String, String>, Error> {
    let mounts = read_to_string(format!("/proc/{pid}/mountinfo"))?;
    let Some((number, kind, source)) = mount_of(&mounts, folder) else { return Ok(Err("nothing is there".to_owned())) };
    let number = match number.strip_prefix("0:") {
        // A file system over disks, such as btrfs, has a number of its own.
        Some(_) => match rustix::fs::stat(&source) {
            Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_block_device() => {
                format!("{}:{}", rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev))
            }
            _ => return Ok(Err(format!("`{folder}` is on {kind}, and on no disk"))),
        },
        None => number,
    };
    Ok(Ok(whole(&number)))
}

/// Number, kind and source of the mount on which `folder` is, from `/proc/PID/mountinfo`.
fn mount_of(mounts: &str, folder: &str) -> Option<(String, String, String)> {
    let parse = |line: &str| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(2);
        let (number, place) = (mount.next()?, mount.nth(1)?.replace("\\040", " "));
        let mut kind = kind.split(' ');
        let found = (number.to_owned(), kind.next()?.to_owned(), kind.next()?.to_owned());
        Path::new(folder).starts_with(&place).then_some((place.len(), found))
    };
    // Of two at one place, the later one is on top.
    mounts.lines().filter_map(parse).max_by_key(|(depth, _)| *depth).map(|(_, found)| found)
}

/// The disk of a partition, to which alone a throttle applies; else the same.
fn whole(number: &str) -> String {
    let folder = Path::new("/sys/dev/block").join(number);
    let disk = || {
        let partition = std::fs::canonicalize(&folder).ok().filter(|folder| folder.join("partition").exists())?;
        read_to_string(partition.parent()?.join("dev")).ok()
    };
    disk().map_or_else(|| number.to_owned(), |disk| disk.trim().to_owned())
}

/// How many operations a group has sent to a disk.
fn operations(group: &Cgroup, device: &str) -> u64 {
    let one = group.of_controller("blkio").map(|folder| folder.join("blkio.throttle.io_serviced"));
    let two = group.unified().map(|folder| folder.join("io.stat"));
    let text = one.into_iter().chain(two).find_map(|file| read_to_string(file).ok()).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix(device)?.strip_prefix(' '));
    let count = |line: &str| {
        let of = |word: &str| {
            word.strip_prefix("rios=").or(word.strip_prefix("wios=")).and_then(|text| text.parse::<u64>().ok())
        };
        match line.strip_prefix("Total ") {
            Some(total) => total.trim().parse().unwrap_or_default(),
            None => line.split_whitespace().filter_map(of).sum::<u64>(),
        }
    };
    lines.map(count).sum()
}

fn refused(id: &InstanceId, error: Error) -> RuntimeError {
    let instead = "slow the calls to the service with `link(..).latency(..)`";
    match error.kind() {
        ErrorKind::PermissionDenied => RuntimeError::NotPermitted { action: format!("slow the disk of {id}"), instead },
        _ => RuntimeError::NoThrottle { instance: id.clone(), reason: error.to_string() },
    }
}

impl DockerRuntime {
    /// The throttle on the disk of `folder`, and how many operations the container has sent there.
    async fn throttle(&self, id: &InstanceId, folder: &str, pace: DiskPace) -> Result<(Throttle, u64), RuntimeError> {
        let (pid, container) = self.running(id, "given a slow disk").await?;
        let group = Cgroup::of(pid).filter(|_| kill::is_of(pid, &container));
        let group = group.ok_or_else(|| RuntimeError::NotHere { instance: id.clone() })?;
        let no = |reason| RuntimeError::NoThrottle { instance: id.clone(), reason };
        let device = device(pid, folder).map_err(|error| refused(id, error))?.map_err(no)?;
        let knobs = knobs(&group, &device, pace);
        if let Some(missing) = knobs.iter().find(|knob| !knob.file.exists()) {
            return Err(no(format!("there is no {}", missing.file.display())));
        }
        if knobs.is_empty() {
            return Err(no("its control group is not to be seen".to_owned()));
        }
        Ok((Throttle { container, knobs }, operations(&group, &device)))
    }

    fn noted_before(&self, throttle: &Throttle) -> Option<Vec<(Knob, Option<u64>)>> {
        self.undo.noted().into_iter().find_map(|step| match step {
            UndoStep::Docker(DockerUndo::Throttle { knobs, .. })
                if knobs.iter().map(|(knob, _)| knob).eq(&throttle.knobs) =>
            {
                Some(knobs)
            }
            _ => None,
        })
    }

    /// What there was before the first that is held.
    fn before(&self, id: &InstanceId, throttle: &Throttle) -> Result<Vec<(Knob, Option<u64>)>, RuntimeError> {
        let noted = self.noted_before(throttle);
        let read = |knob: &Knob| Ok((knob.clone(), knob.get()?));
        let read = || throttle.knobs.iter().map(read).collect::<Result<Vec<_>, Error>>();
        noted.map_or_else(|| read().map_err(|error| refused(id, error)), Ok)
    }

    pub(super) async fn hold_pace(&self, id: &InstanceId, folder: &str, pace: DiskPace) -> Result<Hold, RuntimeError> {
        let mut ledger = self.paces.lock().await;
        let (throttle, _) = self.throttle(id, folder, pace).await?;
        let before = self.before(id, &throttle)?;
        let step =
            UndoStep::Docker(DockerUndo::Throttle { container: throttle.container.clone(), knobs: before.clone() });
        self.undo.note(step.clone())?;
        let hold = ledger.add(&throttle, amount(pace), None);
        let Err(error) = apply(&before, ledger.due(&throttle).flatten()) else { return Ok(hold) };
        ledger.remove(hold);
        match ledger.due(&throttle) {
            Some(due) => apply(&before, due).map_err(|error| refused(id, error))?,
            // What could not be set need not be set back, where nothing else may be set either.
            None if error.kind() == ErrorKind::PermissionDenied => self.undo.done(&step)?,
            None => self.take(step).await?,
        }
        Err(refused(id, error))
    }

    pub(super) async fn release_pace(&self, hold: Hold) -> Result<(), RuntimeError> {
        let mut ledger = self.paces.lock().await;
        let (Some(throttle), Some((due, is_held))) = (ledger.holder(hold), ledger.without(hold)) else {
            return Ok(());
        };
        if let Some(before) = self.noted_before(&throttle) {
            let container = throttle.container;
            if is_held {
                let due: Vec<_> = before.into_iter().map(|(knob, before)| (knob, least(due, before))).collect();
                undo::undo(&DockerUndo::Throttle { container, knobs: due }).await?;
            } else {
                self.take(UndoStep::Docker(DockerUndo::Throttle { container, knobs: before })).await?;
            }
        }
        ledger.remove(hold);
        Ok(())
    }

    pub(super) async fn pace_now(
        &self,
        id: &InstanceId,
        folder: &str,
        pace: DiskPace,
    ) -> Result<(LimitNow, u64), RuntimeError> {
        let ledger = self.paces.lock().await;
        let (throttle, operations) = self.throttle(id, folder, pace).await?;
        let before = self.before(id, &throttle)?;
        let held = ledger.due(&throttle).flatten();
        let mut now = LimitNow { due: None, measured: None };
        for (knob, before) in before {
            now.due = least(now.due, least(held, before));
            now.measured = least(now.measured, knob.get().map_err(|error| refused(id, error))?);
        }
        Ok((now, operations))
    }
}

/// Sets every limit to what is due, and loosens none.
fn apply(before: &[(Knob, Option<u64>)], due: Option<u64>) -> Result<(), Error> {
    before.iter().try_for_each(|(knob, before)| knob.set(least(due, *before)))
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_of_a_folder_is_that_of_the_innermost_mount() {
        let mounts = "21 1 0:30 / / rw,relatime - fuse.fuse-overlayfs fuse-overlayfs rw\n\
                      22 21 0:31 / /data rw - tmpfs tmpfs rw,size=4096k\n\
                      23 21 254:0 /volumes/1/_data /my\\040disk rw,relatime shared:1 - ext4 /dev/vda rw\n\
                      24 21 8:1 / /data/inner rw - ext4 /dev/sda1 rw\n";
        let found = |folder| mount_of(mounts, folder).map(|(number, kind, _)| (number, kind));
        let pair = |number: &str, kind: &str| Some((number.to_owned(), kind.to_owned()));
        assert_eq!(found("/my disk/deep"), pair("254:0", "ext4"));
        assert_eq!(found("/data"), pair("0:31", "tmpfs"));
        assert_eq!(found("/data/inner/x"), pair("8:1", "ext4"));
        assert_eq!(found("/database"), pair("0:30", "fuse.fuse-overlayfs"));
    }

    #[test]
    fn both_versions_are_set_and_read() {
        let mount = tempfile::tempdir().unwrap();
        for (text, file, before, after) in [
            ("7:blkio:/d/1\n0::/d/1\n", "blkio/d/1/blkio.throttle.write_iops_device", "8:0 3\n", "254:0 10\n"),
            ("0::/d/1\n", "d/1/io.max", "8:0 rbps=max wbps=max riops=max wiops=3\n", "254:0 wiops=10\n"),
        ] {
            let path = mount.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, before).unwrap();
            let group = Cgroup::at(mount.path(), text);
            let write = |device| knobs(&group, device, DiskPace::Operations(10)).pop().unwrap();
            assert_eq!(write("8:0").file, path);
            assert_eq!((write("8:0").get().unwrap(), write("254:0").get().unwrap()), (Some(3), None));
            std::fs::write(&path, "").unwrap();
            write("254:0").set(Some(10)).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
            assert_eq!(write("254:0").get().unwrap(), Some(10));
        }
    }

    #[test]
    fn only_limits_of_the_container_on_a_disk_are_written() {
        let mount = tempfile::tempdir().unwrap();
        let group = Cgroup::at(mount.path(), "7:blkio:/docker/3f2a\n0::/docker/3f2a\n");
        let folder = mount.path().join("blkio/docker/3f2a");
        std::fs::create_dir_all(&folder).unwrap();
        let limit = |file: PathBuf, device: &str, word: Option<&str>| {
            vec![(Knob { file, device: device.to_owned(), word: word.map(str::to_owned) }, None)]
        };
        let own = || folder.join("blkio.throttle.write_bps_device");
        for foreign in [
            limit(PathBuf::from("/etc/3f2a/passwd"), "254:0", None),
            limit(mount.path().join("blkio/docker/77/blkio.throttle.write_bps_device"), "254:0", None),
            limit(folder.join("sub/../blkio.throttle.write_bps_device"), "254:0", None),
            limit(folder.join("cgroup.procs"), "254:0", None),
            limit(folder.join("io.max"), "254:0", Some("wiops")),
            limit(own(), "254:0", Some("wiops")),
            limit(own(), "254", None),
            limit(own(), "1 254:0", None),
            limit(own(), "254:0 1\n254:1", None),
            limit(own(), ":", None),
        ] {
            let error = set_back_in(&group, "3f2a", &foreign).unwrap_err();
            assert!(matches!(&error, RuntimeError::NoSuchLimit { .. }), "{foreign:?}: {error}");
        }
        let gone = limit(own(), "254:0", None);
        set_back_in(&group, "3f2a", &gone).unwrap();
        std::fs::write(own(), "").unwrap();
        set_back_in(&group, "3f2a", &gone).unwrap();
        assert_eq!(read_to_string(own()).unwrap(), "254:0 0\n");
    }
}
