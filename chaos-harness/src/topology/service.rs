//! One service: what runs, where it listens, how to tell that it is healthy.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Build, CargoBin, Health, Image, InstanceId, Program, RestartPolicy, TopologyError};
use crate::safety::LONGEST;

/// The most instances one service may have.
const MAX_INSTANCES: u16 = 32;
/// The least size of a volume in bytes: a few pages.
const LEAST_VOLUME: u64 = 64 << 10;

/// One service of a topology.
///
/// Every instance finds `LISTEN` (the socket address to bind) in its environment, and for each
/// linked callee `<CALLEE>_URL`, `<CALLEE>_ADDR` and, with several instances, `<CALLEE>_URLS`. Over UDP these are
/// `UDP_LISTEN`, where somebody calls it so, `<CALLEE>_UDP_ADDR` and `<CALLEE>_UDP_ADDRS`.
/// With a [control port](Self::control_port) there is `CHAOS_CONTROL_LISTEN` as well.
/// Arguments and environment values may also name them as placeholders:
/// `{ip}`, `{port}`, `{listen}`, `{callee.url}`, `{callee.addr}`, `{callee.host}`, `{callee.port}`, and over UDP
/// `{udp_listen}`, `{callee.udp_addr}`.
/// A literal brace is written twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// The service's name.
    pub name: String,
    /// What the docker runtime runs.
    pub image: Option<Image>,
    /// What the process runtime runs.
    pub program: Option<Program>,
    /// How binaries of a workspace are built.
    #[serde(default, skip_serializing_if = "Build::is_default")]
    pub build: Build,
    /// The platform of its image, such as `linux/arm64`; `DOCKER_DEFAULT_PLATFORM`, else the engine's own, unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// What a container runs instead of its image's program; empty for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// What takes the place of the `CMD` of an image; empty for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Arguments of the program, in a container too.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// The TCP port on which it listens.
    pub port: u16,
    /// The UDP port on which it listens, where that is another than `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp_port: Option<u16>,
    /// The TCP port of its chaos control endpoint, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_port: Option<u16>,
    /// Volumes of every instance by their folder, each in memory and with its size in bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, u64>,
    /// Folders of every instance that are on a disk.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub disks: BTreeSet<String>,
    /// How to tell that an instance is healthy.
    pub health: Health,
    /// How many instances there are.
    pub instances: u16,
    /// How many of them are on standby: not started until a fault scales the service up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub standby: u16,
    /// What happens when an instance ends by itself.
    pub restart: RestartPolicy,
    /// How long an instance may take to shut down, where the service says.
    #[serde(default, with = "humantime_serde::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub stop_grace: Option<Duration>,
    /// Whether a container's program runs under an init of the engine's.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub init: bool,
}

impl Service {
    /// A service that listens on port 8080 and is healthy once it accepts a connection.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            volumes: BTreeMap::new(),
            disks: BTreeSet::new(),
            name: name.into(),
            image: None,
            program: None,
            build: Build::default(),
            platform: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            port: 8080,
            udp_port: None,
            control_port: None,
            health: Health::Tcp { within: Duration::from_secs(30) },
            instances: 1,
            standby: 0,
            restart: RestartPolicy::Never,
            entrypoint: Vec::new(),
            command: Vec::new(),
            init: true,
            stop_grace: None,
        }
    }

    /// Runs a binary of this workspace, on every runtime. It is built with the user's own settings of cargo: flags, linker,
    /// target, environment.
    ///
    /// Its image is made locally. The binary is linked statically where it can be, and else goes with the libraries that
    /// `ldd` names. The image has `/tmp`, the users `root` and `nobody`, and this machine's CA certificates and time zones
    /// where it has any; no shell, and nothing else.
    #[must_use]
    pub fn cargo(mut self, package: impl Into<String>, bin: impl Into<String>) -> Self {
        let bin = CargoBin { package: package.into(), bin: bin.into() };
        self.image = Some(Image::Cargo(bin.clone()));
        self.program = Some(Program::Cargo(bin));
        self
    }

    /// Runs this image on the docker runtime.
    #[must_use]
    pub fn image(mut self, name: impl Into<String>) -> Self {
        self.image = Some(Image::Named(name.into()));
        self
    }

    /// A container that runs already, on the docker runtime, by name or id: one of a compose file, for instance. It must be
    /// named on a line of `chaos-allow.txt`, a file in the package's folder or one above it, up to the root of the workspace (or
    /// `CHAOS_ALLOW_FILE`). Only you or root may be able to write that file and its folder.
    /// Links to it are made; its own calls do not go through links, since nothing can be told to it any more.
    ///
    /// ```
    /// use chaos_harness::prelude::*;
    ///
    /// let database = Service::new("database").existing("compose-postgres-1").port(5432);
    /// ```
    #[must_use]
    pub fn existing(mut self, container: impl Into<String>) -> Self {
        self.image = Some(Image::Existing(container.into()));
        self
    }

    /// Runs this executable on the process runtime.
    #[must_use]
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(Program::Path(path.into()));
        self
    }

    /// Sets the arguments of the program. They mean the same on every runtime: what stands after the program.
    ///
    /// The program of a container is the `ENTRYPOINT` of its image, and the arguments take the place of its `CMD`. The
    /// program of an image without `ENTRYPOINT` is the first word of its `CMD`. Where the image has neither, or has them in
    /// shell form, whose arguments nobody reads, the start is refused; then say with [`entrypoint`](Self::entrypoint) what to run.
    ///
    /// ```
    /// use chaos_harness::topology::Service;
    ///
    /// let cache = Service::new("cache").image("redis:7").program("redis-server").args(["--port", "{port}"]);
    /// ```
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// What takes the place of the `CMD` of an image, whole: the program itself where the image has no `ENTRYPOINT`.
    /// The words are given as they stand, without placeholders; [`args`](Self::args) come after them.
    #[must_use]
    pub fn command<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.command = words.into_iter().map(Into::into).collect();
        self
    }

    /// What a container runs instead of its image's program; [`args`](Self::args) stand after it. On the process runtime
    /// [`program`](Self::program) says what runs.
    ///
    /// ```
    /// use chaos_harness::topology::Service;
    ///
    /// let shell = Service::new("tool").image("alpine:3").entrypoint(["nc", "-lk"]).args(["-p", "{port}"]);
    /// ```
    #[must_use]
    pub fn entrypoint<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(key.into(), value.into());
        self
    }

    /// Gives every instance a volume of its own of `bytes` at `folder`, an absolute path. It is in memory, empty at the
    /// start and after a restart. Only containers have volumes.
    ///
    /// ```
    /// use chaos_harness::topology::Service;
    ///
    /// let service = Service::new("order").cargo("shop", "shop").volume("/data", 16 << 20);
    /// assert_eq!(service.volumes["/data"], 16 << 20);
    /// ```
    #[must_use]
    pub fn volume(mut self, folder: impl Into<String>, bytes: u64) -> Self {
        self.volumes.insert(folder.into(), bytes);
        self
    }

    /// Gives every instance a folder of its own on the disk on which the engine keeps its volumes, at `folder`, an absolute
    /// path. It has no size of its own, holds at first what the image has there, survives a restart, and goes with the
    /// environment. Only containers have disks; [`TargetRef::slow_disk`](crate::fault::TargetRef::slow_disk) is for them.
    ///
    /// ```
    /// use chaos_harness::topology::Service;
    ///
    /// let service = Service::new("order").cargo("shop", "shop").disk("/data");
    /// assert!(service.disks.contains("/data"));
    /// ```
    #[must_use]
    pub fn disk(mut self, folder: impl Into<String>) -> Self {
        self.disks.insert(folder.into());
        self
    }

    /// Sets the port on which it listens.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the UDP port on which it listens; without this, UDP links lead to the port number that it listens on over TCP.
    #[must_use]
    pub fn udp_port(mut self, port: u16) -> Self {
        self.udp_port = Some(port);
        self
    }

    /// Declares a chaos control endpoint on this TCP port, for the faults of
    /// [`TargetRef::in_process`](crate::fault::TargetRef::in_process) and [`TargetRef::fail_point`](crate::fault::TargetRef::fail_point).
    /// Every instance then finds the address to bind in `CHAOS_CONTROL_LISTEN`; the crate `chaos-layer` reads it there.
    #[must_use]
    pub fn control_port(mut self, port: u16) -> Self {
        self.control_port = Some(port);
        self
    }

    /// Where UDP links lead.
    pub(crate) fn port_for_udp(&self) -> u16 {
        self.udp_port.unwrap_or(self.port)
    }

    /// Healthy once `GET path` answers with a 2xx status.
    #[must_use]
    pub fn http(mut self, path: impl Into<String>) -> Self {
        self.health = Health::Http { path: path.into(), within: self.health.within() };
        self
    }

    /// Sets how many instances there are.
    #[must_use]
    pub fn instances(mut self, count: u16) -> Self {
        self.instances = count;
        self
    }

    /// Keeps the last `count` instances on standby: they have addresses, and links to them that refuse, but are started
    /// only while [`TargetRef::scale`](crate::fault::TargetRef::scale) asks for them.
    ///
    /// ```
    /// use chaos_harness::fault::target;
    /// use chaos_harness::topology::Service;
    ///
    /// let service = Service::new("order").cargo("shop", "shop").instances(3).standby(2);
    /// assert_eq!(service.started_ids().count(), 1);
    /// let all_three = target("order").scale(3);
    /// ```
    #[must_use]
    pub fn standby(mut self, count: u16) -> Self {
        self.standby = count;
        self
    }

    /// The instances of this service, those on standby among them.
    pub fn instance_ids(&self) -> impl Iterator<Item = InstanceId> + '_ {
        self.ids(1..=self.instances)
    }

    /// The instances that are started with the environment.
    pub fn started_ids(&self) -> impl Iterator<Item = InstanceId> + '_ {
        self.ids(1..=self.instances.saturating_sub(self.standby))
    }

    /// The instances on standby.
    pub fn standby_ids(&self) -> impl Iterator<Item = InstanceId> + '_ {
        self.ids(self.instances.saturating_sub(self.standby) + 1..=self.instances)
    }

    fn ids(&self, ordinals: RangeInclusive<u16>) -> impl Iterator<Item = InstanceId> + '_ {
        ordinals.map(|ordinal| InstanceId::new(&self.name, ordinal))
    }

    /// What of it can only be given to something that is started.
    fn given_at_start(&self) -> Option<&'static str> {
        let given = [
            (!self.volumes.is_empty() || !self.disks.is_empty(), "volumes"),
            (!self.args.is_empty(), "arguments"),
            (!self.entrypoint.is_empty(), "an entrypoint"),
            (!self.command.is_empty(), "a command"),
            (!self.env.is_empty(), "environment variables"),
            (self.instances > 1, "several instances"),
            (self.restart != RestartPolicy::Never, "a restart policy"),
            (!self.init, "another init"),
            (self.platform.is_some(), "a platform"),
        ];
        given.into_iter().find_map(|(is_given, what)| is_given.then_some(what))
    }

    pub(super) fn validate(&self) -> Result<(), TopologyError> {
        let name = || self.name.clone();
        if self.image.is_none() && self.program.is_none() {
            return Err(TopologyError::NothingToRun { name: name() });
        }
        if !(1..=MAX_INSTANCES).contains(&self.instances) {
            return Err(TopologyError::BadInstances { name: name(), instances: self.instances });
        }
        if self.standby >= self.instances {
            let (standby, instances) = (self.standby, self.instances);
            return Err(TopologyError::BadStandby { name: name(), standby, instances });
        }
        if let (Some(Image::Existing(_)), Some(given)) = (&self.image, self.given_at_start()) {
            return Err(TopologyError::Existing { name: name(), given });
        }
        self.validate_build()?;
        let no_folder = |folder: &str| !folder.starts_with('/') || folder.contains([':', ',']) || folder.len() < 2;
        let is_bad = |(folder, bytes): &(&String, &u64)| no_folder(folder) || **bytes < LEAST_VOLUME;
        if let Some((folder, bytes)) = self.volumes.iter().find(is_bad) {
            return Err(TopologyError::BadVolume { name: name(), folder: folder.clone(), bytes: *bytes });
        }
        let is_bad = |folder: &&String| no_folder(folder) || self.volumes.contains_key(*folder);
        if let Some(folder) = self.disks.iter().find(is_bad) {
            return Err(TopologyError::BadDisk { name: name(), folder: folder.clone() });
        }
        let times = [("a start", self.health.within()), ("a stop grace", self.grace())];
        if let Some((field, given)) = times.into_iter().find(|(_, time)| *time > LONGEST) {
            return Err(TopologyError::BadTime { name: name(), field, given, most: LONGEST });
        }
        if self.port == 0 || self.udp_port == Some(0) {
            return Err(TopologyError::BadPort { name: name() });
        }
        if self.control_port.is_some_and(|port| port == 0 || port == self.port) {
            return Err(TopologyError::BadControlPort { name: name(), port: self.control_port.unwrap_or_default() });
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_yes(is: &bool) -> bool {
    *is
}

fn is_zero(count: &u16) -> bool {
    *count == 0
}
