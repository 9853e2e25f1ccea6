//! `http`, of listeners and of pools; limits and error pages.

use super::condition::Conditions;
use super::listener::{networks, plain};
use super::{host, rule};
use crate::document::{Data, Span};
use crate::plan::{
    ByteSize, Compress, ErrorPage, Forwarded, Http, Http2, Limit, Multiplex, PoolHttp, Reuse,
    Terminate,
};
use crate::reader::{Got, Reader};
use crate::reference::Key;
use crate::reference::table as keys;
use crate::{values, web};
use eclusa_policy::limits::Rate;
use eclusa_policy::name::NamePattern;
use ipnet::IpNet;
use std::sync::Arc;

/// HTTP at a listener, and where its rules stand.
pub(super) struct Spoken {
    pub(super) http: Http,
    pub(super) rules: Vec<Span>,
}

/// Whether the listener speaks HTTP.
pub(super) fn is_spoken(listener: &Reader<'_>) -> bool {
    let written = listener.raw(&keys::HTTP).map(|value| &value.data);
    matches!(written, Some(Data::Boolean(true) | Data::Table(_)))
}

/// `None`: the listener speaks no HTTP.
pub(super) fn read(
    listener: &Reader<'_>,
    tls: Option<&Terminate>,
    conditions: &Conditions<'_>,
) -> Option<Spoken> {
    // Mistakes in rules and limits are told in any case.
    let rules = rule::read(listener, conditions, tls.is_some());
    let limit = limit(listener);
    let http2 = http2(listener);
    let reader = listener.switched(&keys::HTTP, &keys::HTTP_SECTION)?;
    let (spans, rules) = rules.into_iter().unzip();
    let (forwarded, trusted) = forwarded(&reader);
    let size = |key: &Key| reader.size(key);
    let upgrades = reader.texts(&keys::UPGRADES, web::token).map(|got| plain(got.value));
    let upgrades = upgrades.unwrap_or_default();
    let http = Http {
        allow: reader.choices(&keys::HTTP_ALLOW),
        head_timeout: reader.duration(&keys::HEAD_TIMEOUT).value,
        body_timeout: reader.duration(&keys::BODY_TIMEOUT).value,
        body_rate_min: size(&keys::BODY_RATE_MIN).unwrap_or(ByteSize(256)),
        keep_alive_timeout: reader.duration(&keys::KEEP_ALIVE_TIMEOUT).value,
        head_max: size(&keys::HEAD_MAX).unwrap_or(ByteSize(32 << 10)),
        headers_max: reader.integer(&keys::HEADERS_MAX).map_or(100, |got| got.value as usize),
        body_max: size(&keys::BODY_MAX),
        forwarded,
        trusted,
        upgrades: upgrades.iter().map(|name| name.to_ascii_lowercase().into()).collect(),
        connect: reader.boolean(&keys::CONNECT).is_some_and(|got| got.value),
        passthrough: passthrough(&reader, tls),
        rules,
        limit,
        http2,
        compress: compress(&reader),
        log_headers: log_headers(&reader),
    };
    Some(Spoken { http, rules: spans })
}

/// Which answers are compressed; `None`: none.
fn compress(http: &Reader<'_>) -> Option<Compress> {
    let reader = http.switched(&keys::COMPRESS, &keys::COMPRESS_SECTION)?;
    let types = reader.texts(&keys::COMPRESS_TYPES, web::media_prefix);
    let types = types.map(|got| plain(got.value)).unwrap_or_default();
    let at_once = reader.integer(&keys::COMPRESS_AT_ONCE).map_or(128, |got| got.value as usize);
    Some(Compress { types: types.into_iter().map(Arc::from).collect(), at_once })
}

fn log_headers(http: &Reader<'_>) -> Vec<Arc<str>> {
    let names = http.texts(&keys::LOG_HEADERS, web::logged_header);
    let names = names.map(|got| plain(got.value)).unwrap_or_default();
    names.into_iter().map(Arc::from).collect()
}

/// Whether HTTP/2 is spoken where HTTP is.
pub(super) fn speaks_http2(listener: &Reader<'_>) -> bool {
    !matches!(listener.raw(&keys::HTTP2).map(|value| &value.data), Some(Data::Boolean(false)))
}

/// HTTP/2 with clients; `None`: it is switched off.
fn http2(listener: &Reader<'_>) -> Option<Http2> {
    let reader = if listener.has(&keys::HTTP2) {
        listener.switched(&keys::HTTP2, &keys::HTTP2_SECTION)?
    } else {
        listener.table(&keys::HTTP2, &keys::HTTP2_SECTION)
    };
    let size = |key: &Key, usual| reader.size(key).unwrap_or(ByteSize(usual));
    Some(Http2 {
        streams_max: reader.integer(&keys::STREAMS_MAX).map_or(100, |got| got.value),
        stream_window: size(&keys::STREAM_WINDOW, 64 << 10),
        connection_window: size(&keys::CONNECTION_WINDOW, 256 << 10),
    })
}

fn forwarded(reader: &Reader<'_>) -> (Forwarded, Vec<IpNet>) {
    let how = reader.choice(&keys::FORWARDED_FOR);
    let trusted = networks(reader, &keys::TRUSTED);
    let word = how.as_ref().map_or("set", |got| got.value);
    let networks = trusted.as_deref().unwrap_or_default();
    for network in networks.iter().filter(|network| network.value.prefix_len() == 0) {
        reader.report.warning(
            network.span,
            "whoever connects can claim any address as its own",
            "the networks of the proxies in front",
            "name those networks, as narrow as possible",
        );
    }
    match (word, how, &trusted) {
        ("append", Some(how), None) if !reader.has(&keys::TRUSTED) => reader.report.error(
            how.span,
            "nobody's `X-Forwarded-For` is trusted, so that none is ever appended to",
            "`trusted` beside it",
            "add `trusted = [\"192.168.1.10\"]` with the proxies in front, or write \"set\"",
        ),
        ("set" | "off", _, Some(_)) => reader.report.error(
            reader.key_span(&keys::TRUSTED).unwrap_or(reader.span),
            &format!("`trusted` says nothing with `forwarded_for = \"{word}\"`"),
            "`forwarded_for = \"append\"` beside it",
            "write that, or remove `trusted`",
        ),
        _ => {}
    }
    let forwarded = match word {
        "append" => Forwarded::Append,
        "off" => Forwarded::Off,
        _ => Forwarded::Set,
    };
    (forwarded, plain(trusted.unwrap_or_default()))
}

fn passthrough(reader: &Reader<'_>, tls: Option<&Terminate>) -> Vec<NamePattern> {
    let Some(names) = reader.texts(&keys::PASSTHROUGH, values::server_name) else {
        return Vec::new();
    };
    if tls.is_none() {
        reader.report.error(
            reader.key_span(&keys::PASSTHROUGH).unwrap_or(names.span),
            "`passthrough` says nothing: this listener opens no TLS",
            "`tls` in the listener",
            "add `tls`, or remove `passthrough`",
        );
    }
    plain(names.value)
}

fn limit(listener: &Reader<'_>) -> Limit {
    let reader = listener.table(&keys::LIMIT, &keys::LIMIT_SECTION);
    let per_second = reader.integer(&keys::REQUESTS_PER_SECOND);
    let burst = reader.integer(&keys::BURST);
    if let Some(burst) = &burst
        && !reader.has(&keys::REQUESTS_PER_SECOND)
    {
        reader.report.error(
            burst.span,
            "`burst` says nothing without `requests_per_second`",
            "both, or neither",
            "add `requests_per_second = 100`, or remove `burst`",
        );
    }
    let rate = per_second.map(|got| {
        let usual = got.value.saturating_mul(10);
        Rate { per_second: got.value, burst: burst.map_or(usual, |burst| burst.value) }
    });
    Limit {
        enforce: reader.boolean(&keys::ENFORCE).is_some_and(|got| got.value),
        connections: reader.integer(&keys::CONNECTIONS).map(|got| got.value),
        rate,
        floods: reader.integer(&keys::FLOODS).map(|got| got.value),
        clients: reader.integer(&keys::CLIENTS).map_or(65_536, |got| got.value as usize),
        except: plain(networks(&reader, &keys::EXCEPT).unwrap_or_default()),
    }
}

/// How the endpoints of a pool are asked.
pub(super) fn pool(pool: &Reader<'_>) -> PoolHttp {
    let reader = pool.table(&keys::POOL_HTTP, &keys::POOL_HTTP_SECTION);
    let default = PoolHttp::default();
    let retries = reader.integer(&keys::RETRIES).map_or(default.retries, |got| got.value);
    let retry_methods = reader.choices(&keys::RETRY_METHODS);
    let of_retries =
        [&keys::RETRY_METHODS, &keys::RETRY_BUDGET, &keys::RETRY_UNAVAILABLE, &keys::HEDGE];
    for key in of_retries.into_iter().filter(|_| retries == 0) {
        let Some(span) = reader.key_span(key) else { continue };
        reader.report.error(
            span,
            &format!("`{}` says nothing: with `retries = 0` nothing is sent again", key.name),
            "`retries` of at least 1",
            &format!("raise `retries`, or remove `{}`", key.name),
        );
    }
    let http2 = multiplex(pool, &reader);
    let hash = reader.text(&keys::HASH, web::hash_by);
    if hash.is_some() {
        check_hash(pool);
    }
    let reuse = match reader.choice(&keys::REUSE) {
        Some(Got { value: "always", .. }) => Reuse::Always,
        Some(Got { value: "never", .. }) => Reuse::Never,
        _ => Reuse::Safe,
    };
    let idle = reader.integer(&keys::IDLE_CONNECTIONS);
    if let Some(idle) = idle.as_ref().filter(|idle| idle.written && reuse == Reuse::Never) {
        reader.report.error(
            idle.span,
            "`idle_connections` says nothing: with `reuse = \"never\"` none is kept",
            "`reuse` of \"safe\" or \"always\"",
            "remove one of the two",
        );
    }
    let sticky = reader.text(&keys::STICKY, web::token);
    let sticky_key = reader.path_of(&keys::STICKY_KEY);
    if let Some(span) = reader.key_span(&keys::STICKY_KEY).filter(|_| sticky.is_none()) {
        reader.report.error(
            span,
            "`sticky_key` says nothing without `sticky`",
            "both, or neither",
            "add `sticky = \"place\"`, or remove `sticky_key`",
        );
    }
    let flag = |key| reader.boolean(key).is_none_or(|got| got.value);
    PoolHttp {
        allow: reader.choices(&keys::POOL_ALLOW),
        reuse,
        retries,
        retry_methods,
        retry_budget: reader.integer(&keys::RETRY_BUDGET).map_or(20, |got| got.value),
        retry_unavailable: retries > 0 && flag(&keys::RETRY_UNAVAILABLE),
        // On a connection that many share the first byte of an answer tells nothing of the endpoint.
        hedge: retries > 0 && http2.is_none() && flag(&keys::HEDGE),
        http2,
        response_timeout: reader.duration(&keys::RESPONSE_TIMEOUT).value,
        idle_connections: idle.map_or(default.idle_connections, |got| got.value as usize),
        hash: hash.map(|got| got.value),
        sticky: sticky.map(|got| Arc::from(got.value)),
        sticky_key: sticky_key.map(|got| got.value),
    }
}

/// HTTP/2 with the endpoints; `None`: HTTP/1.1.
fn multiplex(pool: &Reader<'_>, reader: &Reader<'_>) -> Option<Multiplex> {
    let of_two: &[&Key] = &[&keys::STREAMS, &keys::MULTIPLEXED, &keys::PING_AFTER];
    let of_one: &[&Key] = &[&keys::REUSE, &keys::IDLE_CONNECTIONS, &keys::HEDGE];
    let is_two = reader.choice(&keys::HTTP_VERSION).is_some_and(|got| got.value == "2");
    let (version, other, idle) = if is_two { ("2", "1.1", of_one) } else { ("1.1", "2", of_two) };
    for key in idle {
        let Some(span) = reader.key_span(key) else { continue };
        reader.report.error(
            span,
            &format!("`{}` says nothing with `version = \"{version}\"`", key.name),
            &format!("`version = \"{other}\"` beside it"),
            &format!("write that, or remove `{}`", key.name),
        );
    }
    if let Some(span) = pool.key_span(&keys::SEND_PROXY).filter(|_| is_two) {
        pool.report.error(
            span,
            "`send_proxy` names one client, and connections of `version = \"2\"` carry many",
            "one of the two",
            "remove `send_proxy` (`X-Forwarded-For` tells of the client), or `version`",
        );
    }
    let number = |key, usual| reader.integer(key).map_or(usual, |got| got.value as usize);
    let (streams, connections) = (number(&keys::STREAMS, 100), number(&keys::MULTIPLEXED, 4));
    let ping_after = reader.duration_or_never(&keys::PING_AFTER).and_then(|got| got.value);
    is_two.then_some(Multiplex { streams, connections, ping_after })
}

fn check_hash(pool: &Reader<'_>) {
    if let Some(span) = pool.key_span(&keys::BALANCE) {
        pool.report.error(
            span,
            "`balance` says nothing: `hash` in `http` decides on the endpoint",
            "one of the two",
            "remove `balance`, or `hash`",
        );
    } else if let Some(span) = pool.key_span(&keys::REBALANCE) {
        pool.report.error(
            span,
            "`rebalance` moves nobody: with `hash` clients come back to the same endpoint",
            "one of the two",
            "remove `rebalance`, or `hash`",
        );
    }
}

/// The pages of `[errors]`.
pub(super) fn errors(top: &Reader<'_>) -> Vec<ErrorPage> {
    let mut pages = Vec::new();
    for (name, reader) in top.named(&keys::ERRORS, &keys::ERROR_PAGE) {
        let html = reader.path_of(&keys::PAGE_HTML);
        let json = reader.path_of(&keys::PAGE_JSON);
        for path in [&html, &json].into_iter().flatten() {
            host::content(top.report, path);
        }
        if !reader.has(&keys::PAGE_HTML) && !reader.has(&keys::PAGE_JSON) {
            top.report.absent(
                reader.span,
                &format!("there is no page {}", reader.place()),
                "`html`, `json` or both",
                "add `html = \"/etc/eclusa/503.html\"`",
            );
        }
        let status = name.value.parse::<u16>().ok().filter(|status| (400..600).contains(status));
        let Some(status) = status.filter(|_| name.value.len() == 3) else {
            top.report.error(
                name.span,
                &format!("`{}` is none of the statuses that have pages", name.value),
                "a status from 400 to 599",
                "write for example `[errors.503]`",
            );
            continue;
        };
        let (html, json) = (html.map(|got| got.value), json.map(|got| got.value));
        pages.push(ErrorPage { status, html, json });
    }
    pages
}
