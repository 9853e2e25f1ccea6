//! Probes: the kind, which keys go with it, and the numbers by which what they see is judged.

use super::host;
use crate::document::Span;
use crate::plan::{GrpcProbe, HttpProbe, Probe, Program, TlsProbe};
use crate::reader::{Got, Reader};
use crate::reference::Key;
use crate::reference::table as keys;
use crate::{pattern, values};
use eclusa_policy::verdict::{Check, Settings};
use std::path::PathBuf;
use std::sync::Arc;

const PROBING: &[&str] = &["tcp", "tls", "http", "https", "grpc", "grpcs"];
const WITH_TLS: &[&str] = &["tls", "https", "grpcs"];
const WITH_HTTP: &[&str] = &["http", "https"];
const WITH_GRPC: &[&str] = &["grpc", "grpcs"];
/// Those that ask for an answer.
pub(super) const ASKING: &[&str] = &["http", "https", "grpc", "grpcs"];

const WITH_TOKEN: &[&str] = &["https", "grpcs"];

/// The keys that do not go with every kind, and the kinds that they go with.
static KINDS: [(&Key, &[&str]); 19] = [
    (&keys::INTERVAL, PROBING),
    (&keys::FAST_INTERVAL, PROBING),
    (&keys::PROBE_TIMEOUT, PROBING),
    (&keys::LATE_AFTER, ASKING),
    (&keys::RISE, PROBING),
    (&keys::FALL, PROBING),
    (&keys::FRESH_EVERY, ASKING),
    (&keys::PROBE_PATH, WITH_HTTP),
    (&keys::LIVE_PATH, WITH_HTTP),
    (&keys::METHOD, WITH_HTTP),
    (&keys::PROBE_HOST, ASKING),
    (&keys::STATUS, WITH_HTTP),
    (&keys::BODY, WITH_HTTP),
    (&keys::SERVICE, WITH_GRPC),
    (&keys::PROBE_SERVER_NAME, WITH_TLS),
    (&keys::CA, WITH_TLS),
    (&keys::CERTIFICATE, WITH_TLS),
    (&keys::PRIVATE_KEY, WITH_TLS),
    (&keys::TOKEN_FILE, WITH_TOKEN),
];

/// What the endpoints of a pool are asked, and the preset by which it is judged, with what the
/// table of the probe says otherwise.
pub(super) struct Probed {
    /// As the document calls it; `None` where what it says is no kind.
    pub(super) kind: Option<&'static str>,
    pub(super) probe: Probe,
    pub(super) judge: Settings,
}

pub(super) fn read(reader: &Reader<'_>) -> Probed {
    let is_edge = reader.report.program == Program::Edge;
    let key = if is_edge { &keys::POOL_PROBE_KIND } else { &keys::PROBE_KIND };
    let got = reader.choice(key);
    let kind = got.as_ref().map_or("tcp", |got| got.value);
    // One that is written and wrong says nothing about the other keys.
    let certain = got.is_some_and(|got| got.written) || !reader.has(key);
    if certain {
        for (key, kinds) in KINDS.iter().filter(|(_, kinds)| !kinds.contains(&kind)) {
            meaningless(reader, key, kind, kinds);
        }
    }
    let tls = tls(reader, kind);
    let token_file = token_file(reader, kind);
    let host = reader.text(&keys::PROBE_HOST, values::request_host);
    let host = host.map(|got| got.value.into());
    let service = reader.text(&keys::SERVICE, health_service);
    let http = http(reader, kind, (&host, &token_file));
    let mut judge = preset(reader.report.program, kind);
    if let Some(http) = &http {
        judge.checks = http.checks.iter().map(|(check, _)| *check).collect();
    }
    timing(reader, kind, &mut judge);
    let probe = match (kind, http) {
        ("none", _) => Probe::None,
        ("tls", _) => Probe::Tls(tls),
        ("grpc" | "grpcs", _) => Probe::Grpc(GrpcProbe {
            tls: (kind == "grpcs").then_some(tls),
            service: service.map(|got| got.value.into()).unwrap_or_default(),
            host,
            token_file,
        }),
        ("https", Some(http)) => Probe::Http(HttpProbe { tls: Some(tls), ..http }),
        ("http", Some(http)) => Probe::Http(http),
        _ => Probe::Tcp,
    };
    Probed { kind: certain.then_some(kind), probe, judge }
}

fn preset(program: Program, kind: &str) -> Settings {
    let asks = ASKING.contains(&kind);
    match program {
        Program::Apiserver if asks => Settings::apiserver(),
        Program::Apiserver => Settings { checks: vec![Check::Connect], ..Settings::apiserver() },
        Program::Edge if asks => Settings::edge(),
        Program::Edge => Settings::edge_tcp(),
    }
}

fn timing(reader: &Reader<'_>, kind: &str, judge: &mut Settings) {
    let number = |key, preset| reader.integer(key).map_or(preset, |got| got.value);
    let interval = reader.duration(&keys::INTERVAL);
    let fast = reader.duration(&keys::FAST_INTERVAL);
    if fast.written && fast.value > interval.value {
        reader.report.error(
            fast.span,
            "`fast_interval` is longer than `interval`",
            "at most the `interval` of this table",
            "shorten `fast_interval`, or lengthen `interval`",
        );
    }
    let timeout = reader.duration(&keys::PROBE_TIMEOUT);
    let late = reader.duration(&keys::LATE_AFTER);
    if ASKING.contains(&kind) && late.value <= timeout.value && (late.written || timeout.written) {
        let span = if late.written { late.span } else { timeout.span };
        reader.report.error(
            span,
            "`late_after` is not longer than `timeout`: every answer that is waited for is late",
            "a `late_after` that is longer than the `timeout` of this table",
            "lengthen `late_after`, or shorten `timeout`",
        );
    }
    judge.interval = interval.value;
    // A short interval leaves no room for the default.
    judge.fast_interval = fast.value.min(interval.value);
    judge.hello_within = timeout.value;
    judge.overdue_after = timeout.value / 3;
    judge.late_after = late.value;
    judge.rise = number(&keys::RISE, judge.rise);
    judge.fall = number(&keys::FALL, judge.fall);
    judge.fresh_every = number(&keys::FRESH_EVERY, judge.fresh_every);
    if !ASKING.contains(&kind) {
        // Without answers connections are all that can fail.
        judge.confirm = judge.fall;
    }
}

fn tls(reader: &Reader<'_>, kind: &str) -> TlsProbe {
    let server_name = reader.text(&keys::PROBE_SERVER_NAME, values::probe_name);
    let ca = reader.path_of(&keys::CA);
    if let Some(ca) = &ca {
        host::ca(reader.report, ca);
    }
    if let Some(ca) = &ca
        && WITH_TLS.contains(&kind)
        && !reader.has(&keys::PROBE_SERVER_NAME)
    {
        reader.report.error(
            reader.key_span(&keys::CA).unwrap_or(ca.span),
            "with `ca` the certificate is verified, and nobody says for which name",
            "`server_name` beside `ca`",
            "add `server_name = \"kubernetes\"` (every kube-apiserver's certificate has it), or \
             another name of the certificate",
        );
    }
    TlsProbe {
        server_name: server_name.map(|got| got.value.into()),
        ca: ca.map(|got| got.value),
        client: client(reader, &keys::CERTIFICATE, &keys::PRIVATE_KEY),
    }
}

/// The certificate that is shown to endpoints, and its key, by their keys.
pub(super) fn client(
    reader: &Reader<'_>,
    certificate_key: &Key,
    key_key: &Key,
) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (reader.path_of(certificate_key), reader.path_of(key_key));
    if let Some(certificate) = &certificate {
        host::certificate(reader.report, certificate);
    }
    if let Some(key) = &key {
        host::private_key(reader.report, key);
    }
    let pair = [(certificate_key, key_key), (key_key, certificate_key)];
    for (one, other) in pair {
        if let Some(span) = reader.key_span(one)
            && !reader.has(other)
        {
            reader.report.error(
                span,
                &format!("`{}` does nothing without `{}`", one.name, other.name),
                "both, or neither",
                &format!(
                    "add `{} = {}`, or remove `{}`",
                    other.name,
                    other.kind.example(),
                    one.name
                ),
            );
        }
    }
    Some((certificate?.value, key?.value))
}

/// The requests of a probe; `None` where it makes none.
fn http(
    reader: &Reader<'_>,
    kind: &str,
    (host, token_file): (&Option<Arc<str>>, &Option<PathBuf>),
) -> Option<HttpProbe> {
    let path = reader.text(&keys::PROBE_PATH, values::request_path);
    let live = reader.text(&keys::LIVE_PATH, values::request_path_or_none);
    let method = reader.choice(&keys::METHOD).map_or("GET", |got| got.value);
    let statuses = reader.texts(&keys::STATUS, values::status);
    let body = reader.text(&keys::BODY, pattern::body);
    if !WITH_HTTP.contains(&kind) {
        return None;
    }
    if method == "HEAD" {
        bodiless(reader);
    }
    let mut checks = Vec::with_capacity(2);
    if let (Some(path), Some(Got { value: Some(live), span, written })) = (&path, &live)
        && path.value == *live
    {
        let span = if *written { *span } else { path.span };
        same_path(reader, span);
    }
    checks.extend(path.map(|path| (Check::Ready, Arc::from(path.value))));
    // One that is written and wrong is a question all the same: nobody shall be told that it lacks.
    let wrong = live.as_ref().is_some_and(|live| !live.written) && reader.has(&keys::LIVE_PATH);
    let live = live.and_then(|live| live.value).or_else(|| wrong.then(|| "/".into()));
    checks.extend(live.map(|live| (Check::Live, Arc::from(live))));
    Some(HttpProbe {
        tls: None,
        http2: false,
        checks,
        method: method.into(),
        host: host.clone(),
        token_file: token_file.clone(),
        statuses: super::listener::plain(statuses.map(|got| got.value).unwrap_or_default()),
        body: body.map(|got| got.value),
    })
}

/// The longest name of a service of gRPC.
const SERVICE_MAX: usize = 256;

/// A name that gRPC's health service knows.
fn health_service(text: &str) -> Result<Box<str>, values::Mistake> {
    if text.is_empty() {
        return values::mistake(
            "the name is empty",
            "leave `service` out to ask about the endpoint as a whole",
        );
    }
    if text.len() > SERVICE_MAX {
        return values::mistake(
            "the name is too long",
            format!("write at most {SERVICE_MAX} bytes, as in \"shop.v1.Orders\""),
        );
    }
    if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return values::mistake(
            format!("{} has blanks in it", crate::diagnostic::quoted(text)),
            "write the service's full name, as in \"shop.v1.Orders\"",
        );
    }
    Ok(text.into())
}

fn bodiless(reader: &Reader<'_>) {
    let Some(span) = reader.key_span(&keys::BODY) else { return };
    reader.report.error(
        span,
        "an answer to `HEAD` has no body: no endpoint would ever be up",
        "`method = \"GET\"` beside it",
        "write `method = \"GET\"`, or remove `body`",
    );
}

fn same_path(reader: &Reader<'_>, span: Span) {
    reader.report.error(
        span,
        "`path` and `live_path` are the same: an endpoint that is only not ready would be sick",
        "two different paths, or one",
        "write `live_path = \"none\"`, or the path of another question",
    );
}

fn token_file(reader: &Reader<'_>, kind: &str) -> Option<PathBuf> {
    let token = reader.path_of(&keys::TOKEN_FILE)?;
    host::token(reader.report, &token);
    if WITH_TOKEN.contains(&kind) && !reader.has(&keys::CA) {
        reader.report.error(
            reader.key_span(&keys::TOKEN_FILE).unwrap_or(token.span),
            "without `ca` the token goes to whoever answers at the endpoint's address",
            "`ca` and `server_name` beside `token_file`",
            "add `ca = \"/etc/kubernetes/pki/ca.crt\"` and `server_name = \"kubernetes\"`, or \
             remove `token_file`",
        );
    }
    Some(token.value)
}

fn meaningless(reader: &Reader<'_>, key: &Key, kind: &str, kinds: &[&str]) {
    let Some(span) = reader.key_span(key) else { return };
    let wanted = one_of(reader, kinds);
    let message = match kind {
        "http" | "grpc" if key.name == keys::TOKEN_FILE.name => {
            format!("a probe of kind \"{kind}\" would show the token to the whole network")
        }
        _ => format!("`{}` says nothing to a probe of kind \"{kind}\"", key.name),
    };
    let remedy = format!("write {wanted}, or remove `{}`", key.name);
    reader.report.error(span, &message, &format!("{wanted} beside it"), &remedy);
}

/// ``kind = "tcp"` or "tls"`.
pub(super) fn one_of(reader: &Reader<'_>, kinds: &[&str]) -> String {
    // A master is asked nothing in gRPC.
    let is_edge = reader.report.program == Program::Edge;
    let fits = |kind: &&str| is_edge || !WITH_GRPC.contains(kind);
    let kinds: Vec<_> = kinds.iter().copied().filter(fits).collect();
    let mut text = String::new();
    for (index, kind) in kinds.iter().enumerate() {
        text.push_str(&match index {
            0 => format!("`kind = \"{kind}\"`"),
            _ if index + 1 == kinds.len() => format!(" or \"{kind}\""),
            _ => format!(", \"{kind}\""),
        });
    }
    text
}
