//! Placeholders in arguments and environment values.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::TopologyError;

/// The addresses that an instance's arguments and environment may name.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// What the instance itself binds.
    pub listen: SocketAddr,
    /// For each callee, the address of the link to each of its instances; never an empty list.
    pub callees: BTreeMap<String, Vec<SocketAddr>>,
}

impl Addresses {
    /// The variables that every instance finds in its environment.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::from([("LISTEN".to_owned(), self.listen.to_string())]);
        for (callee, links) in &self.callees {
            let key = callee.to_uppercase().replace('-', "_");
            let urls: Vec<String> = links.iter().map(|link| format!("http://{link}")).collect();
            if let Some(first) = links.first() {
                variables.insert(format!("{key}_ADDR"), first.to_string());
                variables.insert(format!("{key}_URL"), format!("http://{first}"));
            }
            variables.insert(format!("{key}_URLS"), urls.join(","));
        }
        variables
    }

    fn lookup(&self, placeholder: &str) -> Option<String> {
        match placeholder {
            "ip" => return Some(self.listen.ip().to_string()),
            "port" => return Some(self.listen.port().to_string()),
            "listen" => return Some(self.listen.to_string()),
            _ => {}
        }
        let (callee, part) = placeholder.split_once('.')?;
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
        }
    }

    #[test]
    fn placeholders_are_replaced() {
        let text = "-h {ip} -p {port} {listen} {stock-db.url} {stock-db.addr} {stock-db.host}:{stock-db.port} {{x}}";
        let expected = "-h 127.1.2.3 -p 80 127.1.2.3:80 http://127.0.0.1:5 127.0.0.1:5 127.0.0.1:5 {x}";
        assert_eq!(render("s", text, &addresses()).unwrap(), expected);
    }

    #[test]
    fn an_unknown_placeholder_is_named() {
        for text in ["{nope}", "{other.url}", "{stock-db.nope}", "{ip", "}"] {
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
    }
}
