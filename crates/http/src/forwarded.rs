//! `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `Forwarded` (RFC 7239): what the endpoint is
//! told of the client.

use crate::connection::Session;
use crate::site::Http;
use eclusa_config::plan::Forwarded;
use eclusa_wire::http1::Head;
use std::net::{IpAddr, SocketAddr};

const FIELDS: [&[u8]; 5] = [
    b"X-Forwarded-For",
    b"X-Forwarded-Proto",
    b"X-Forwarded-Host",
    b"X-Forwarded-Port",
    b"Forwarded",
];

/// Writes them into the head. What came from networks that are not trusted is never passed on.
pub(crate) fn tell(head: &mut Head, session: &Session, http: &Http) {
    let mode = http.plan.forwarded;
    if mode == Forwarded::Off {
        return;
    }
    let connection = &session.connection;
    let source = connection.client().ip();
    let hop = connection.peer().map_or(source, |peer| peer.ip());
    let keeps = mode == Forwarded::Append && http.trusted.contains(hop);
    let proto = if session.tls.get().is_some() { "https" } else { "http" };
    let port = connection.local().port();
    if !keeps {
        return head.set_forwarded(source, proto, port);
    }
    let host = String::from_utf8_lossy(head.authority()).into_owned();
    let before: Vec<Option<String>> = FIELDS.iter().map(|name| joined(head, name)).collect();
    head.remove_forwarded();
    let [client, protos, hosts, ports, forwarded] = &before[..] else { return };
    let behind = |before: &Option<String>, new: String| match before {
        Some(before) => format!("{before}, {new}"),
        None => new,
    };
    // The first proxy saw how the client came; what we see is our neighbour.
    let first = |before: &Option<String>, new: String| before.clone().unwrap_or(new);
    let element = format!("for={};host=\"{host}\";proto={proto}", node(connection.client()));
    let values = [
        behind(client, source.to_string()),
        first(protos, proto.to_owned()),
        first(hosts, host),
        first(ports, port.to_string()),
    ];
    for (name, value) in FIELDS.iter().zip(&values) {
        // A value that cannot be a field's is left out rather than the request refused.
        let _ = head.add(name, value.as_bytes());
    }
    if let Some(before) = forwarded {
        let _ = head.add(b"Forwarded", format!("{before}, {element}").as_bytes());
    }
}

/// The values of a field in one.
fn joined(head: &Head, name: &[u8]) -> Option<String> {
    let values: Vec<_> = head.all(name).map(String::from_utf8_lossy).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// RFC 7239, section 6.
fn node(client: SocketAddr) -> String {
    match client.ip() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    }
}
