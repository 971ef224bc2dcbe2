//! Placeholders in arguments and environment values.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chaos_layer::CONTROL_LISTEN;

use super::TopologyError;

/// The addresses that an instance's arguments and environment may name.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// What the instance itself binds.
    pub listen: SocketAddr,
    /// For each callee, the address of the link to each of its instances; never an empty list.
    pub callees: BTreeMap<String, Vec<SocketAddr>>,
    /// What the instance itself binds over UDP, if anybody calls it so.
    pub udp_listen: Option<SocketAddr>,
    /// For each callee over UDP, the address of the link to each of its instances; never an empty list.
    pub udp_callees: BTreeMap<String, Vec<SocketAddr>>,
    /// What the instance itself binds for its chaos control endpoint, if it has one.
    pub control_listen: Option<SocketAddr>,
}

impl Addresses {
    /// The variables that every instance finds in its environment.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::from([("LISTEN".to_owned(), self.listen.to_string())]);
        for (callee, links) in &self.callees {
            let key = key(callee);
            let urls: Vec<String> = links.iter().map(|link| format!("http://{link}")).collect();
            if let Some(first) = links.first() {
                variables.insert(format!("{key}_ADDR"), first.to_string());
                variables.insert(format!("{key}_URL"), format!("http://{first}"));
            }
            variables.insert(format!("{key}_URLS"), urls.join(","));
        }
        variables.extend(self.udp_variables());
        variables.extend(self.control_listen.map(|listen| (CONTROL_LISTEN.to_owned(), listen.to_string())));
        variables
    }

    fn udp_variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let listen = self.udp_listen.map(|listen| ("UDP_LISTEN".to_owned(), listen.to_string()));
        let callees = self.udp_callees.iter().flat_map(|(callee, links)| {
            let all: Vec<String> = links.iter().map(ToString::to_string).collect();
            let (first, key) = (all.first().cloned().unwrap_or_default(), key(callee));
            [(format!("{key}_UDP_ADDR"), first), (format!("{key}_UDP_ADDRS"), all.join(","))]
        });
        listen.into_iter().chain(callees)
    }

    fn lookup(&self, placeholder: &str) -> Option<String> {
        match placeholder {
            "ip" => return Some(self.listen.ip().to_string()),
            "port" => return Some(self.listen.port().to_string()),
            "listen" => return Some(self.listen.to_string()),
            "udp_listen" => return self.udp_listen.map(|listen| listen.to_string()),
            _ => {}
        }
        let (callee, part) = placeholder.split_once('.')?;
        if part == "udp_addr" {
            return Some(self.udp_callees.get(callee)?.first()?.to_string());
        }
        let address = self.callees.get(callee)?.first()?;
        match part {
            "url" => Some(format!("http://{address}")),
            "addr" => Some(address.to_string()),
            "host" => Some(address.ip().to_string()),
            "port" => Some(address.port().to_string()),
            _ => None,
        }
    }
}

/// The name of a callee as variables have it.
fn key(callee: &str) -> String {
    callee.to_uppercase().replace('-', "_")
}

/// Replaces the placeholders in `text`, an argument or environment value of `service`.
/// `{{` and `}}` stand for single braces.
///
/// # Errors
/// [`TopologyError::UnknownPlaceholder`] for a placeholder that stands for nothing.
pub fn render(service: &str, text: &str, addresses: &Addresses) -> Result<String, TopologyError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            out.push_str(&from[..1]);
            rest = after;
            continue;
        }
        let (placeholder, after) = from.split_once('}').unwrap_or((from, ""));
        let value = placeholder.strip_prefix('{').filter(|_| from.contains('}')).and_then(|p| addresses.lookup(p));
        out.push_str(&value.ok_or_else(|| TopologyError::UnknownPlaceholder {
            service: service.to_owned(),
            placeholder: placeholder.trim_start_matches('{').to_owned(),
        })?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        Addresses {
            listen: "127.1.2.3:80".parse().unwrap(),
            callees: BTreeMap::from([(
                "stock-db".to_owned(),
                vec!["127.0.0.1:5".parse().unwrap(), "127.0.0.1:6".parse().unwrap()],
            )]),
            udp_listen: Some("127.1.2.3:53".parse().unwrap()),
            udp_callees: BTreeMap::from([(
                "name-server".to_owned(),
                vec!["127.0.0.1:7".parse().unwrap(), "127.0.0.1:8".parse().unwrap()],
            )]),
            control_listen: Some("127.1.2.3:9100".parse().unwrap()),
        }
    }

    #[test]
    fn placeholders_are_replaced() {
        let text = "-h {ip} -p {port} {listen} {stock-db.url} {stock-db.addr} {stock-db.host}:{stock-db.port} {{x}}";
        let expected = "-h 127.1.2.3 -p 80 127.1.2.3:80 http://127.0.0.1:5 127.0.0.1:5 127.0.0.1:5 {x}";
        assert_eq!(render("s", text, &addresses()).unwrap(), expected);
        let udp = render("s", "{udp_listen} {name-server.udp_addr}", &addresses()).unwrap();
        assert_eq!(udp, "127.1.2.3:53 127.0.0.1:7");
    }

    #[test]
    fn an_unknown_placeholder_is_named() {
        for text in ["{nope}", "{other.url}", "{stock-db.nope}", "{stock-db.udp_addr}", "{name-server.url}", "{ip", "}"]
        {
            assert!(render("s", text, &addresses()).is_err(), "{text}");
        }
        let message = render("s", "{nope}", &addresses()).unwrap_err().to_string();
        assert!(message.starts_with("service `s`: `{nope}` stands for nothing"), "{message}");
    }

    #[test]
    fn every_callee_has_its_variables() {
        let variables = addresses().variables();
        assert_eq!(variables["LISTEN"], "127.1.2.3:80");
        assert_eq!(variables["STOCK_DB_URL"], "http://127.0.0.1:5");
        assert_eq!(variables["STOCK_DB_URLS"], "http://127.0.0.1:5,http://127.0.0.1:6");
        assert_eq!(variables["UDP_LISTEN"], "127.1.2.3:53");
        assert_eq!(variables["CHAOS_CONTROL_LISTEN"], "127.1.2.3:9100");
        assert_eq!(variables["NAME_SERVER_UDP_ADDR"], "127.0.0.1:7");
        assert_eq!(variables["NAME_SERVER_UDP_ADDRS"], "127.0.0.1:7,127.0.0.1:8");
    }
}
