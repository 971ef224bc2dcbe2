//! What can go wrong with a runtime.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chaos_harness_netns::NetnsError;
use thiserror::Error;

use super::remedy::remedy;
use super::{EngineAddressError, RuntimeKind};
use crate::VariableError;
use crate::safety::undo::UndoError;
use crate::safety::{AllowListError, Untrusted};
use crate::topology::InstanceId;

/// A failure of a runtime, with what can be done about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// `CHAOS_RUNTIME` or the `runtime` argument holds an unknown name.
    #[error("`{given}` is no runtime; set CHAOS_RUNTIME to auto, docker or process")]
    UnknownRuntime {
        /// As given.
        given: String,
    },
    /// A variable of the environment holds what it cannot.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// No Docker engine answers.
    #[error(
        "no docker engine answers at {endpoint} ({reason}); start it, set DOCKER_HOST, or use CHAOS_RUNTIME=process"
    )]
    NoEngine {
        /// Where it was looked for.
        endpoint: String,
        /// What came back.
        reason: String,
    },
    /// The engine's address makes no sense.
    #[error(transparent)]
    EngineAddress(#[from] EngineAddressError),
    /// The crate was built without the docker feature.
    #[error(
        "this build has no docker runtime; enable the `docker` feature of chaos-harness, or use CHAOS_RUNTIME=process"
    )]
    NotBuilt,
    /// The engine refused a request.
    #[error("docker could not {action}: {reason}{}", remedy(.reason))]
    Engine {
        /// What was asked.
        action: String,
        /// What it answered.
        reason: String,
    },
    /// The gateway of a container network is no address of this machine.
    #[error(
        "the gateway {gateway} of the container network is no address of this machine, so links cannot be bound there; run the tests on the machine of the engine, or use CHAOS_RUNTIME=process"
    )]
    RemoteEngine {
        /// The gateway.
        gateway: String,
    },
    /// A service with nothing to run on this runtime.
    #[error("service `{service}` has nothing to run on the {runtime} runtime; give it {hint}")]
    NothingToRun {
        /// The service.
        service: String,
        /// The runtime.
        runtime: RuntimeKind,
        /// Which builder call to add.
        hint: &'static str,
    },
    /// A service with arguments for an image that has no program to give them to.
    #[error(
        "service `{service}` has arguments, and image `{image}` {reason}; say what to run with `.entrypoint([...])`"
    )]
    NoProgram {
        /// The service.
        service: String,
        /// The image.
        image: String,
        /// What is in the way.
        reason: &'static str,
    },
    /// A service with volumes, where there can be none.
    #[error("service `{service}` has volumes, which the {runtime} runtime does not have; use CHAOS_RUNTIME=docker")]
    NoVolumes {
        /// The service.
        service: String,
        /// The runtime.
        runtime: RuntimeKind,
    },
    /// An image that is neither here nor to be had.
    #[error("image `{image}` is not here and could not be pulled ({reason}); build it, or name another")]
    NoImage {
        /// The image.
        image: String,
        /// What the engine answered.
        reason: String,
    },
    /// A container that should exist does not.
    #[error("there is no container `{container}`; `Service::existing` takes the name or id of one that runs")]
    NoContainer {
        /// As given.
        container: String,
    },
    /// A container that was not made by the harness, and is not on the allow-list.
    #[error(
        "container `{container}` was not made by this harness, and may not be touched; to allow it, write its name \
         on a line of {file}", file = .file.display()
    )]
    NotOurs {
        /// Its name.
        container: String,
        /// Where to write it.
        file: PathBuf,
    },
    /// A step of an undo log that names what is not of the log's environment. It is not taken.
    #[error(
        "{target} is neither of environment {environment} nor on the allow-list, and is left alone; to have it changed back, \
         write the container's name on a line of {file}", file = .file.display()
    )]
    NotOfEnvironment {
        /// What the step names.
        target: String,
        /// The log's environment.
        environment: String,
        /// Where to allow it.
        file: PathBuf,
    },
    /// A step of an undo log that names a limit which the control group of its container does not have. It is not set.
    #[error("`{limit}` is no limit of container {container} on a disk, and is left alone")]
    NoSuchLimit {
        /// The file, the disk and the word that the step names.
        limit: String,
        /// The container.
        container: String,
    },
    /// The allow-list is not taken.
    #[error(transparent)]
    AllowList(&'static AllowListError),
    /// A folder of the harness that somebody else may have made.
    #[error("{0}; remove it, or set TMPDIR to a folder of your own")]
    Untrusted(#[from] Untrusted),
    /// Something that could not be undone to the letter on a container that was there before.
    #[error(
        "{instance} is a container that runs already, and cannot be {action}: what it was before could not be brought \
         back to the letter; pause, stop or kill it, or put the fault on a link"
    )]
    NotOnExisting {
        /// The instance.
        instance: InstanceId,
        /// What was to be done.
        action: &'static str,
    },
    /// A container that cannot be reached from this machine.
    #[error(
        "container `{container}` is in no network, so its port {port} cannot be reached; connect it to one, \
         or publish the port"
    )]
    NoAddress {
        /// Its name.
        container: String,
        /// The port of its service.
        port: u16,
    },
    /// A container that is on somebody else's network, where a fault would hit both.
    #[error("{instance} is on the network of {whose}, which a fault would hit as well; put the fault on a link to it")]
    SharedNetwork {
        /// The instance.
        instance: InstanceId,
        /// Whose network it is.
        whose: String,
    },
    /// Another experiment is touching the container.
    #[error("container `{container}` is under another experiment; wait for its end, or `cargo xtask chaos-halt`")]
    Taken {
        /// Its name.
        container: String,
    },
    /// A cargo build failed.
    #[error("building `{bin}` of package `{package}` failed:\n{output}")]
    Build {
        /// The package.
        package: String,
        /// The binary.
        bin: String,
        /// The end of cargo's output.
        output: String,
    },
    /// An executable that cannot be started.
    #[error("`{program}` of {instance} could not be started: {source}")]
    Spawn {
        /// The instance.
        instance: InstanceId,
        /// The executable.
        program: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An instance that is not in the environment.
    #[error("there is no {instance} in this environment")]
    UnknownInstance {
        /// As given.
        instance: InstanceId,
    },
    /// An instance that is not running, where it has to be.
    #[error("{instance} is not running, so it cannot be {action}")]
    NotRunning {
        /// The instance.
        instance: InstanceId,
        /// What was to be done.
        action: &'static str,
    },
    /// An instance whose processes are those of another machine, or of another process namespace.
    #[error(
        "the processes of {instance} cannot be seen from here; run the tests on the machine of the engine, as root"
    )]
    NotHere {
        /// The instance.
        instance: InstanceId,
    },
    /// What this process may not do.
    #[error("this process may not {action}; run the tests as root, or {instead}")]
    NotPermitted {
        /// What was tried.
        action: String,
        /// What else would do.
        instead: &'static str,
    },
    /// A folder whose disk cannot be slowed.
    #[error(
        "the disk of {instance} cannot be slowed: {reason}; declare the folder with `Service::disk`, or slow the calls \
         to the service with `link(..).latency(..)`"
    )]
    NoThrottle {
        /// The instance.
        instance: InstanceId,
        /// What is in the way.
        reason: String,
    },
    /// A runtime whose instances share the network of this machine.
    #[error(
        "the {runtime} runtime gives {instance} no network of its own; use CHAOS_RUNTIME=docker, or a fault on a link"
    )]
    NoNetwork {
        /// The instance.
        instance: InstanceId,
        /// The runtime.
        runtime: RuntimeKind,
    },
    /// Something in a network namespace could not be done.
    #[error(transparent)]
    Network(#[from] NetnsError),
    /// A test that was built on another kind of machine, and without root.
    #[error(
        "this test was built for another kind of machine than it was built on, so it has no network helper; run it as \
         root, or name an image with one in CHAOS_NETWORK_HELPER_IMAGE"
    )]
    NoNetworkHelper,
    /// A binary for another platform than this machine's.
    #[error(
        "`{bin}` is built for {built}, and service `{service}` asks for {platform}; leave the platform out, or give the \
         service an image"
    )]
    Platform {
        /// The service.
        service: String,
        /// The binary.
        bin: String,
        /// What it was built for.
        built: String,
        /// What was asked for.
        platform: String,
    },
    /// No loopback network is free.
    #[error("no free network under 127.0.0.0/8 after {tried} tries; end other environments")]
    NoLoopback {
        /// How many were tried.
        tried: u32,
    },
    /// More instances than the loopback network of an environment has addresses for.
    #[error(
        "there is no address for {instance}: the loopback network of an environment has {most}; start fewer instances, or \
         use CHAOS_RUNTIME=docker"
    )]
    LoopbackFull {
        /// The instance.
        instance: InstanceId,
        /// How many instances can have one.
        most: usize,
    },
    /// Some things could not be removed.
    #[error("left behind: {}", .what.join(", "))]
    LeftBehind {
        /// Each, by name, with the reason.
        what: Vec<String>,
    },
    /// The engine's address pools are used up.
    #[error(
        "the engine has no addresses left for another network, and none came free within {}: {ours} of its {networks} networks \
         are of this harness; remove what nobody uses with `docker network prune`, run fewer tests at a time, or give the engine \
         more `default-address-pools` in /etc/docker/daemon.json", humantime::format_duration(*.waited)
    )]
    NoAddresses {
        /// How long was waited.
        waited: Duration,
        /// How many networks there are.
        networks: usize,
        /// How many of them are of this harness.
        ours: usize,
    },
    /// Containers cannot reach this machine, and so no link.
    #[error(
        "{instance} cannot reach this machine at {address}, where links between services are bound ({reason}): a firewall of \
         this machine keeps containers out; let in what comes from interface {bridge}, or from the engine's networks: \
         `ufw allow in on {bridge}`, `firewall-cmd --zone=trusted --add-interface={bridge}`, or \
         `iptables -I INPUT -i {bridge} -j ACCEPT`"
    )]
    Firewall {
        /// Who tried.
        instance: InstanceId,
        /// Where.
        address: SocketAddr,
        /// What came of it.
        reason: String,
        /// The interface of the environment's network.
        bridge: String,
    },
    /// Containers of somebody else are on a network of ours.
    #[error(
        "network {network} stays while a container that is not of this harness is on it: {}; `docker network disconnect \
         {network} CONTAINER`, then `cargo xtask chaos-clean`, or the next run removes it", .holders.join(", ")
    )]
    NetworkHeld {
        /// The network.
        network: String,
        /// The containers, by name.
        holders: Vec<String>,
    },
    /// The undo log could not be kept.
    #[error(transparent)]
    Undo(#[from] Box<UndoError>),
    /// A system call failed.
    #[error("could not {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl From<UndoError> for RuntimeError {
    fn from(error: UndoError) -> Self {
        Self::Undo(Box::new(error))
    }
}

impl RuntimeError {
    /// Whether a step of an undo log was not taken for what it names, so that to try again is in vain.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::NotOfEnvironment { .. } | Self::NoSuchLimit { .. })
    }

    /// An [`Io`](Self::Io) error for `action`, to be used with `map_err`.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
