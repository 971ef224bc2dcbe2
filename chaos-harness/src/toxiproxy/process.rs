//! What the process uses, with the names that Prometheus has for it.

use std::fmt::Write;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// As in `proc(5)`: the values of `/proc/self/stat` behind the name of the command, which may hold anything.
struct Stat {
    values: Vec<f64>,
}

impl Stat {
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        let (_, values) = text.rsplit_once(')')?;
        Some(Self { values: values.split_whitespace().map(|value| value.parse().unwrap_or(0.0)).collect() })
    }

    /// The field of that number, as the manual counts.
    fn field(&self, number: usize) -> f64 {
        self.values.get(number - 3).copied().unwrap_or(0.0)
    }
}

/// The page's part about the process; empty where there is no `/proc`.
pub(super) fn metrics() -> String {
    let mut page = String::new();
    let Some(stat) = Stat::read() else { return page };
    let mut metric = |name: &str, kind: &str, help: &str, value: f64| {
        let _ = writeln!(page, "# HELP process_{name} {help}\n# TYPE process_{name} {kind}\nprocess_{name} {value}");
    };
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let cpu = (stat.field(14) + stat.field(15)) / ticks;
    metric("cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", cpu);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.map_or(f64::INFINITY, |limit| limit as f64);
    metric("max_fds", "gauge", "Maximum number of open file descriptors.", limit);
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    metric("open_fds", "gauge", "Number of open file descriptors.", open as f64);
    let resident = stat.field(24) * rustix::param::page_size() as f64;
    metric("resident_memory_bytes", "gauge", "Resident memory size in bytes.", resident);
    let started = boot_time() + stat.field(22) / ticks;
    metric("start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", started);
    metric("virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", stat.field(23));
    page
}

/// When the machine started, in seconds of the Unix epoch.
fn boot_time() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime = uptime.split_whitespace().next().and_then(|seconds| seconds.parse().ok());
    uptime.map_or(0.0, |uptime: f64| now - uptime)
}
