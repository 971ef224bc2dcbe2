//! The control group of a container, as the kernel shows it: version 1 and version 2.

use std::path::PathBuf;
use std::time::Duration;

use crate::runtime::{CPU_PERIOD, Resource, Usage};

/// Version 1 writes the largest number of pages where there is no limit.
const NO_LIMIT: u64 = 1 << 60;

/// The control group that a process is in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cgroup {
    mount: PathBuf,
    /// As `/proc/PID/cgroup` has it.
    text: String,
}

impl Cgroup {
    /// The one of process `pid`; `None` when there is no such process here.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        Some(Self { mount: PathBuf::from("/sys/fs/cgroup"), text })
    }

    /// One whose controllers are at `mount`.
    #[cfg(test)]
    pub(super) fn at(mount: &std::path::Path, text: &str) -> Self {
        Self { mount: mount.to_owned(), text: text.to_owned() }
    }

    /// The folder in which a version 1 controller keeps it.
    pub(super) fn of_controller(&self, controller: &str) -> Option<PathBuf> {
        let mut lines = self.text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        let (list, path) = lines.find(|(list, _)| list.split(',').any(|name| name == controller))?;
        Some(self.mount.join(list).join(path.trim_start_matches('/')))
    }

    /// Its folder in version 2.
    pub(super) fn unified(&self) -> Option<PathBuf> {
        let path = self.text.lines().find_map(|line| line.strip_prefix("0::"))?;
        Some(self.mount.join(path.trim_start_matches('/')))
    }

    /// The content of the first file of this controller that is there: version 1's, else version 2's.
    fn read(&self, controller: &str, one: &str, two: &str) -> Option<String> {
        let one = self.of_controller(controller).map(|folder| folder.join(one));
        let two = self.unified().map(|folder| folder.join(two));
        one.into_iter().chain(two).find_map(|file| std::fs::read_to_string(file).ok())
    }

    /// A number in a file that holds nothing else.
    fn number(&self, controller: &str, one: &str, two: &str) -> Option<u64> {
        self.read(controller, one, two)?.trim().parse().ok()
    }

    /// The limit on a resource; the outer `None` when it cannot be read, the inner when there is none.
    pub(super) fn limit(&self, resource: Resource) -> Option<Option<u64>> {
        match resource {
            Resource::Cpu => self.cpu_limit(),
            Resource::Memory => {
                let text = self.read("memory", "memory.limit_in_bytes", "memory.max")?;
                Some(limit(&text).filter(|bytes| *bytes < NO_LIMIT))
            }
            Resource::Processes => Some(limit(&self.read("pids", "pids.max", "pids.max")?)),
        }
    }

    /// In microseconds for every [`CPU_PERIOD`], whatever period is set.
    fn cpu_limit(&self) -> Option<Option<u64>> {
        // Version 2 has both numbers in one file: `10000 100000`.
        let text = self.read("cpu", "cpu.cfs_quota_us", "cpu.max")?;
        let mut words = text.split_whitespace();
        let quota = words.next()?.parse::<u64>().ok();
        let period = words.next().map(str::to_owned).or_else(|| self.read("cpu", "cpu.cfs_period_us", "cpu.max"))?;
        let period: u64 = period.trim().parse().ok()?;
        Some(quota.map(|quota| quota * CPU_PERIOD / period.max(1)))
    }

    /// What its processes use. A count that cannot be read is 0, as it is in a group that never had a limit.
    pub(super) fn usage(&self) -> Option<Usage> {
        let stat = self.read("cpu", "cpu.stat", "cpu.stat")?;
        let events = self.read("memory", "memory.failcnt", "memory.events").unwrap_or_default();
        let pids = self.read("pids", "pids.events", "pids.events").unwrap_or_default();
        let nanos = self.number("cpuacct", "cpuacct.usage", "").map(Duration::from_nanos);
        let throttled = field(&stat, "throttled_time").map(Duration::from_nanos);
        Some(Usage {
            cpu: nanos.or_else(|| field(&stat, "usage_usec").map(Duration::from_micros)).unwrap_or_default(),
            throttled: throttled
                .or_else(|| field(&stat, "throttled_usec").map(Duration::from_micros))
                .unwrap_or_default(),
            throttled_periods: field(&stat, "nr_throttled").unwrap_or_default(),
            memory: self.number("memory", "memory.usage_in_bytes", "memory.current")?,
            memory_refused: field(&events, "max").or_else(|| events.trim().parse().ok()).unwrap_or_default(),
            processes: self.number("pids", "pids.current", "pids.current").unwrap_or_default(),
            processes_refused: field(&pids, "max").unwrap_or_default(),
        })
    }
}

/// A number, or `None` for `max` and for -1.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The number in the line `name NUMBER`.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group whose files hold what is given.
    fn group(text: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Cgroup) {
        let mount = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = mount.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let cgroup = Cgroup { mount: mount.path().to_owned(), text: text.to_owned() };
        (mount, cgroup)
    }

    #[test]
    fn version_1_is_read() {
        let text = "9:name=systemd:/d/1\n4:memory:/d/1\n3:pids:/d/1\n2:cpu,cpuacct:/d/1\n0::/d/1\n";
        let files = [
            ("cpu,cpuacct/d/1/cpu.cfs_quota_us", "10000\n"),
            ("cpu,cpuacct/d/1/cpu.cfs_period_us", "50000\n"),
            ("cpu,cpuacct/d/1/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 1500000\n"),
            ("cpu,cpuacct/d/1/cpuacct.usage", "7000\n"),
            ("memory/d/1/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/d/1/memory.usage_in_bytes", "4096\n"),
            ("memory/d/1/memory.failcnt", "5\n"),
            ("pids/d/1/pids.max", "max\n"),
            ("pids/d/1/pids.current", "4\n"),
            ("pids/d/1/pids.events", "max 2\n"),
        ];
        let (_mount, cgroup) = group(text, &files);
        assert_eq!(cgroup.limit(Resource::Cpu), Some(Some(20_000)));
        assert_eq!(cgroup.limit(Resource::Memory), Some(None));
        assert_eq!(cgroup.limit(Resource::Processes), Some(None));
        let expected = Usage {
            cpu: Duration::from_micros(7),
            throttled: Duration::from_micros(1500),
            throttled_periods: 3,
            memory: 4096,
            memory_refused: 5,
            processes: 4,
            processes_refused: 2,
        };
        assert_eq!(cgroup.usage(), Some(expected));
    }

    #[test]
    fn version_2_is_read() {
        let files = [
            ("d/1/cpu.max", "max 100000\n"),
            ("d/1/cpu.stat", "usage_usec 70\nnr_periods 9\nnr_throttled 3\nthrottled_usec 1500\n"),
            ("d/1/memory.max", "8388608\n"),
            ("d/1/memory.current", "4096\n"),
            ("d/1/memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n"),
            ("d/1/pids.max", "7\n"),
            ("d/1/pids.current", "4\n"),
            ("d/1/pids.events", "max 2\n"),
        ];
        let (_mount, cgroup) = group("0::/d/1\n", &files);
        assert_eq!(cgroup.limit(Resource::Cpu), Some(None));
        assert_eq!(cgroup.limit(Resource::Memory), Some(Some(8 << 20)));
        assert_eq!(cgroup.limit(Resource::Processes), Some(Some(7)));
        let usage = cgroup.usage().unwrap();
        assert_eq!((usage.cpu, usage.throttled), (Duration::from_micros(70), Duration::from_micros(1500)));
        assert_eq!((usage.memory_refused, usage.processes_refused), (5, 2));
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_no_limit() {
        let (_mount, cgroup) = group("0::/elsewhere\n", &[]);
        assert_eq!((cgroup.limit(Resource::Memory), cgroup.usage()), (None, None));
    }
}
