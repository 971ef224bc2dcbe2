//! The life of an instance: when it counts as healthy, how it is stopped, and what happens when it ends.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Service;

/// How long an instance may take to shut down before it is killed, unless its service says.
const GRACE: Duration = Duration::from_secs(2);

/// How to tell that an instance is healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "check")]
pub enum Health {
    /// A TCP connection is accepted.
    Tcp {
        /// How long starting may take.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        within: Duration,
    },
    /// `GET` on the path answers with a 2xx status.
    Http {
        /// The path, with its leading slash.
        path: String,
        /// How long starting may take.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        within: Duration,
    },
}

impl Health {
    /// How long starting may take.
    pub fn within(&self) -> Duration {
        match self {
            Self::Tcp { within } | Self::Http { within, .. } => *within,
        }
    }
}

/// What happens when an instance ends without being asked to: as in Docker, whose words these are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// It stays down.
    #[default]
    Never,
    /// The runtime starts it again: Docker's restart manager, or the process runtime's supervisor.
    Always,
    /// The same; Docker tells the two apart only when its engine is restarted.
    UnlessStopped,
    /// It is started again unless it ended with status 0.
    OnFailure {
        /// So often at most; 0 for as often as it fails.
        retries: u16,
    },
}

impl RestartPolicy {
    /// Whether an instance that ended with status `code` is started again, after so many `restarts`.
    ///
    /// ```
    /// use chaos_harness::topology::RestartPolicy;
    ///
    /// let twice = RestartPolicy::OnFailure { retries: 2 };
    /// assert!(twice.restarts_after(137, 1) && !twice.restarts_after(137, 2) && !twice.restarts_after(0, 0));
    /// ```
    pub fn restarts_after(self, code: i32, restarts: u32) -> bool {
        match self {
            Self::Never => false,
            Self::Always | Self::UnlessStopped => true,
            Self::OnFailure { retries } => code != 0 && (retries == 0 || restarts < u32::from(retries)),
        }
    }

    /// Whether an instance that is killed comes back by itself.
    pub(crate) fn brings_back(self) -> bool {
        self != Self::Never
    }
}

impl Service {
    /// How long starting may take before it counts as failed; 30 s by default.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        let (Health::Tcp { within } | Health::Http { within, .. }) = &mut self.health;
        *within = limit;
        self
    }

    /// The runtime starts an instance again when it ends by itself or is killed.
    #[must_use]
    pub fn restarts(self) -> Self {
        self.restart(RestartPolicy::Always)
    }

    /// Sets what happens when an instance ends by itself or is killed.
    ///
    /// ```
    /// use chaos_harness::topology::{RestartPolicy, Service};
    ///
    /// let service = Service::new("order").image("order:3").restart(RestartPolicy::OnFailure { retries: 5 });
    /// ```
    #[must_use]
    pub fn restart(mut self, policy: RestartPolicy) -> Self {
        self.restart = policy;
        self
    }

    /// Sets how long an instance may take to shut down, when it is asked to with its stop signal, before it is killed; 2 s
    /// unless set. It counts for every fault that stops an instance. When it is set, the instances are asked to
    /// shut down at the end of the experiment too; they are killed there without it. The engine counts whole seconds.
    ///
    /// The stop signal of a container is that of its image (`STOPSIGNAL`), else `SIGTERM`.
    ///
    /// ```
    /// use chaos_harness::prelude::*;
    ///
    /// let broker = Service::new("broker").image("kafka:3").stop_grace(30.secs());
    /// ```
    #[must_use]
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.stop_grace = Some(grace);
        self
    }

    /// How long an instance may take to shut down.
    pub(crate) fn grace(&self) -> Duration {
        self.stop_grace.unwrap_or(GRACE)
    }

    /// Whether the program of a container runs under a small init of the engine's (`docker run --init`); it does unless this
    /// is switched off. The init is process 1: it waits for orphans, and lets signals have their effect on the program,
    /// which the kernel keeps from a process 1 that does not handle them. Switch it off for an image that has an init of its
    /// own (s6, systemd) or whose program wants to be process 1.
    ///
    /// ```
    /// use chaos_harness::topology::Service;
    ///
    /// let service = Service::new("legacy").image("legacy-with-s6:2").init(false);
    /// ```
    #[must_use]
    pub fn init(mut self, under_init: bool) -> Self {
        self.init = under_init;
        self
    }
}
