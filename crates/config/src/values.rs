//! Leaf values: texts that mean durations, networks, addresses, names.

use crate::diagnostic::quoted;
use crate::reference::show_duration;
use eclusa_policy::name::{self, NamePattern};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The longest path of a unix socket, in bytes.
const SOCKET_PATH_MAX: usize = 100;

/// What is wrong with a text, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) remedy: String,
}

pub(crate) fn mistake<T>(
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Result<T, Mistake> {
    Err(Mistake { message: message.into(), remedy: remedy.into() })
}

/// A text of the document as a part of a remedy: cut, and safe to print.
fn safe(text: &str) -> String {
    quoted(text).trim_matches('`').to_owned()
}

/// `500ms`, `30s`, `5m`, `1h`, `2d`.
pub(crate) fn duration(text: &str) -> Result<Duration, Mistake> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ if digits == text.len() && digits > 0 => {
            return mistake(
                format!("{} has no unit", quoted(text)),
                format!("write \"{number}s\" for seconds; units are ms, s, m, h, d"),
            );
        }
        _ => 0,
    };
    let number: Option<u64> = number.parse().ok();
    match number.and_then(|number| number.checked_mul(milliseconds)) {
        Some(total) if milliseconds > 0 => Ok(Duration::from_millis(total)),
        _ => mistake(
            format!("{} is no duration", quoted(text)),
            "write a whole number and a unit (ms, s, m, h, d), such as \"30s\" or \"90m\"",
        ),
    }
}

/// Whether `duration` lies in the range.
pub(crate) fn within(
    duration: Duration,
    min: Duration,
    max: Duration,
    whole: bool,
) -> Result<Duration, Mistake> {
    let shown = show_duration(duration);
    if duration < min {
        return mistake(
            format!("`{shown}` is too short"),
            format!("write at least \"{}\"", show_duration(min)),
        );
    }
    if duration > max {
        return mistake(
            format!("`{shown}` is too long"),
            format!("write at most \"{}\"", show_duration(max)),
        );
    }
    if whole && duration.subsec_nanos() != 0 {
        return mistake(
            format!("`{shown}` is not in whole seconds, and the kernel counts no others here"),
            format!("write \"{}s\"", duration.as_secs().max(1)),
        );
    }
    Ok(duration)
}

/// `10.0.0.0/22`, or a single address. Host bits are a mistake: nobody knows which half was meant.
pub(crate) fn network(text: &str) -> Result<IpNet, Mistake> {
    if let Ok(network) = text.parse::<IpNet>() {
        return if network.trunc() == network {
            Ok(network)
        } else {
            mistake(
                format!("{} has host bits set", quoted(text)),
                format!(
                    "write \"{}\" for the network, or \"{}\" for the one address",
                    network.trunc(),
                    network.addr()
                ),
            )
        };
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let remedy = match text.split_once('/') {
        Some((address, length)) => match (address.parse::<IpAddr>(), length.parse::<u32>()) {
            (Ok(address), Ok(_)) => {
                let most = if address.is_ipv4() { 32 } else { 128 };
                format!("write a length from 0 to {most} after the slash")
            }
            (Ok(_), Err(_)) => "write the length of the prefix after the slash: /22, \
                                not a netmask"
                .to_owned(),
            (Err(_), _) => "write a whole address before the slash: \"10.0.0.0/22\"".to_owned(),
        },
        None => "write address and length of the prefix: \"10.0.0.0/22\"; names do not stand for \
                 networks"
            .to_owned(),
    };
    mistake(format!("{} is no network", quoted(text)), remedy)
}

/// An address of this host to connect from.
pub(crate) fn source_address(text: &str) -> Result<IpAddr, Mistake> {
    let address = match unbracketed(text).parse::<IpAddr>() {
        Ok(address) => address.to_canonical(),
        Err(_) => {
            return mistake(
                format!("{} is no IP address", quoted(text)),
                "write an address of this host, without a port; `ip address` lists them",
            );
        }
    };
    if address.is_unspecified() || address.is_multicast() {
        return mistake(
            format!("{} is not the address of one host", quoted(text)),
            "write an address of this host, or leave `source` out for the kernel's choice",
        );
    }
    Ok(address)
}

/// An address to listen on; the port may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenHost {
    pub(crate) address: IpAddr,
    pub(crate) port: Option<u16>,
}

/// `0.0.0.0`, `[::]`, `::`, `127.0.0.1:6443`.
pub(crate) fn listen_host(text: &str) -> Result<ListenHost, Mistake> {
    if let Ok(address) = unbracketed(text).parse::<IpAddr>() {
        return Ok(ListenHost { address: listenable(address, text)?, port: None });
    }
    let whole = listen(text)?;
    Ok(ListenHost { address: whole.ip(), port: Some(whole.port()) })
}

/// `0.0.0.0:443`, `[::]:443`.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, Mistake> {
    if let Ok(address) = unbracketed(text).parse::<IpAddr>() {
        let example = SocketAddr::new(address, 443);
        return mistake(format!("{} has no port", quoted(text)), format!("write \"{example}\""));
    }
    if let Some(port) = text.strip_prefix(':').or_else(|| text.strip_prefix("*:")) {
        let port = safe(port);
        return mistake(
            format!("{} has no address", quoted(text)),
            format!("write \"0.0.0.0:{port}\" and \"[::]:{port}\" for all addresses"),
        );
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            return mistake(
                format!("{} has port 0, which would be another at each start", quoted(text)),
                "write a port from 1 to 65535",
            );
        }
        return Ok(SocketAddr::new(listenable(address.ip(), text)?, address.port()));
    }
    let (host, port) = split_port(text)?;
    if port.is_some() && looks_like_v6(host) {
        return brackets_wanted(text, host, port);
    }
    mistake(
        format!("{} is no address to listen on", quoted(text)),
        "write an IP address and a port, such as \"0.0.0.0:443\"; names and interfaces do not do",
    )
}

fn listenable(address: IpAddr, text: &str) -> Result<IpAddr, Mistake> {
    let address = address.to_canonical();
    if address.is_multicast() || address == IpAddr::from([255; 4]) {
        return mistake(
            format!("{} is not the address of one host", quoted(text)),
            "write an address of this host, or 0.0.0.0 for all of them",
        );
    }
    Ok(address)
}

/// Where an endpoint is, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointHost {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

/// An address, or a name that DNS knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Address(IpAddr),
    Name(Box<str>),
}

/// `10.0.0.11`, `10.0.0.12:6443`, `master1.example:6443`, `[fd00::1]:6443`.
pub(crate) fn endpoint(text: &str) -> Result<EndpointHost, Mistake> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let (scheme, host) = (safe(scheme), safe(rest.split('/').next().unwrap_or("")));
        return mistake(
            format!("{} is a URL", quoted(text)),
            format!("leave `{scheme}://` and the path out: \"{host}\""),
        );
    }
    if let Ok(address) = unbracketed(text).parse::<IpAddr>() {
        return Ok(EndpointHost { host: dialable(address, text)?, port: None });
    }
    let (host, port) = split_port(text)?;
    if port.is_some() && looks_like_v6(host) && !host.starts_with('[') {
        return brackets_wanted(text, host, port);
    }
    let host = match unbracketed(host).parse::<IpAddr>() {
        Ok(address) => dialable(address, text)?,
        Err(_) => Host::Name(endpoint_name(host)?),
    };
    Ok(EndpointHost { host, port })
}

fn dialable(address: IpAddr, text: &str) -> Result<Host, Mistake> {
    let address = address.to_canonical();
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::from([255; 4]) {
        return mistake(
            format!("{} is not the address of one host", quoted(text)),
            "write the address that the endpoint listens on",
        );
    }
    Ok(Host::Address(address))
}

/// Text and port after the last colon, if there is one.
fn split_port(text: &str) -> Result<(&str, Option<u16>), Mistake> {
    let Some((host, port)) = text.rsplit_once(':') else { return Ok((text, None)) };
    match port.parse::<u16>() {
        Ok(0) => mistake(format!("{} has port 0", quoted(text)), "write a port from 1 to 65535"),
        // `parse` would take a sign.
        Ok(number) if port.bytes().all(|byte| byte.is_ascii_digit()) => Ok((host, Some(number))),
        _ => mistake(
            format!("{} is no port", quoted(port)),
            "write a port from 1 to 65535 after the colon",
        ),
    }
}

fn looks_like_v6(host: &str) -> bool {
    host.contains(':')
}

fn brackets_wanted<T>(text: &str, host: &str, port: Option<u16>) -> Result<T, Mistake> {
    let whole = match (unbracketed(host).parse::<Ipv6Addr>(), port) {
        (Ok(host), Some(port)) => format!("\"[{host}]:{port}\""),
        _ => "\"[fd00::1]:443\"".to_owned(),
    };
    mistake(
        format!("{} is no address: nobody can tell where the port begins", quoted(text)),
        format!("put an IPv6 address in brackets: {whole}"),
    )
}

fn unbracketed(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

/// A name for DNS. One that ends in a number is a mistyped address.
fn endpoint_name(text: &str) -> Result<Box<str>, Mistake> {
    let name = host_name(text)?;
    let last = name.rsplit('.').next().unwrap_or("");
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return mistake(
            format!("{} is no address", quoted(text)),
            "write four numbers from 0 to 255, without leading zeros: \"10.0.0.11\"",
        );
    }
    Ok(name)
}

/// A plain host name.
pub(crate) fn host_name(text: &str) -> Result<Box<str>, Mistake> {
    match name::checked(text.strip_suffix('.').unwrap_or(text)) {
        Ok(name) => Ok(name),
        Err(error) => mistake(
            format!("{} is no host name: {error}", quoted(text)),
            "write letters, digits, hyphens and dots; other alphabets in their xn-- form",
        ),
    }
}

/// The server name of a probe.
pub(crate) fn probe_name(text: &str) -> Result<Box<str>, Mistake> {
    if unbracketed(text).parse::<IpAddr>().is_ok() {
        return mistake(
            format!("{} is an address; TLS sends names only", quoted(text)),
            "write a name that the endpoint's certificate has, such as \"kubernetes\"",
        );
    }
    host_name(text)
}

/// A server name or wildcard.
pub(crate) fn server_name(text: &str) -> Result<NamePattern, Mistake> {
    if unbracketed(text).parse::<IpAddr>().is_ok() {
        return mistake(
            format!("{} is an address; no ClientHello names one", quoted(text)),
            "ask for addresses with `source`, or leave the condition out",
        );
    }
    match NamePattern::parse(text) {
        Ok(pattern) => Ok(pattern),
        Err(error) => mistake(
            format!("{} matches no server name: {error}", quoted(text)),
            "write \"shop.example.com\" or \"*.example.com\"; other alphabets in their xn-- form",
        ),
    }
}

/// The longest request path that a probe sends.
const REQUEST_PATH_MAX: usize = 1_024;

/// The path of a request, with or without a query: `/readyz`, `/healthz?verbose`.
pub(crate) fn request_path(text: &str) -> Result<Box<str>, Mistake> {
    if let Some((_, rest)) = text.split_once("://") {
        let path = rest.find('/').map_or("/", |at| &rest[at..]);
        return mistake(
            format!("{} is a URL", quoted(text)),
            format!("write the path alone: \"{}\"", quoted(path).trim_matches('`')),
        );
    }
    if !text.starts_with('/') {
        return mistake(
            format!("{} is no path", quoted(text)),
            "begin with `/`, as in \"/healthz\"",
        );
    }
    if text.len() > REQUEST_PATH_MAX {
        return mistake(
            "the path is too long",
            format!("write at most {REQUEST_PATH_MAX} characters"),
        );
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Ok(text.into());
    }
    mistake(
        format!("{} has a character that no request carries as it is", quoted(text)),
        "write spaces, `#` and what is not ASCII percent-encoded: %20, %23",
    )
}

/// The same, or `none`.
pub(crate) fn request_path_or_none(text: &str) -> Result<Option<Box<str>>, Mistake> {
    if text == "none" { Ok(None) } else { request_path(text).map(Some) }
}

/// What a request carries as `Host`.
pub(crate) fn request_host(text: &str) -> Result<Box<str>, Mistake> {
    let EndpointHost { host, port } = endpoint(text)?;
    let mut shown = match host {
        Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        Host::Address(address) => address.to_string(),
        Host::Name(name) => name.into(),
    };
    if let Some(port) = port {
        shown.push_str(&format!(":{port}"));
    }
    Ok(shown.into())
}

/// `http://10.0.0.9:9643`: address or name, and port.
pub(crate) fn http_address(text: &str) -> Result<Box<str>, Mistake> {
    let example = "write \"http://10.0.0.9:9643\"";
    let Some(rest) = text.strip_prefix("http://") else {
        return mistake(format!("{} does not begin with `http://`", quoted(text)), example);
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('/') {
        let remedy = "leave the path out: the program knows what to ask";
        return mistake(format!("{} has a path", quoted(text)), remedy);
    }
    match endpoint(rest)?.port {
        Some(_) => request_host(rest),
        None => mistake(format!("{} has no port", quoted(text)), example),
    }
}

/// `2xx`, `200-399`, `401`: the first status and the last.
pub(crate) fn status(text: &str) -> Result<(u16, u16), Mistake> {
    let number = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first), number(last)),
        None => match text.strip_suffix("xx") {
            Some(class) => (number(&format!("{class}00")), number(&format!("{class}99"))),
            None => (number(text), number(text)),
        },
    };
    let (Some(first), Some(last)) = (first, last) else {
        return mistake(
            format!("{} is no status", quoted(text)),
            "write a status (\"401\"), a class (\"2xx\") or a range (\"200-399\")",
        );
    };
    if first > last {
        return mistake(
            format!("{} ends before it begins", quoted(text)),
            format!("write \"{last}-{first}\""),
        );
    }
    if first < 200 || last > 599 {
        return mistake(
            format!("{} holds statuses that end no request", quoted(text)),
            "write statuses from 200 to 599",
        );
    }
    Ok((first, last))
}

/// The absolute path of a unix socket. The kernel takes 107 bytes (`unix(7)`); a few are left for
/// the name that a socket has before it takes its place.
pub(crate) fn socket_path(text: &str) -> Result<PathBuf, Mistake> {
    let path = path(text)?;
    if text.len() > SOCKET_PATH_MAX {
        return mistake(
            format!("the path of the socket has {} bytes", text.len()),
            format!("use at most {SOCKET_PATH_MAX}: the kernel takes no longer ones"),
        );
    }
    if path.file_name().is_none() || text.ends_with('/') {
        return mistake(format!("{} names no file", quoted(text)), "add a name to the directory");
    }
    Ok(path)
}

/// `0660`, `0600`: the owner, who must be able to write, the group, others.
pub(crate) fn file_mode(text: &str) -> Result<u32, Mistake> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|c| (b'0'..=b'7').contains(&c));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if octal && mode <= 0o777 && mode & 0o600 == 0o600 => Ok(mode),
        Ok(mode) if octal && mode <= 0o777 => mistake(
            format!("{} leaves the service's own user out", quoted(text)),
            "write \"0660\" or \"0600\": a reload by systemd runs as that user",
        ),
        _ => mistake(
            format!("{} is no mode of a socket", quoted(text)),
            "write three octal digits behind a 0, such as \"0660\" or \"0600\"",
        ),
    }
}

/// The name or number of a group.
pub(crate) fn group(text: &str) -> Result<Box<str>, Mistake> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.$".contains(c);
    let number = text.bytes().all(|c| c.is_ascii_digit());
    let right = (1..=32).contains(&text.len()) && text.chars().all(fits) && !text.starts_with('-');
    if right && (!number || text.parse::<u32>().is_ok_and(|number| number < u32::MAX)) {
        return Ok(text.into());
    }
    mistake(
        format!("{} is no group", quoted(text)),
        "write a name that /etc/group has, such as \"adm\", or its number",
    )
}

/// An absolute path.
pub(crate) fn path(text: &str) -> Result<PathBuf, Mistake> {
    if text.contains('\0') {
        return mistake("a path has no NUL character", "remove it");
    }
    if text.starts_with('/') {
        return Ok(PathBuf::from(text));
    }
    mistake(
        format!("{} is no absolute path", quoted(text)),
        "begin with `/`: a service has no directory of its own to start from",
    )
}

/// What things in the document may be called.
pub(crate) fn label(text: &str) -> Result<Box<str>, Mistake> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    mistake(
        format!("{} cannot be a name", quoted(text)),
        "use 1 to 64 letters, digits, `-`, `_`, `.`, `:`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit() {
        for (text, milliseconds) in
            [("500ms", 500), ("0s", 0), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
            assert_eq!(show_duration(Duration::from_millis(milliseconds)), text);
        }
        let wrong = ["", "s", "30", "1.5s", "-1s", "+1s", "1h30m", "1 s", "1S", "1µs"];
        for text in wrong.into_iter().chain(["18446744073709551615d", "99999999999999999999s"]) {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_end_at_their_prefix() {
        for (text, expected) in [
            ("10.0.0.0/22", "10.0.0.0/22"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("10.0.0.1", "10.0.0.1/32"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("fd00::/8", "fd00::/8"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), expected);
        }
        let mistake = network("10.0.3.7/22").unwrap_err();
        assert!(mistake.remedy.contains("\"10.0.0.0/22\""), "{mistake:?}");
    }

    #[test]
    fn endpoints_are_addresses_or_names() {
        let address = |text: &str| Host::Address(text.parse().unwrap());
        for (text, host, port) in [
            ("10.0.0.11", address("10.0.0.11"), None),
            ("10.0.0.12:6443", address("10.0.0.12"), Some(6443)),
            ("Master1.example:6443", Host::Name("master1.example".into()), Some(6443)),
            ("master1.example.", Host::Name("master1.example".into()), None),
            ("fd00::1", address("fd00::1"), None),
            ("[fd00::1]", address("fd00::1"), None),
            ("[fd00::1]:6443", address("fd00::1"), Some(6443)),
            ("[::ffff:10.0.0.1]:6443", address("10.0.0.1"), Some(6443)),
        ] {
            assert_eq!(endpoint(text), Ok(EndpointHost { host, port }), "{text}");
        }
    }

    #[test]
    fn listeners_have_addresses() {
        let plain = |text: &str| listen(text).map(|address| address.to_string());
        for text in ["0.0.0.0:443", "[::]:443", "127.0.0.1:65535"] {
            assert_eq!(plain(text).as_deref(), Ok(text));
        }
        assert_eq!(plain("[::ffff:10.0.0.1]:443").as_deref(), Ok("10.0.0.1:443"));
        for text in ["::", "[::]"] {
            let any = ListenHost { address: "::".parse().unwrap(), port: None };
            assert_eq!(listen_host(text), Ok(any));
        }
    }
}
