//! What is under test: services, the links between them, and how to tell that they are healthy.
//!
//! A [`Topology`] is plain data. The `topology!` macro writes one as people draw it; the builder
//! here is what the macro expands to.

mod error;
mod instance;
mod service;
mod template;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::TopologyError;
pub use instance::InstanceId;
pub use service::{CargoBin, Health, Image, Program, RestartPolicy, Service};
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

/// A declared dependency: `caller` sends requests to `callee`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// The service that depends on the other, or [`USERS`].
    pub caller: String,
    /// The service that is depended upon.
    pub callee: String,
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", self.caller, self.callee)
    }
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

    /// Declares that `caller` depends on `callee`.
    #[must_use]
    pub fn link(mut self, caller: impl Into<String>, callee: impl Into<String>) -> Self {
        self.links.push(Link { caller: caller.into(), callee: callee.into() });
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

    /// Every instance of every service, in the order of declaration.
    pub fn instances(&self) -> impl Iterator<Item = InstanceId> + '_ {
        self.services.values().flat_map(|service| service.instance_ids())
    }

    /// The services that `caller` depends on.
    pub fn callees<'a>(&'a self, caller: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.links.iter().filter(move |link| link.caller == caller).map(|link| link.callee.as_str())
    }

    /// Whether requests may pass from `caller` to `callee`. [`USERS`] may call every service.
    pub fn has_link(&self, caller: &str, callee: &str) -> bool {
        caller == USERS && self.services.contains_key(callee)
            || self.links.iter().any(|link| link.caller == caller && link.callee == callee)
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
            for name in [&link.caller, &link.callee] {
                self.get(name)?;
            }
            if link.caller == link.callee {
                return Err(TopologyError::SelfLink { name: link.caller.clone() });
            }
            if self.links[..position].contains(link) {
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
            (pair().link("a", "a"), "service `a` is linked to itself"),
            (pair().service(Service::new("a").cargo("p", "b")), "service `a` is declared twice"),
            (pair().service(Service::new("C").cargo("p", "b")), "`C` is not a usable name"),
            (pair().service(Service::new("users").cargo("p", "b")), "`users` is not a usable name"),
            (pair().service(Service::new("c")), "service `c` has nothing to run"),
            (pair().service(Service::new("c").cargo("p", "b").instances(0)), "service `c` asks for 0 instances"),
            (pair().service(Service::new("c").cargo("p", "b").port(0)), "service `c` listens on port 0"),
        ];
        for (topology, message) in cases {
            let error = topology.validate().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn a_twin_changes_one_service() {
        let twin = pair().with("b", |service| service.env("BREAKER", "off")).unwrap();
        assert_eq!(twin.get("b").unwrap().env["BREAKER"], "off");
        assert!(pair().with("z", |service| service).is_err());
    }
}
