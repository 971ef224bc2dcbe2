//! Whether a link is there, and speaks what a fault on it needs.

use super::FaultError;
use crate::topology::{Protocol, Topology, USERS};

/// Checks that `caller` is linked to `callee` over `needed`; [`Protocol::Tcp`] takes any stream.
///
/// # Errors
/// Names a service or link that is not there, or what the link speaks and how to declare it.
pub(super) fn require(
    topology: &Topology,
    (caller, callee): (&str, &str),
    needed: Protocol,
    fault: impl FnOnce() -> String,
) -> Result<(), FaultError> {
    for name in [caller, callee].into_iter().filter(|name| *name != USERS) {
        topology.get(name)?;
    }
    if !topology.has_link(caller, callee) {
        let declared: Vec<String> = topology.links.iter().map(ToString::to_string).collect();
        return Err(FaultError::UnknownLink {
            caller: caller.to_owned(),
            callee: callee.to_owned(),
            declared: if declared.is_empty() { "none".to_owned() } else { declared.join(", ") },
        });
    }
    let spoken = topology.protocol(caller, callee);
    let speaks = match needed {
        Protocol::Tcp => spoken.is_some(),
        Protocol::Http => spoken == Some(Protocol::Http),
        Protocol::Udp => topology.has_udp(caller, callee),
    };
    if speaks {
        return Ok(());
    }
    Err(FaultError::WrongProtocol {
        fault: fault(),
        caller: caller.to_owned(),
        callee: callee.to_owned(),
        spoken: spoken.unwrap_or(Protocol::Udp),
        needed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Service;

    #[test]
    fn what_a_link_does_not_speak_is_told_with_the_way_to_declare_it() {
        let service = |name| Service::new(name).cargo("p", "b");
        let topology = Topology::new("t")
            .service(service("app"))
            .service(service("web"))
            .service(service("dns"))
            .link("app", "web")
            .link_over("app", "dns", Protocol::Udp)
            .link_over(USERS, "app", Protocol::Http);
        let check = |pair, needed| require(&topology, pair, needed, || "loss 10%".to_owned());
        for (pair, needed) in [
            (("app", "web"), Protocol::Tcp),
            (("app", "dns"), Protocol::Udp),
            ((USERS, "app"), Protocol::Http),
            ((USERS, "app"), Protocol::Tcp),
            ((USERS, "dns"), Protocol::Tcp),
        ] {
            check(pair, needed).unwrap();
        }
        let cases = [
            (
                ("app", "web"),
                Protocol::Http,
                "`loss 10%` needs http, but link app -> web speaks tcp; declare it as `app -> web: http` in \
                 `topology!`, or with `.link_over(\"app\", \"web\", Protocol::Http)`",
            ),
            (("app", "dns"), Protocol::Tcp, "`loss 10%` needs tcp, but link app -> dns speaks udp; declare it as"),
            (("app", "web"), Protocol::Udp, "`loss 10%` needs udp, but link app -> web speaks tcp; declare it as"),
            ((USERS, "app"), Protocol::Udp, "`loss 10%` needs udp, but link users -> app speaks http; declare"),
            (
                ("web", "dns"),
                Protocol::Udp,
                "link web -> dns was not declared; declared are: app -> web, app -> dns: udp",
            ),
            (("app", "db"), Protocol::Udp, "no service is named `db`"),
        ];
        for (pair, needed, message) in cases {
            let error = check(pair, needed).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
