//! What can be wrong with a topology.

use thiserror::Error;

/// A topology that cannot be started, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// It has no service.
    #[error("topology `{name}` declares no service; add one with `.service(...)`")]
    Empty {
        /// The topology.
        name: String,
    },
    /// A name that cannot be part of a host name.
    #[error(
        "`{name}` is not a usable name; use 1 to 40 lower-case letters, digits and `-`, starting with a letter, and not `users`"
    )]
    BadName {
        /// The name as given.
        name: String,
    },
    /// Two services of one name.
    #[error("service `{name}` is declared twice")]
    DuplicateService {
        /// The name.
        name: String,
    },
    /// A name that no service has.
    #[error("no service is named `{name}`; the topology has: {known}")]
    UnknownService {
        /// The name as given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A volume that cannot be made.
    #[error(
        "service `{name}` has a volume of {bytes} bytes at `{folder}`; give it at least 64 KiB, and an absolute path without `:` and `,`"
    )]
    BadVolume {
        /// The service.
        name: String,
        /// As given.
        folder: String,
        /// As given.
        bytes: u64,
    },
    /// A disk that cannot be made.
    #[error(
        "service `{name}` has a disk at `{folder}`; give it an absolute path without `:` and `,`, where there is no volume in memory"
    )]
    BadDisk {
        /// The service.
        name: String,
        /// As given.
        folder: String,
    },
    /// Settings of a build, where nothing is built.
    #[error(
        "service `{name}` has settings for cargo's build, but nothing for it to build; give it `.cargo(package, bin)`"
    )]
    NothingToBuild {
        /// The service.
        name: String,
    },
    /// Something that is no platform.
    #[error("`{platform}` of service `{name}` is no platform; write one as `linux/arm64` or `linux/arm/v7`")]
    BadPlatform {
        /// The service.
        name: String,
        /// As given.
        platform: String,
    },
    /// Two equal links.
    #[error("link {link} is declared twice")]
    DuplicateLink {
        /// The link.
        link: String,
    },
    /// A service that depends on itself.
    #[error("service `{name}` is linked to itself")]
    SelfLink {
        /// The service.
        name: String,
    },
    /// Neither image nor program.
    #[error("service `{name}` has nothing to run; give it `.cargo(package, bin)`, `.image(...)` or `.program(...)`")]
    NothingToRun {
        /// The service.
        name: String,
    },
    /// A setting of a testcontainers image that a service does not have.
    #[error(
        "service `{name}` cannot take {setting} from the testcontainers image {image}; set it on the service where there is a method for it"
    )]
    NotTaken {
        /// The service.
        name: String,
        /// The image, with its tag.
        image: String,
        /// What has no counterpart.
        setting: &'static str,
    },
    /// Something for a start, given to a container that runs already.
    #[error("service `{name}` is a container that runs already, and cannot be given {given}")]
    Existing {
        /// The service.
        name: String,
        /// What it was given.
        given: &'static str,
    },
    /// An instance count out of range.
    #[error("service `{name}` asks for {instances} instances; use 1 to 32")]
    BadInstances {
        /// The service.
        name: String,
        /// The count as given.
        instances: u16,
    },
    /// Nothing but spare instances.
    #[error("service `{name}` has {standby} of {instances} instances on standby; leave one at least that is not")]
    BadStandby {
        /// The service.
        name: String,
        /// How many are on standby.
        standby: u16,
        /// How many there are.
        instances: u16,
    },
    /// A time that is longer than any experiment.
    #[error(
        "service `{name}`: {field} of {} is outside 0s to {}",
        humantime::format_duration(*.given), humantime::format_duration(*.most)
    )]
    BadTime {
        /// The service.
        name: String,
        /// Which time.
        field: &'static str,
        /// As given.
        given: std::time::Duration,
        /// The longest.
        most: std::time::Duration,
    },
    /// Port 0 cannot be linked to.
    #[error("service `{name}` listens on port 0; declare the port it really uses")]
    BadPort {
        /// The service.
        name: String,
    },
    /// A control port that is no port of its own.
    #[error("service `{name}` has its chaos control endpoint on port {port}; declare a port of its own for it")]
    BadControlPort {
        /// The service.
        name: String,
        /// The port as given.
        port: u16,
    },
    /// A placeholder that stands for nothing.
    #[error(
        "service `{service}`: `{{{placeholder}}}` stands for nothing; use {{ip}}, {{port}}, {{listen}}, or {{<callee>.url}}, {{<callee>.addr}}, {{<callee>.host}}, {{<callee>.port}} of a linked service; over UDP, {{udp_listen}} and {{<callee>.udp_addr}}"
    )]
    UnknownPlaceholder {
        /// The service.
        service: String,
        /// The text between the braces.
        placeholder: String,
    },
}
