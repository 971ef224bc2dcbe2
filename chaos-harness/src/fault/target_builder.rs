//! How a test writes a fault on services: `target("inventory").kill()`, `targets(["inventory", "order"]).stop()`.

use std::time::Duration;

use super::{
    CpuQuota, CpuStress, CrashLoop, DescriptorsLeft, Disconnect, DiskFull, Injection, Instances, Kill, MemoryGoal,
    MemoryLimit, MemoryStress, Pause, ProcessGoal, ProcessLimit, ProcessStress, Restart, Scale, SendSignal, SlowDisk,
    Stop, Together,
};
use crate::runtime::{DiskPace, Signal};

/// The service `name`, to apply a fault to; all of its instances unless [`instance`](TargetRef::instance) picks one.
///
/// ```
/// use chaos_harness::fault::target;
///
/// assert_eq!(target("inventory").instance(2).kill().fault.to_string(), "kill inventory-2");
/// ```
pub fn target(name: impl Into<String>) -> TargetRef {
    TargetRef(Instances { service: name.into(), instance: None })
}

/// Several services, to apply a fault to all of them at once: to every one or to none.
///
/// ```
/// use chaos_harness::fault::targets;
///
/// assert_eq!(targets(["order", "inventory"]).kill().fault.to_string(), "kill order, with kill inventory");
/// ```
pub fn targets<S: Into<String>>(names: impl IntoIterator<Item = S>) -> TargetsRef {
    TargetsRef(names.into_iter().map(target).collect())
}

/// A service to apply a fault to; see [`target`].
#[derive(Clone, Debug)]
#[must_use = "a target by itself does nothing; name a fault, such as `.kill()`"]
pub struct TargetRef(pub(super) Instances);

/// Several services to apply a fault to; see [`targets`].
#[derive(Clone, Debug)]
#[must_use = "targets by themselves do nothing; name a fault, such as `.kill()`"]
pub struct TargetsRef(Vec<TargetRef>);

impl TargetRef {
    /// Only the instance with this ordinal, from 1.
    pub fn instance(mut self, ordinal: u16) -> Self {
        self.0.instance = Some(ordinal);
        self
    }

    /// The processes end at once; the service's restart policy applies.
    pub fn kill(self) -> Injection {
        Injection::new(Kill { on: self.0 })
    }

    /// The processes are sent a signal; the service's restart policy applies to those that end of it.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    /// use chaos_harness::runtime::Signal;
    ///
    /// assert_eq!(target("order").kill_with(Signal::Segv).fault.to_string(), "SIGSEGV to order");
    /// ```
    pub fn kill_with(self, signal: Signal) -> Injection {
        self.signal(signal.name())
    }

    /// The same, with the signal by name. A name that no signal has is refused before anything is started.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// assert_eq!(target("order").signal("SIGTERM").fault.to_string(), "SIGTERM to order");
    /// ```
    pub fn signal(self, name: impl Into<String>) -> Injection {
        Injection::new(SendSignal { on: self.0, signal: name.into() })
    }

    /// The processes stand still for the hold.
    pub fn pause(self) -> Injection {
        Injection::new(Pause { on: self.0 })
    }

    /// The service is shut down for the hold, then started again.
    pub fn stop(self) -> Injection {
        Injection::new(Stop { on: self.0 })
    }

    /// The service is shut down, and started again after `delay`, however long the hold is.
    ///
    /// ```
    /// use std::time::Duration;
    /// use chaos_harness::fault::target;
    ///
    /// let restart = target("order").restart(Duration::from_secs(3));
    /// assert_eq!(restart.fault.to_string(), "restart order after 3s");
    /// ```
    pub fn restart(self, delay: Duration) -> Injection {
        Injection::new(Restart { on: self.0, delay })
    }

    /// The processes are killed at once, and again in every `period` of the hold. The restart policy starts them between;
    /// without one, the harness does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use chaos_harness::fault::target;
    ///
    /// let crashes = target("order").crash_loop(Duration::from_secs(2));
    /// assert_eq!(crashes.fault.to_string(), "crash order every 2s");
    /// ```
    pub fn crash_loop(self, period: Duration) -> Injection {
        Injection::new(CrashLoop { on: self.0, period })
    }

    /// Only `instances` instances of the service are left for the hold; 0 is none. More than run can be had of those on
    /// [standby](crate::topology::Service::standby); their health is not waited for. [`instance`](Self::instance) has
    /// no say in this.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// assert_eq!(target("order").scale(1).fault.to_string(), "scale order to 1");
    /// ```
    pub fn scale(self, instances: u16) -> Injection {
        Injection::new(Scale { service: self.0.service, to: instances })
    }

    /// The service is taken off the network for the hold: nothing reaches it, and nothing comes from it.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// assert_eq!(target("order").disconnect().fault.to_string(), "disconnect order");
    /// ```
    pub fn disconnect(self) -> Injection {
        Injection::new(Disconnect { on: self.0 })
    }

    /// Each instance may use at most `cores` processor cores: 0.1 is a tenth of one.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// assert_eq!(target("order").cpu_quota(0.1).fault.to_string(), "cpu quota of 10% of a core on order");
    /// ```
    pub fn cpu_quota(self, cores: f64) -> Injection {
        Injection::new(CpuQuota { on: self.0, cores })
    }

    /// Each instance may use at most `bytes` of memory, and no swap; the kernel kills one that needs more.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// let tight = target("order").memory_limit(32 << 20);
    /// assert_eq!(tight.fault.to_string(), "memory limit of 32768 KiB on order");
    /// ```
    pub fn memory_limit(self, bytes: u64) -> Injection {
        Injection::new(MemoryLimit { on: self.0, bytes })
    }

    /// Each instance may have at most `most` processes and threads, counting a container's init.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// let few = target("order").process_limit(8);
    /// assert_eq!(few.fault.to_string(), "limit of 8 processes and threads on order");
    /// ```
    pub fn process_limit(self, most: u64) -> Injection {
        Injection::new(ProcessLimit { on: self.0, most })
    }

    /// `threads` threads that never rest run inside each instance, within its limits.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// assert_eq!(target("order").cpu_stress(2).fault.to_string(), "cpu stress by 2 threads in order");
    /// ```
    pub fn cpu_stress(self, threads: u32) -> Injection {
        Injection::new(CpuStress { on: self.0, threads })
    }

    /// Memory is used up inside each instance until it uses `share` of its limit, from 0.01 to 0.99.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// let stress = target("order").memory_stress(0.9);
    /// assert_eq!(stress.fault.to_string(), "memory stress up to 90% of the limit of order");
    /// ```
    pub fn memory_stress(self, share: f64) -> Injection {
        Injection::new(MemoryStress { on: self.0, up_to: MemoryGoal::Share(share) })
    }

    /// `bytes` of memory are used up inside each instance, within its limits.
    pub fn memory_stress_by(self, bytes: u64) -> Injection {
        Injection::new(MemoryStress { on: self.0, up_to: MemoryGoal::Bytes(bytes) })
    }

    /// Processes and threads that sleep are started inside each instance until it has `share` of its limit, from 0.01 to 1.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// let stress = target("order").process_stress(0.9);
    /// assert_eq!(stress.fault.to_string(), "process stress up to 90% of the limit of order");
    /// ```
    pub fn process_stress(self, share: f64) -> Injection {
        Injection::new(ProcessStress { on: self.0, up_to: ProcessGoal::Share(share) })
    }

    /// `count` processes and threads that sleep are started inside each instance, within its limits.
    pub fn process_stress_by(self, count: u64) -> Injection {
        Injection::new(ProcessStress { on: self.0, up_to: ProcessGoal::Count(count) })
    }

    /// Each process of each instance can open at most `left` more files and connections; what it closes is gone too.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// let exhausted = target("order").descriptors_left(0);
    /// assert_eq!(exhausted.fault.to_string(), "0 file descriptors left in order");
    /// ```
    pub fn descriptors_left(self, left: u64) -> Injection {
        Injection::new(DescriptorsLeft { on: self.0, left })
    }

    /// The volume at `folder`, which must be declared with [`Service::volume`](crate::topology::Service::volume), is full.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// assert_eq!(target("order").disk_full("/data").fault.to_string(), "/data of order full to 100%");
    /// ```
    pub fn disk_full(self, folder: impl Into<String>) -> Injection {
        self.fill_disk(folder, 1.0)
    }

    /// The same, up to `share` of it, from 0.01 to 1.
    pub fn fill_disk(self, folder: impl Into<String>, share: f64) -> Injection {
        Injection::new(DiskFull { on: self.0, volume: folder.into(), share })
    }

    /// The disk of `folder`, which must be declared with [`Service::disk`](crate::topology::Service::disk), does at most
    /// `operations` reads and as many writes a second for each instance.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    ///
    /// let slow = target("order").slow_disk("/data", 10);
    /// assert_eq!(slow.fault.to_string(), "disk of /data of order at 10 operations a second");
    /// ```
    pub fn slow_disk(self, folder: impl Into<String>, operations: u64) -> Injection {
        Injection::new(SlowDisk { on: self.0, folder: folder.into(), at_most: DiskPace::Operations(operations) })
    }

    /// The same, with `bytes` read and as many written a second.
    pub fn disk_bandwidth(self, folder: impl Into<String>, bytes: u64) -> Injection {
        Injection::new(SlowDisk { on: self.0, folder: folder.into(), at_most: DiskPace::Bytes(bytes) })
    }
}

impl TargetsRef {
    /// The fault that `fault` makes of each of them.
    ///
    /// ```
    /// use chaos_harness::fault::targets;
    ///
    /// let slow = targets(["order", "inventory"]).each(|target| target.cpu_quota(0.5));
    /// assert!(slow.fault.to_string().ends_with("cpu quota of 50% of a core on inventory"));
    /// ```
    pub fn each(self, fault: impl Fn(TargetRef) -> Injection) -> Injection {
        Injection::new(Together { faults: self.0.into_iter().map(|target| fault(target).fault).collect() })
    }

    /// The processes of all of them end at once; the restart policies apply.
    pub fn kill(self) -> Injection {
        self.each(TargetRef::kill)
    }

    /// The processes of all of them stand still for the hold.
    pub fn pause(self) -> Injection {
        self.each(TargetRef::pause)
    }

    /// All of them are shut down for the hold, then started again.
    pub fn stop(self) -> Injection {
        self.each(TargetRef::stop)
    }

    /// All of them are taken off the network for the hold.
    pub fn disconnect(self) -> Injection {
        self.each(TargetRef::disconnect)
    }
}
