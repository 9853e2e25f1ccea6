//! What goes with what: conditions, rules and pools with what a listener opens.

use super::route::Routed;
use crate::document::Span;
use crate::plan::{ClientCertificates, Http, Pool, Terminate};
use crate::reader::Reader;
use crate::reference::table as keys;
use eclusa_policy::condition::Condition;
use std::sync::Arc;

/// Where a pool has what not every listener can use.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PoolSpans {
    pub(super) tls: Option<Span>,
    pub(super) http: Option<Span>,
    pub(super) replay: Option<Span>,
}

impl PoolSpans {
    pub(super) fn of(reader: &Reader<'_>) -> Self {
        Self {
            tls: reader.key_span(&keys::POOL_TLS),
            http: reader.key_span(&keys::POOL_HTTP),
            replay: reader.key_span(&keys::REPLAY),
        }
    }
}

/// What a listener opens.
#[derive(Clone, Copy)]
pub(super) struct Opened<'a> {
    pub(super) tls: Option<&'a Terminate>,
    pub(super) http: Option<&'a Http>,
    /// `tls` is written, right or wrong.
    pub(super) has_tls: bool,
}

/// Tells of what asks for more than the listener opens. `rules` are the conditions of its rules with
/// their places.
pub(super) fn check<'c>(
    listener: &Reader<'_>,
    opened: Opened<'_>,
    routes: &'c [Routed],
    rules: impl Iterator<Item = (Span, &'c Condition)>,
) {
    let routes = routes.iter().map(|routed| (routed.span, &routed.when, "route"));
    for (span, when, what) in routes.chain(rules.map(|(span, when)| (span, when, "rule"))) {
        condition(listener, opened, (span, when, what));
    }
    if opened.http.is_none() {
        needs_http(listener);
    }
    if let Some(span) = listener.key_span(&keys::PEEK)
        && (opened.has_tls || opened.http.is_some())
    {
        listener.report.error(
            span,
            "`peek` says nothing: this listener looks into its connections anyhow",
            "`peek` in listeners that carry connections as they are",
            "remove `peek`",
        );
    }
}

fn condition(
    listener: &Reader<'_>,
    opened: Opened<'_>,
    (span, when, what): (Span, &Condition, &str),
) {
    let report = listener.report;
    if opened.http.is_none() && when.needs_request() {
        report.error(
            span,
            &format!(
                "a {what} asks for a request, and this listener does not look into connections"
            ),
            "`http = true` in the listener, or conditions of server_name, source and port",
            "add `http = true`; for TLS that is not opened ask for `server_name` instead of `host`",
        );
    }
    if opened.http.is_some() && !opened.has_tls && when.needs_hello() {
        report.error(
            span,
            &format!("a {what} asks for `server_name`, which nobody sends in the clear"),
            "`host` instead of `server_name`, or `tls` in the listener",
            "ask for `host`",
        );
    }
    let shown = match opened.tls {
        Some(tls) => tls.client != ClientCertificates::Off,
        // What is written and wrong has been told.
        None => opened.has_tls,
    };
    if !shown && when.needs_client_certificate() {
        report.error(
            span,
            &format!("a {what} asks for a client's certificate, and clients show none here"),
            "`client_ca` in `tls` of the listener",
            "add `client_ca = \"/etc/eclusa/clients-ca.crt\"`, or remove the condition",
        );
    }
}

fn needs_http(listener: &Reader<'_>) {
    for key in [&keys::RULES, &keys::LIMIT, &keys::HTTP2] {
        let Some(span) = listener.key_span(key) else { continue };
        listener.report.error(
            span,
            &format!(
                "`{}` says nothing: it concerns requests, and this listener does not look into connections",
                key.name
            ),
            "`http = true` in the listener",
            &format!("add `http = true`, or remove `{}`", key.name),
        );
    }
}

/// Tells of pools that have what this listener cannot use. Each place once.
pub(super) fn check_pools(
    listener: (&Reader<'_>, &str),
    opened: Opened<'_>,
    routes: &[Routed],
    (pools, spans): (&[Arc<Pool>], &[PoolSpans]),
) {
    let (reader, name) = listener;
    let mut seen = Vec::new();
    for routed in routes {
        for index in routed.target.pools() {
            let (Some(pool), Some(at)) = (pools.get(index), spans.get(index)) else { continue };
            if seen.contains(&index) {
                continue;
            }
            seen.push(index);
            if let Some(span) = at.http.filter(|_| opened.http.is_none()) {
                reader.report.error(
                    span,
                    &format!(
                        "the listener `{name}` uses the pool `{}` and speaks no HTTP",
                        pool.name
                    ),
                    "`http` in pools of listeners that speak HTTP",
                    "add `http = true` to the listener, or give it a pool of its own",
                );
            }
            let opens = opened.http.is_some() || opened.has_tls;
            if let Some(span) = at.tls.filter(|_| !opens) {
                reader.report.error(
                    span,
                    &format!(
                        "the listener `{name}` passes to the pool `{}` what clients say, as it is",
                        pool.name
                    ),
                    "`tls` in pools of listeners that open TLS or speak HTTP",
                    "remove it: what clients say is TLS already, or add `tls` to the listener",
                );
            }
            if let Some(span) = at.replay.filter(|_| opens && pool.replay.is_some()) {
                reader.report.error(
                    span,
                    &format!(
                        "`replay` sends a client's TLS again, which the listener `{name}` opens"
                    ),
                    "`replay` in pools of listeners that carry TLS as it is",
                    "remove `replay`: requests have `retries` in `http`",
                );
            }
        }
    }
}
