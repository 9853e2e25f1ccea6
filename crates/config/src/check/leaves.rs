//! What conditions ask directly: of the connection, of the client's certificate, of the request.

use super::list;
use super::listener::plain;
use super::places::Places;
use crate::document::{Data, Value};
use crate::reader::Reader;
use crate::reference::Key;
use crate::reference::table as keys;
use crate::values::{self, Mistake};
use crate::{pattern, web};
use eclusa_policy::condition::{
    CertificatePatterns, Condition, PathPattern, Subject, TextPattern, Values,
};

/// Reads a text.
type Parse = fn(&str) -> Result<Box<str>, Mistake>;

/// What the table of a condition, a route or a rule asks by itself.
pub(super) fn facts(reader: &Reader<'_>, places: &Places) -> Vec<Condition> {
    let mut parts = Vec::new();
    let names = (Subject::ServerName, Condition::ServerName as fn(_) -> _);
    parts.extend(list::names(reader, &keys::SERVER_NAME, values::server_name, names));
    parts.extend(list::sources(reader, &keys::CLIENT));
    if let Some(ports) = reader.integers(&keys::PORT) {
        let ports = plain(ports.value).into_iter().filter_map(|port| u16::try_from(port).ok());
        parts.push(Condition::Port(ports.collect()));
    }
    let hosts = (Subject::Host, Condition::Host as fn(_) -> _);
    parts.extend(list::names(reader, &keys::HOST, web::host_pattern, hosts));
    parts.extend(host_texts(reader));
    parts.extend(paths(reader));
    if let Some(methods) = reader.texts(&keys::METHODS, web::method) {
        parts.push(Condition::Method(plain(methods.value)));
    }
    let named: [(&Key, Parse, fn(_, _) -> _); 3] = [
        (&keys::HEADER, web::asked_header, Condition::Header),
        (&keys::QUERY, web::text, Condition::Query),
        (&keys::COOKIE, web::token, Condition::Cookie),
    ];
    for (key, parse, condition) in named {
        let fields = matching(reader, key, parse).unwrap_or_default();
        parts.extend(fields.into_iter().map(|(name, values)| condition(name, values)));
    }
    if let Some(table) = reader.switched(&keys::CLIENT_CERTIFICATE, &keys::CERTIFICATE_SECTION) {
        parts.push(Condition::ClientCertificate(certificate(&table)));
    } else if reader.has(&keys::CLIENT_CERTIFICATE)
        && let Some(Value { data: Data::Boolean(false), span }) =
            reader.raw(&keys::CLIENT_CERTIFICATE)
    {
        negated(reader, *span, "client_certificate");
    }
    parts.extend(places.asked(reader));
    parts
}

fn host_texts(reader: &Reader<'_>) -> Vec<Condition> {
    let prefixes = reader.texts(&keys::HOST_PREFIX, web::host_prefix).map(|got| plain(got.value));
    let patterns = reader.texts(&keys::HOST_REGEX, pattern::expression).map(|got| plain(got.value));
    let prefixes = prefixes.map(|all| all.into_iter().map(TextPattern::Prefix).collect());
    let patterns = patterns.map(|all| all.into_iter().map(TextPattern::Regex).collect());
    prefixes.into_iter().chain(patterns).map(Condition::HostText).collect()
}

/// `false` is no way to ask that something is not there.
fn negated(reader: &Reader<'_>, span: crate::document::Span, name: &str) {
    reader.report.error(
        span,
        &format!("`{name} = false` asks for nothing"),
        "`true`, a text, a list of texts or a table",
        &format!("write `not = {{ ... }}` around `{name} = true`"),
    );
}

fn paths(reader: &Reader<'_>) -> Vec<Condition> {
    type Make = fn(Box<str>) -> PathPattern;
    let texts: [(&Key, Parse, Make); 3] = [
        (&keys::PATH, web::compared_path, PathPattern::Exact),
        (&keys::PATH_PREFIX, web::compared_path, |path| PathPattern::prefix(&path)),
        (&keys::PATH_SUFFIX, web::text, PathPattern::Suffix),
    ];
    let mut parts = Vec::new();
    for (key, parse, make) in texts {
        if let Some(found) = reader.texts(key, parse) {
            parts.push(Condition::Path(plain(found.value).into_iter().map(make).collect()));
        }
    }
    if let Some(found) = reader.texts(&keys::PATH_REGEX, pattern::expression) {
        let patterns = plain(found.value).into_iter().map(PathPattern::Regex);
        parts.push(Condition::Path(patterns.collect()));
    }
    parts
}

/// Names below `key`, each with what is asked of its value.
fn matching(reader: &Reader<'_>, key: &Key, parse: Parse) -> Option<Vec<(Box<str>, Values)>> {
    reader.entries(key, |name, value| {
        let field = match parse(&name.name) {
            Ok(field) => field,
            Err(mistake) => {
                let expected = "the name of what is asked for";
                reader.report.error(name.span, &mistake.message, expected, &mistake.remedy);
                return None;
            }
        };
        Some((field, values_of(reader, key, &name.name, value)?))
    })
}

fn values_of(reader: &Reader<'_>, key: &Key, name: &str, value: &Value) -> Option<Values> {
    match &value.data {
        Data::Boolean(true) => Some(Values::Present),
        Data::Boolean(false) => {
            negated(reader, value.span, name);
            None
        }
        Data::Table(table) => {
            let table = reader.open(key, &keys::VALUES, table);
            let patterns = patterns(&table);
            let silent = keys::VALUES.keys.iter().all(|key| !table.has(key));
            if silent {
                table.report.error(
                    table.span,
                    "this asks nothing of the value",
                    "at least one of exact, prefix, suffix, regex",
                    "add one, or write `true` for whatever value",
                );
            }
            (!patterns.is_empty()).then_some(Values::OneOf(patterns))
        }
        Data::String(_) | Data::Array(_) => {
            let items = match &value.data {
                Data::Array(items) => items.as_slice(),
                _ => std::slice::from_ref(value),
            };
            let kind = &crate::reference::Kind::Text;
            let texts = items.iter().filter_map(|item| reader.text_of(key, kind, item, web::line));
            let patterns: Vec<_> = texts.map(TextPattern::Exact).collect();
            if items.is_empty() {
                let remedy = "add one, or write `true` for whatever value";
                reader.report.error(value.span, "the list is empty", "at least one text", remedy);
            }
            (!patterns.is_empty()).then_some(Values::OneOf(patterns))
        }
        _ => {
            reader.report.error(
                value.span,
                &format!("what is asked of a value is {}", value.kind()),
                "a text, a list of texts, `true` or a table",
                "write it in quotes, or `true` for whatever value",
            );
            None
        }
    }
}

fn patterns(table: &Reader<'_>) -> Vec<TextPattern> {
    type Make = fn(Box<str>) -> TextPattern;
    let texts: [(&Key, Make); 3] = [
        (&keys::EXACT, TextPattern::Exact),
        (&keys::PREFIX, TextPattern::Prefix),
        (&keys::SUFFIX, TextPattern::Suffix),
    ];
    let mut patterns = Vec::new();
    for (key, make) in texts {
        let parse = if key.name == keys::EXACT.name { web::line } else { web::text };
        let found = table.texts(key, parse).map(|got| plain(got.value)).unwrap_or_default();
        patterns.extend(found.into_iter().map(make));
    }
    let found = table.texts(&keys::REGEX, pattern::expression);
    let found = found.map(|got| plain(got.value)).unwrap_or_default();
    patterns.extend(found.into_iter().map(TextPattern::Regex));
    patterns
}

fn certificate(table: &Reader<'_>) -> CertificatePatterns {
    let names = table.texts(&keys::COMMON_NAME, web::text).map(|got| plain(got.value));
    let dns_name = table.texts(&keys::DNS_NAME, values::server_name).map(|got| plain(got.value));
    let hashes = table.texts(&keys::SHA256, web::fingerprint).map(|got| plain(got.value));
    let names = names.unwrap_or_default().into_iter().map(TextPattern::Exact);
    CertificatePatterns {
        common_name: names.collect(),
        dns_name: dns_name.unwrap_or_default(),
        fingerprint: hashes.unwrap_or_default(),
    }
}
