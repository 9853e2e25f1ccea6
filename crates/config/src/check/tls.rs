//! `tls`, of listeners and of pools.

use super::listener::plain;
use super::{host, http, probe};
use crate::plan::{ClientCertificates, Originate, Terminate, TlsVersion};
use crate::reader::{Got, Reader};
use crate::reference::table as keys;
use crate::{values, web};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The TLS that a listener opens; `None`: it opens none.
pub(super) fn terminate(listener: &Reader<'_>, is_http: bool) -> Option<Terminate> {
    let reader = listener.written_table(&keys::TLS, &keys::TERMINATE_SECTION)?;
    let min_version = match reader.choice(&keys::MIN_VERSION) {
        Some(got) if got.value == "1.3" => TlsVersion::V13,
        _ => TlsVersion::V12,
    };
    let tickets = reader.path_of(&keys::TICKETS);
    let default = reader.text(&keys::DEFAULT_NAME, values::host_name);
    let waiting = reader.integer(&keys::HANDSHAKES_MAX);
    Some(Terminate {
        certificates: certificates(&reader),
        min_version,
        alpn: alpn(&reader, is_http.then(|| http::speaks_http2(listener))),
        client: client(&reader),
        tickets: tickets.map(|got| got.value),
        strict: reader.boolean(&keys::STRICT).is_some_and(|got| got.value),
        default: default.map(|got| got.value.into()),
        handshake_timeout: reader.duration(&keys::HANDSHAKE_TIMEOUT).value,
        handshakes_max: waiting.map_or(1_024, |got| got.value as usize),
    })
}

fn certificates(reader: &Reader<'_>) -> Vec<PathBuf> {
    let paths = reader.texts(&keys::CERTIFICATES, values::path).map(|got| got.value);
    let paths = paths.unwrap_or_default();
    let mut seen = HashMap::new();
    for path in &paths {
        if seen.insert(&path.value, path.span).is_some() {
            let message = format!("`{}` is there twice", path.value.display());
            reader.report.warning(path.span, &message, "each path once", "remove one of the two");
        }
    }
    plain(paths)
}

/// The protocols that are offered. `http2`: whether HTTP/2 is spoken, where HTTP is.
fn alpn(reader: &Reader<'_>, http2: Option<bool>) -> Vec<Arc<str>> {
    let spoken: &[&str] = match http2 {
        Some(true) => &["h2", "http/1.1"],
        Some(false) => &["http/1.1"],
        None => &[],
    };
    let Some(alpn) = reader.texts(&keys::TLS_ALPN, protocol) else {
        return spoken.iter().map(|name| Arc::from(*name)).collect();
    };
    for protocol in alpn.value.iter().filter(|_| http2.is_some()) {
        let name = &*protocol.value;
        if spoken.contains(&name) {
            continue;
        }
        let (message, remedy) = if name == "h2" {
            let off = "`h2` is offered, and this listener has `http2 = false`".to_owned();
            (off, "remove `http2 = false`, or write `alpn = [\"http/1.1\"]`")
        } else {
            let unknown = format!("a listener with `http` does not speak `{name}`");
            (unknown, "leave `alpn` out, or write protocols of HTTP")
        };
        let expected = if spoken.len() > 1 { "\"h2\" or \"http/1.1\"" } else { "\"http/1.1\"" };
        reader.report.error(protocol.span, &message, expected, remedy);
    }
    plain(alpn.value)
}

/// A protocol as ALPN names it (RFC 7301, section 3.1).
fn protocol(text: &str) -> Result<Arc<str>, values::Mistake> {
    if text.len() > 255 {
        return values::mistake("the name of the protocol is too long", "write at most 255 bytes");
    }
    web::text(text).map(Arc::from)
}

fn client(reader: &Reader<'_>) -> ClientCertificates {
    let ca = reader.path_of(&keys::CLIENT_CA);
    if let Some(ca) = &ca {
        host::ca(reader.report, ca);
    }
    let wanted = reader.choice(&keys::CLIENT_CERTIFICATES);
    match (ca, wanted) {
        (None, Some(Got { value: "optional" | "required", span, .. })) => {
            reader.report.error(
                span,
                "nobody says whose certificates clients may show",
                "`client_ca` beside it",
                "add `client_ca = \"/etc/eclusa/clients-ca.crt\"`, or write \"off\"",
            );
            ClientCertificates::Off
        }
        (None, _) => ClientCertificates::Off,
        (Some(ca), Some(Got { value: "off", .. })) => {
            reader.report.error(
                ca.span,
                "`client_ca` says nothing: with `client_certificate = \"off\"` clients show none",
                "`client_certificate` of \"optional\" or \"required\"",
                "write \"required\", or remove `client_ca`",
            );
            ClientCertificates::Off
        }
        (Some(ca), Some(Got { value: "optional", .. })) => ClientCertificates::Optional(ca.value),
        (Some(ca), _) => ClientCertificates::Required(ca.value),
    }
}

/// The TLS that is spoken to the endpoints of a pool; `None`: none is.
pub(super) fn originate(pool: &Reader<'_>) -> Option<Originate> {
    let reader = pool.written_table(&keys::POOL_TLS, &keys::ORIGINATE_SECTION)?;
    let ca = reader.path_of(&keys::ENDPOINT_CA);
    if let Some(ca) = &ca {
        host::ca(reader.report, ca);
    }
    let verify = reader.boolean(&keys::VERIFY).is_none_or(|got| got.value);
    if verify && !reader.has(&keys::ENDPOINT_CA) {
        let span = reader.key_span(&keys::VERIFY).unwrap_or(reader.span);
        reader.report.absent(
            span,
            &format!("nobody says who signs the endpoints' certificates {}", reader.place()),
            "`ca`, or `verify = false`",
            "add `ca = \"/etc/eclusa/ingress-ca.crt\"`; without verification whoever sits between \
             can read and change everything",
        );
    }
    if let Some(ca) = ca.as_ref().filter(|_| !verify) {
        reader.report.error(
            ca.span,
            "`ca` says nothing: with `verify = false` any certificate will do",
            "one of the two",
            "remove `verify = false`",
        );
    }
    let server_name = reader.text(&keys::ENDPOINT_SERVER_NAME, values::probe_name);
    Some(Originate {
        ca: ca.map(|got| got.value),
        server_name: server_name.map(|got| got.value.into()),
        client: probe::client(&reader, &keys::ENDPOINT_CERTIFICATE, &keys::ENDPOINT_KEY),
    })
}
