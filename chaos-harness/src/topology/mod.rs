//! What is under test: services, the links between them, and how to tell that they are healthy.
//!
//! A [`Topology`] is plain data. The `topology!` macro writes one as people draw it; the builder
//! here is what the macro expands to.

mod build;
mod error;
mod instance;
mod life;
mod link;
mod runs;
mod service;
mod template;
#[cfg(feature = "testcontainers")]
mod testcontainers;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use build::Build;
pub use error::TopologyError;
pub use instance::InstanceId;
pub use life::{Health, RestartPolicy};
pub use link::{Link, Protocol};
pub use runs::{CargoBin, Image, Program};
pub use service::Service;
pub use template::{Addresses, render};

/// The name under which the load is a caller: `link(USERS, "gateway")` is the edge.
pub const USERS: &str = "users";

/// Services and the links between them.
///
/// ```
/// use chaos_harness::topology::{Service, Topology};
///
/// let shop = Topology::new("shop")
///     .service(Service::new("gateway").cargo("shop", "shop").args(["gateway"]).http("/health/ready"))
///     .service(Service::new("order").cargo("shop", "shop").args(["order"]).http("/health/ready"))
///     .link("gateway", "order");
/// shop.validate()?;
/// # Ok::<(), chaos_harness::topology::TopologyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Topology {
    /// Names the system; part of container and network names.
    pub name: String,
    /// The services by name, in the order of declaration.
    pub services: IndexMap<String, Service>,
    /// The declared dependencies.
    pub links: Vec<Link>,
    /// Names that were declared twice; kept so that [`validate`](Self::validate) can name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<String>,
}

impl Topology {
    /// An empty topology.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), services: IndexMap::new(), links: Vec::new(), duplicates: Vec::new() }
    }

    /// Adds a service. Declaring a name twice is reported by [`validate`](Self::validate).
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        let name = service.name.clone();
        if self.services.insert(name.clone(), service).is_some() {
            self.duplicates.push(name);
        }
        self
    }

    /// Declares that `caller` depends on `callee`, over TCP.
    #[must_use]
    pub fn link(self, caller: impl Into<String>, callee: impl Into<String>) -> Self {
        self.link_over(caller, callee, Protocol::Tcp)
    }

    /// Declares that `caller` depends on `callee`, and what is spoken. [`USERS`] may call every service over TCP
    /// as it is; declaring such a link says more of it.
    #[must_use]
    pub fn link_over(mut self, caller: impl Into<String>, callee: impl Into<String>, protocol: Protocol) -> Self {
        self.links.push(Link { caller: caller.into(), callee: callee.into(), protocol });
        self
    }

    /// Changes one service, for example to switch a protecting pattern off in a twin.
    ///
    /// # Errors
    /// [`TopologyError::UnknownService`] when no service has that name.
    pub fn with(mut self, name: &str, change: impl FnOnce(Service) -> Service) -> Result<Self, TopologyError> {
        let Some(service) = self.services.get_mut(name) else {
            return Err(self.unknown(name));
        };
        *service = change(service.clone());
        Ok(self)
    }

    /// The service of that name.
    ///
    /// # Errors
    /// [`TopologyError::UnknownService`], which lists the names there are.
    pub fn get(&self, name: &str) -> Result<&Service, TopologyError> {
        self.services.get(name).ok_or_else(|| self.unknown(name))
    }

    /// Every instance of every service, those on standby among them, in the order of declaration.
    pub fn instances(&self) -> impl Iterator<Item = InstanceId> + '_ {
        self.services.values().flat_map(|service| service.instance_ids())
    }

    /// The services that `caller` depends on, each once.
    pub fn callees<'a>(&'a self, caller: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let of_caller = self.links.iter().enumerate().filter(move |(_, link)| link.caller == caller);
        let first = |(position, link): &(usize, &Link)| {
            !self.links[..*position].iter().any(|earlier| earlier.joins(&link.caller, &link.callee))
        };
        of_caller.filter(first).map(|(_, link)| link.callee.as_str())
    }

    /// Whether anything may pass from `caller` to `callee`. [`USERS`] may call every service.
    pub fn has_link(&self, caller: &str, callee: &str) -> bool {
        self.protocol(caller, callee).is_some() || self.has_udp(caller, callee)
    }

    /// What is spoken over TCP from `caller` to `callee`; `None` when they are not linked so.
    pub fn protocol(&self, caller: &str, callee: &str) -> Option<Protocol> {
        let mut declared = self.links.iter().filter(|link| link.joins(caller, callee)).map(|link| link.protocol);
        let implied = caller == USERS && self.services.contains_key(callee);
        declared.find(|protocol| protocol.is_stream()).or(implied.then_some(Protocol::Tcp))
    }

    /// Whether datagrams may pass from `caller` to `callee`.
    pub fn has_udp(&self, caller: &str, callee: &str) -> bool {
        self.links.iter().any(|link| link.joins(caller, callee) && link.protocol == Protocol::Udp)
    }

    /// Checks names, ports, sources, links and instance counts.
    ///
    /// # Errors
    /// The first thing that is wrong, by name.
    pub fn validate(&self) -> Result<(), TopologyError> {
        if let Some(name) = self.duplicates.first() {
            return Err(TopologyError::DuplicateService { name: name.clone() });
        }
        if self.services.is_empty() {
            return Err(TopologyError::Empty { name: self.name.clone() });
        }
        check_name(&self.name)?;
        for service in self.services.values() {
            check_name(&service.name)?;
            service.validate()?;
        }
        self.validate_links()
    }

    fn validate_links(&self) -> Result<(), TopologyError> {
        for (position, link) in self.links.iter().enumerate() {
            if link.caller != USERS {
                self.get(&link.caller)?;
            }
            self.get(&link.callee)?;
            if link.caller == link.callee {
                return Err(TopologyError::SelfLink { name: link.caller.clone() });
            }
            if self.links[..position].iter().any(|earlier| earlier.collides(link)) {
                return Err(TopologyError::DuplicateLink { link: link.to_string() });
            }
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> TopologyError {
        TopologyError::UnknownService {
            name: name.to_owned(),
            known: self.services.keys().cloned().collect::<Vec<_>>().join(", "),
        }
    }
}

/// Names go into host names, container names and environment variables.
fn check_name(name: &str) -> Result<(), TopologyError> {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    let rest = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !starts || !rest || name.len() > 40 || name == USERS {
        return Err(TopologyError::BadName { name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> Topology {
        Topology::new("pair")
            .service(Service::new("a").cargo("p", "b"))
            .service(Service::new("b").cargo("p", "b"))
            .link("a", "b")
    }

    #[test]
    fn a_plain_pair_is_valid() {
        pair().validate().unwrap();
        assert!(pair().has_link("a", "b") && !pair().has_link("b", "a"));
        assert!(pair().has_link(USERS, "b") && !pair().has_link(USERS, "c"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (Topology::new("t"), "topology `t` declares no service"),
            (pair().link("a", "c"), "no service is named `c`; the topology has: a, b"),
            (pair().link("a", "b"), "link a -> b is declared twice"),
            (pair().link_over("a", "b", Protocol::Http), "link a -> b: http is declared twice"),
            (
                pair().link_over("b", "a", Protocol::Udp).link_over("b", "a", Protocol::Udp),
                "link b -> a: udp is declared twice",
            ),
            (pair().link("a", USERS), "no service is named `users`"),
            (pair().link_over(USERS, "c", Protocol::Http), "no service is named `c`"),
            (pair().link("a", "a"), "service `a` is linked to itself"),
            (pair().service(Service::new("a").cargo("p", "b")), "service `a` is declared twice"),
            (pair().service(Service::new("C").cargo("p", "b")), "`C` is not a usable name"),
            (pair().service(Service::new("users").cargo("p", "b")), "`users` is not a usable name"),
            (pair().service(Service::new("c")), "service `c` has nothing to run"),
            (pair().service(Service::new("c").cargo("p", "b").instances(0)), "service `c` asks for 0 instances"),
            (
                pair().service(Service::new("c").cargo("p", "b").instances(2).standby(2)),
                "service `c` has 2 of 2 instances on standby; leave one at least that is not",
            ),
            (
                pair().service(Service::new("c").cargo("p", "b").volume("data", 1 << 20)),
                "service `c` has a volume of 1048576 bytes at `data`",
            ),
            (
                pair().service(Service::new("c").cargo("p", "b").volume("/data", 0)),
                "service `c` has a volume of 0 bytes at `/data`",
            ),
            (
                pair().service(Service::new("c").cargo("p", "b").volume("/data", 1 << 20).disk("/data")),
                "service `c` has a disk at `/data`",
            ),
            (pair().service(Service::new("c").cargo("p", "b").port(0)), "service `c` listens on port 0"),
            (pair().service(Service::new("c").cargo("p", "b").udp_port(0)), "service `c` listens on port 0"),
            (
                pair().service(Service::new("c").cargo("p", "b").control_port(8080)),
                "service `c` has its chaos control endpoint on port 8080; declare a port of its own",
            ),
        ];
        for (topology, message) in cases {
            let error = topology.validate().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn a_pair_may_be_linked_over_tcp_and_over_udp() {
        let both = pair().link_over("a", "b", Protocol::Udp).link_over(USERS, "a", Protocol::Http);
        both.validate().unwrap();
        assert_eq!(both.callees("a").collect::<Vec<_>>(), ["b"]);
        assert_eq!((both.protocol("a", "b"), both.has_udp("a", "b")), (Some(Protocol::Tcp), true));
        assert_eq!((both.protocol("b", "a"), both.has_udp("b", "a")), (None, false));
        assert_eq!(both.protocol(USERS, "a"), Some(Protocol::Http));
        assert_eq!((both.protocol(USERS, "b"), both.has_udp(USERS, "b")), (Some(Protocol::Tcp), false));
        let only = Topology { links: Vec::new(), ..pair() }.link_over("a", "b", Protocol::Udp);
        assert_eq!((only.protocol("a", "b"), only.has_link("a", "b")), (None, true));
    }

    #[test]
    fn the_default_protocol_is_left_out_of_data() {
        let link = |protocol| Link { caller: "a".to_owned(), callee: "b".to_owned(), protocol };
        for (link, data) in [
            (link(Protocol::Tcp), r#"{"caller":"a","callee":"b"}"#),
            (link(Protocol::Udp), r#"{"caller":"a","callee":"b","protocol":"udp"}"#),
        ] {
            assert_eq!(serde_json::to_string(&link).unwrap(), data);
            assert_eq!(serde_json::from_str::<Link>(data).unwrap(), link);
        }
    }

    #[test]
    fn a_twin_changes_one_service() {
        let twin = pair().with("b", |service| service.env("BREAKER", "off")).unwrap();
        assert_eq!(twin.get("b").unwrap().env["BREAKER"], "off");
        assert!(pair().with("z", |service| service).is_err());
    }
}
