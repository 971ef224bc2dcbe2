//! Signals by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line a signal: its variant, its name, and what the system calls take.
macro_rules! signals {
    ($($variant:ident = $name:literal, $raw:ident;)+) => {
        /// A signal of Linux.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Signal {
            $(#[doc = $name] #[serde(rename = $name)] $variant,)+
        }

        impl Signal {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name: `SIGTERM`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            pub(crate) fn raw(self) -> rustix::process::Signal {
                match self {
                    $(Self::$variant => rustix::process::Signal::$raw,)+
                }
            }
        }
    };
}

signals! {
    Hup = "SIGHUP", HUP;
    Int = "SIGINT", INT;
    Quit = "SIGQUIT", QUIT;
    Ill = "SIGILL", ILL;
    Trap = "SIGTRAP", TRAP;
    Abrt = "SIGABRT", ABORT;
    Bus = "SIGBUS", BUS;
    Fpe = "SIGFPE", FPE;
    Kill = "SIGKILL", KILL;
    Usr1 = "SIGUSR1", USR1;
    Segv = "SIGSEGV", SEGV;
    Usr2 = "SIGUSR2", USR2;
    Pipe = "SIGPIPE", PIPE;
    Alrm = "SIGALRM", ALARM;
    Term = "SIGTERM", TERM;
    Chld = "SIGCHLD", CHILD;
    Cont = "SIGCONT", CONT;
    Stop = "SIGSTOP", STOP;
    Tstp = "SIGTSTP", TSTP;
    Ttin = "SIGTTIN", TTIN;
    Ttou = "SIGTTOU", TTOU;
    Urg = "SIGURG", URG;
    Xcpu = "SIGXCPU", XCPU;
    Xfsz = "SIGXFSZ", XFSZ;
    Vtalrm = "SIGVTALRM", VTALARM;
    Prof = "SIGPROF", PROF;
    Winch = "SIGWINCH", WINCH;
    Io = "SIGIO", IO;
    Sys = "SIGSYS", SYS;
}

impl Signal {
    /// The signal of that name, with or without `SIG`, in capitals or not.
    ///
    /// ```
    /// use chaos_harness::runtime::Signal;
    ///
    /// assert_eq!(Signal::named("term"), Some(Signal::Term));
    /// assert_eq!(Signal::named("SIGTREM"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        let wanted = name.to_ascii_uppercase();
        let wanted = wanted.strip_prefix("SIG").unwrap_or(&wanted);
        Self::ALL.iter().copied().find(|signal| signal.name()[3..] == *wanted)
    }

    /// Whether it makes a process stand still.
    pub(crate) fn stops(self) -> bool {
        matches!(self, Self::Stop | Self::Tstp | Self::Ttin | Self::Ttou)
    }

    /// Whether nothing comes of it for a process that does not ask for it.
    pub(crate) fn is_ignored_by_default(self) -> bool {
        matches!(self, Self::Chld | Self::Cont | Self::Urg | Self::Winch)
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a process does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wont {
    /// Nothing comes of it.
    Ignores,
    /// It has a handler.
    Handles,
    /// It has not said, so what the kernel does by default.
    TakesDefault,
}

impl Wont {
    /// What process `pid` does with `signal`; `None` when this machine does not run it.
    pub(crate) fn of(pid: u32, signal: Signal) -> Option<Self> {
        Self::read(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?, signal)
    }

    /// From the masks in `/proc/PID/status`.
    fn read(status: &str, signal: Signal) -> Option<Self> {
        let mask = |name: &str| {
            let text = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(text.trim(), 16).ok()
        };
        let bit = 1u64 << (signal.raw().as_raw() - 1);
        let (ignored, caught) = (mask("SigIgn:")?, mask("SigCgt:")?);
        // What a process 1 does not handle is kept from it, but for what comes from outside its namespace with force.
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        let is_init = pids.split_whitespace().nth(1).is_some() && pids.split_whitespace().last() == Some("1");
        let spared = is_init && !matches!(signal, Signal::Kill | Signal::Stop);
        Some(match (ignored & bit != 0, caught & bit != 0) {
            (true, _) => Self::Ignores,
            (_, true) => Self::Handles,
            _ if spared || signal.is_ignored_by_default() => Self::Ignores,
            _ => Self::TakesDefault,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_tell_what_comes_of_a_signal() {
        let status = "Name:\tshop\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000004002\n";
        assert_eq!(Wont::read(status, Signal::Pipe), Some(Wont::Ignores));
        assert_eq!(Wont::read(status, Signal::Term), Some(Wont::Handles));
        assert_eq!(Wont::read(status, Signal::Int), Some(Wont::Handles));
        assert_eq!(Wont::read(status, Signal::Hup), Some(Wont::TakesDefault));
        assert_eq!(Wont::read(status, Signal::Winch), Some(Wont::Ignores));
        assert_eq!(Wont::read("", Signal::Winch), None);
        let init = format!("NSpid:\t4711\t1\n{status}");
        assert_eq!(Wont::read(&init, Signal::Hup), Some(Wont::Ignores));
        assert_eq!(Wont::read(&init, Signal::Term), Some(Wont::Handles));
        assert_eq!(Wont::read(&init, Signal::Kill), Some(Wont::TakesDefault));
    }

    #[test]
    fn names_are_read_back() {
        for signal in Signal::ALL {
            assert_eq!(Signal::named(signal.name()), Some(*signal));
        }
        assert_eq!(Signal::named(""), None);
    }
}
