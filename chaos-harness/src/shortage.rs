//! What this process or this machine runs out of while it measures: no target is to blame for it, and the failure says so.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::OnceLock;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shortage {
    /// Descriptors of this process.
    Descriptors,
    /// Descriptors of the machine.
    DescriptorsOfAll,
    /// Local ports, or local addresses.
    Ports,
    /// Memory, or buffers of the kernel.
    Memory,
    /// Space on a disk.
    Space,
    /// Watches, of which a user may have so many.
    Quota,
}

impl Shortage {
    /// The shortage that `error` is about, if it is about one.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE => Some(Self::Descriptors),
            Errno::NFILE => Some(Self::DescriptorsOfAll),
            Errno::ADDRNOTAVAIL => Some(Self::Ports),
            Errno::NOBUFS | Errno::NOMEM => Some(Self::Memory),
            Errno::NOSPC => Some(Self::Space),
            Errno::DQUOT => Some(Self::Quota),
            _ => None,
        }
    }

    /// The first one among `error` and its causes.
    pub(crate) fn behind(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut causes = std::iter::successors(Some(error), |error| error.source());
        causes.find_map(|cause| Self::of(cause.downcast_ref::<io::Error>()?))
    }
}

/// What is short, and what can be done.
impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptors => {
                let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
                let number = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |it| it.to_string());
                write!(
                    f,
                    "too many open files: this process may have {} (hard limit {}); raise it with `ulimit -n`, or lower \
                     the rate of the load",
                    number(current),
                    number(maximum)
                )
            }
            Self::DescriptorsOfAll => {
                f.write_str("too many open files on this machine; raise the kernel's `fs.file-max`")
            }
            Self::Ports => {
                let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
                write!(
                    f,
                    "no local port is free for another connection (net.ipv4.ip_local_port_range: {}); widen it, lower \
                     the rate of the load, or keep connections open",
                    range.split_whitespace().collect::<Vec<_>>().join(" to ")
                )
            }
            Self::Memory => f.write_str("the kernel has no memory left for sockets; lower the rate of the load"),
            Self::Space => f.write_str(
                "no space is left on the disk, or no inotify watch; free some, set CHAOS_DIR to another disk, or raise \
                 `fs.inotify.max_user_watches`",
            ),
            Self::Quota => f.write_str("this user's quota on the disk is used up; free some"),
        }
    }
}

/// How often something failed for want of something: by what was short, and what failed.
pub(crate) type Counts = BTreeMap<(Shortage, &'static str), u64>;

static SEEN: Mutex<Counts> = Mutex::new(BTreeMap::new());

/// Notes that `what` (`requests of the load`) failed, if `error` says that something was short.
pub(crate) fn note(error: &(dyn std::error::Error + 'static), what: &'static str) {
    if let Some(shortage) = Shortage::behind(error) {
        *SEEN.lock().entry((shortage, what)).or_default() += 1;
    }
}

/// What this process has seen so far.
pub(crate) fn seen() -> Counts {
    SEEN.lock().clone()
}

/// What was seen since `before`, a line for each shortage.
pub(crate) fn since(before: &Counts) -> Vec<String> {
    let mut news: BTreeMap<Shortage, Vec<String>> = BTreeMap::new();
    for ((shortage, what), count) in seen() {
        let count = count - before.get(&(shortage, what)).copied().unwrap_or(0);
        if count > 0 {
            news.entry(shortage).or_default().push(format!("{count} {what}"));
        }
    }
    news.into_iter().map(|(shortage, failed)| format!("{} failed: {shortage}", failed.join(", "))).collect()
}

/// How many descriptors this process might have when it started, and may have now.
static DESCRIPTORS: OnceLock<(Rlimit, Option<u64>)> = OnceLock::new();

/// Lets this process have as many descriptors as it may: each connection through a link takes four. Says from what to
/// what, where that changed something.
pub(crate) fn raise_descriptors() -> Option<(u64, u64)> {
    let (before, now) = DESCRIPTORS.get_or_init(|| {
        let before = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: before.maximum, maximum: before.maximum };
        let may = setrlimit(Resource::Nofile, raised).map_or(before.current, |()| before.maximum);
        (before, may)
    });
    let (before, now) = (before.current?, now.unwrap_or(u64::MAX));
    (now > before).then_some((before, now))
}

/// The limit that children get: a program that counts on small numbers (`select`) breaks with large ones.
pub(crate) fn descriptors_for_children() -> Rlimit {
    DESCRIPTORS.get().map_or_else(|| getrlimit(Resource::Nofile), |(before, _)| *before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("it failed")]
    struct Failed(#[source] io::Error);

    #[test]
    fn a_shortage_is_found_behind_an_error_and_told_with_its_remedy() {
        let told = |errno: Errno| Shortage::behind(&Failed(errno.into())).map(|shortage| shortage.to_string());
        for (errno, words) in [
            (Errno::MFILE, "ulimit -n"),
            (Errno::NFILE, "fs.file-max"),
            (Errno::ADDRNOTAVAIL, "ip_local_port_range: "),
            (Errno::NOBUFS, "no memory left"),
            (Errno::NOSPC, "CHAOS_DIR"),
            (Errno::DQUOT, "quota"),
        ] {
            assert!(told(errno).is_some_and(|told| told.contains(words)), "{errno}: {:?}", told(errno));
        }
        assert_eq!((told(Errno::CONNREFUSED), told(Errno::AGAIN)), (None, None));
    }

    #[test]
    fn only_what_is_new_is_told() {
        const WHAT: &str = "calls of this test";
        note(&io::Error::from(Errno::DQUOT), WHAT);
        let before = seen();
        let of_this_test = |before: &Counts| since(before).into_iter().filter(|line| line.contains(WHAT)).count();
        assert_eq!(of_this_test(&before), 0);
        note(&io::Error::from(Errno::DQUOT), WHAT);
        note(&io::Error::from(Errno::CONNREFUSED), WHAT);
        assert_eq!(of_this_test(&before), 1);
        assert!(since(&before).iter().any(|line| line.starts_with("1 calls of this test failed: this user's quota")));
    }
}
