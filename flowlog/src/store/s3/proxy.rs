//! Which proxy the environment asks for, as curl and boto3 read it.
//!
//! `https_proxy` is for `https` endpoints alone, `http_proxy` for `http` ones, `all_proxy` for either;
//! in small letters or capitals, small ones first. `no_proxy` names hosts that are asked directly, with
//! commas or blanks between: names with what lies below them (with or without a dot or `*.` before),
//! addresses, prefixes (`10.0.0.0/8`), each with `:port` for that port alone; `*` is every host.

use super::{Cause, StoreError};
use ipnet::IpNet;
use std::{env, net::IpAddr};
use ureq::{Proxy, http::Uri};

/// A proxy, and where it was found.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) proxy: Proxy,
    /// For messages: the variable and the address, without a password.
    pub(super) name: String,
}

/// The proxy for an address; `None` for none.
///
/// # Errors
/// [`Cause::Refused`] for a variable that names what cannot be used.
pub(super) fn of_environment(target: &Uri) -> Result<Option<Chosen>, StoreError> {
    choose(target, |name| env::var(name).ok())
}

fn choose(
    target: &Uri,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Chosen>, StoreError> {
    let get = |name: &str| {
        [name.to_owned(), name.to_uppercase()]
            .into_iter()
            .find_map(|name| Some((variable(&name)?.trim().to_owned(), name)))
    };
    let is_https = target.scheme_str() == Some("https");
    let own = if is_https {
        "https_proxy"
    } else {
        "http_proxy"
    };
    // An empty variable turns a proxy off that a more general one would ask for.
    let Some((address, name)) = get(own).or_else(|| get("all_proxy")) else {
        return Ok(None);
    };
    let port = target.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let host = target.host().unwrap_or_default();
    let exempt = get("no_proxy").map(|(list, _)| list).unwrap_or_default();
    if address.is_empty() || is_exempt(&exempt, host, port) {
        return Ok(None);
    }
    let shown = without_password(&address);
    let refuse = |why: &str| {
        let text = format!(
            "the proxy {shown} of {name} {why}; name one as http://host:port, or exempt {host} by NO_PROXY"
        );
        Err(StoreError::new(Cause::Refused, text))
    };
    match address.split_once("://").map(|(scheme, _)| scheme) {
        Some(scheme) if scheme.to_ascii_lowercase().starts_with("socks") => {
            refuse("speaks SOCKS, which is not served here")
        }
        None | Some("http" | "HTTP" | "Http") => match Proxy::new(&address) {
            Ok(proxy) => Ok(Some(Chosen {
                proxy,
                name: format!("{shown} of {name}"),
            })),
            Err(_) => refuse("is no address"),
        },
        Some("https") => refuse("is to be reached by TLS, which is not served here"),
        Some(_) => refuse("has another scheme than http"),
    }
}

/// Without what stands before the `@`.
fn without_password(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            match scheme {
                "" => host.to_owned(),
                scheme => format!("{scheme}://{host}"),
            }
        }
        None => address.to_owned(),
    }
}

fn is_exempt(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    list.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|entry| !entry.is_empty())
        .any(|entry| covers(&entry.to_ascii_lowercase(), &host, port))
}

/// Whether one entry of the list covers a host.
fn covers(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return host
            .parse()
            .is_ok_and(|host: IpAddr| network.contains(&host));
    }
    let (entry, wanted) = name_and_port(entry);
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    if let Ok(address) = entry.parse::<IpAddr>() {
        return host.parse() == Ok(address);
    }
    let name = entry.trim_start_matches("*.").trim_start_matches('.');
    let name = name.trim_end_matches('.');
    let is_below = || {
        host.strip_suffix(name)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    // An address has no domain above it.
    !name.is_empty() && (host == name || (host.parse::<IpAddr>().is_err() && is_below()))
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, and an IPv6 address without brackets.
fn name_and_port(entry: &str) -> (&str, Option<u16>) {
    if let Some(rest) = entry.strip_prefix('[')
        && let Some((address, port)) = rest.split_once(']')
    {
        return (
            address,
            port.strip_prefix(':').and_then(|port| port.parse().ok()),
        );
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, port.parse().ok()),
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(target: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let chosen = choose(&target.parse().unwrap(), variable);
        chosen
            .map(|chosen| chosen.map(|chosen| chosen.name))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_variable_is_for_its_scheme_and_the_general_one_for_both() {
        let (https, http) = ("https://store.example", "http://store.example:9000");
        let of = |target, name| chosen(target, &[(name, "http://p:1")]).unwrap().is_some();
        for (name, for_https, for_http) in [
            ("https_proxy", true, false),
            ("HTTPS_PROXY", true, false),
            ("http_proxy", false, true),
            ("HTTP_PROXY", false, true),
            ("all_proxy", true, true),
            ("ALL_PROXY", true, true),
        ] {
            assert_eq!(
                (of(https, name), of(http, name)),
                (for_https, for_http),
                "{name}"
            );
        }
        let both = [
            ("https_proxy", "http://small:1"),
            ("HTTPS_PROXY", "http://great:1"),
        ];
        assert_eq!(
            chosen(https, &both).unwrap().unwrap(),
            "http://small:1 of https_proxy"
        );
        let off = [("https_proxy", ""), ("ALL_PROXY", "http://p:1")];
        assert_eq!(chosen(https, &off).unwrap(), None);
    }

    #[test]
    fn hosts_are_exempt_by_name_domain_address_prefix_and_port_with_blanks_around() {
        for (list, target, is_direct) in [
            ("store.example", "http://store.example", true),
            ("store.example", "http://a.b.store.example", true),
            (".store.example", "http://store.example", true),
            (".example", "http://store.example", true),
            ("*.example", "http://store.example", true),
            ("Example", "http://STORE.example.", true),
            ("ample", "http://store.example", false),
            ("other.example", "http://store.example", false),
            (" a , store.example ,b", "http://store.example", true),
            ("a b\tstore.example", "http://store.example", true),
            ("10.0.0.0/8", "http://10.9.8.7:9000", true),
            ("10.0.0.0/8", "http://11.9.8.7:9000", false),
            ("10.9.8.7", "http://10.9.8.7:9000", true),
            ("9.8.7", "http://10.9.8.7", false),
            ("10.9.8.7:9000", "http://10.9.8.7:9000", true),
            ("10.9.8.7:9001", "http://10.9.8.7:9000", false),
            ("store.example:443", "https://store.example", true),
            ("store.example:443", "https://store.example:8443", false),
            ("fd00::/8", "http://[fd00::1]:9000", true),
            ("fd00::1", "http://[fd00::1]:9000", true),
            ("[fd00::1]:9000", "http://[fd00::1]:9000", true),
            ("[fd00::1]:1", "http://[fd00::1]:9000", false),
            ("*", "https://store.example", true),
            ("", "http://store.example", false),
        ] {
            for name in ["no_proxy", "NO_PROXY"] {
                let variables = [("ALL_PROXY", "http://p:1"), (name, list)];
                let direct = chosen(target, &variables).unwrap().is_none();
                assert_eq!(direct, is_direct, "{list:?} {target}");
            }
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name_and_without_its_password() {
        for (address, why) in [
            (
                "socks5://me:secret@p:1080",
                "socks5://p:1080 of ALL_PROXY speaks SOCKS",
            ),
            ("socks5h://p", "speaks SOCKS"),
            ("https://me:secret@p:1", "by TLS"),
            ("ftp://p", "another scheme"),
            ("http://me:secret@", "is no address"),
        ] {
            let error = chosen("http://store.example", &[("ALL_PROXY", address)]).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(
                error.contains("NO_PROXY") && !error.contains("secret"),
                "{error}"
            );
        }
        let named = chosen("http://s", &[("http_proxy", "me:secret@p:3128")])
            .unwrap()
            .unwrap();
        assert_eq!(named, "p:3128 of http_proxy");
    }
}
