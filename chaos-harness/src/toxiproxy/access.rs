//! Who may speak to the control API: programs, by an address or a name that only this place can have, and no web page.
//!
//! A page in a browser may reach loopback too. By a name of its own that leads here (DNS rebinding) it may even read the
//! answers: such a name has a dot, and is neither one that we listen on nor one that was allowed.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, StatusCode, Uri, Version, header, uri::Authority};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) StatusCode, pub(super) String);

fn forbidden(text: impl Into<String>) -> Refused {
    Refused(StatusCode::FORBIDDEN, text.into())
}

/// Refuses what a web page may have sent. `hosts` are the names that are allowed beside addresses and local names.
pub(super) fn check(version: Version, uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> Result<(), Refused> {
    // In toxiproxy's words.
    if headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/")) {
        return Err(forbidden("User agent not allowed"));
    }
    if headers.contains_key(header::ORIGIN) || headers.contains_key(SEC_FETCH_SITE) {
        return Err(forbidden("Origin not allowed: this is no interface for web pages"));
    }
    let mut given = headers.get_all(header::HOST).iter();
    let bad = |text: &str| Refused(StatusCode::BAD_REQUEST, format!("400 Bad Request: {text}"));
    let host = match (given.next(), given.next()) {
        (Some(_), Some(_)) => return Err(bad("too many Host headers")),
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
        (None, _) if version < Version::HTTP_11 => return Ok(()),
        (None, _) => return Err(bad("missing required Host header")),
    };
    // What stands in the request line counts for more.
    let host = uri.authority().cloned().or(host).ok_or_else(|| bad("malformed Host header"))?;
    if is_of_this_place(host.host(), hosts) {
        return Ok(());
    }
    let host = host.host();
    Err(forbidden(format!("Host `{host}` not allowed: use an address, or start chaos-proxy with --allow-host {host}")))
}

fn is_of_this_place(host: &str, hosts: &[String]) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    // Without a dot it is of this machine or its network, as those of services are in Docker's; nobody else can have it.
    let is_local = !name.is_empty() && (!name.contains('.') || name.ends_with(".localhost"));
    is_address || is_local || hosts.iter().any(|allowed| allowed.trim_end_matches('.').eq_ignore_ascii_case(&name))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn ask(headers: &[(&'static str, &str)]) -> Result<(), Refused> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, HeaderValue::from_str(value).unwrap());
        }
        check(Version::HTTP_11, &Uri::from_static("/version"), &all, &["proxy.example".to_owned()])
    }

    #[rstest]
    fn addresses_local_names_and_allowed_ones_are_fine(
        #[values(
            "127.0.0.1:8474",
            "127.0.0.1",
            "[::1]:8474",
            "192.0.2.7:1",
            "localhost:8474",
            "LocalHost",
            "a.localhost",
            "toxiproxy:8474",
            "proxy.example",
            "PROXY.example.:80"
        )]
        host: &str,
    ) {
        assert_eq!(ask(&[("host", host)]), Ok(()));
    }

    #[rstest]
    fn other_names_are_refused(
        #[values(
            "attacker.example",
            "127.0.0.1.attacker.example:8474",
            "localhost.attacker.example",
            "1.2.3",
            "evil.proxy.example",
            "proxy.example.evil.test",
            "0x7f.1",
            "127.1."
        )]
        host: &str,
    ) {
        let Err(Refused(status, text)) = ask(&[("host", host)]) else { panic!("{host}") };
        assert_eq!(status, 403);
        assert!(text.contains("--allow-host"), "{text}");
    }

    #[rstest]
    #[case::a_browser(("user-agent", "Mozilla/5.0"), "User agent")]
    #[case::a_page(("origin", "http://127.0.0.1:8474"), "Origin")]
    #[case::a_sandboxed_page(("origin", "null"), "Origin")]
    #[case::a_page_of_another_site(("sec-fetch-site", "cross-site"), "Origin")]
    fn web_pages_are_refused(#[case] header: (&'static str, &str), #[case] reason: &str) {
        let Err(Refused(status, text)) = ask(&[("host", "localhost"), header]) else { panic!("{header:?}") };
        assert!(status == 403 && text.starts_with(reason), "{text}");
    }

    #[test]
    fn a_request_has_one_host() {
        assert_eq!(ask(&[]).unwrap_err().0, 400);
        assert_eq!(ask(&[("host", "localhost"), ("host", "localhost")]).unwrap_err().0, 400);
        assert_eq!(ask(&[("host", "")]).unwrap_err().0, 400);
        assert_eq!(check(Version::HTTP_10, &Uri::from_static("/"), &HeaderMap::new(), &[]), Ok(()));
    }

    #[test]
    fn the_request_line_counts_for_more() {
        let uri = Uri::from_static("http://attacker.example/version");
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("localhost"))]);
        assert_eq!(check(Version::HTTP_11, &uri, &headers, &[]).unwrap_err().0, 403);
    }
}
