//! Pools: balance, PROXY header, source addresses, dialling; the same for both programs.

use super::endpoint::Written;
use super::{host, http, judge, probe, tls};
use crate::document::Data;
use crate::plan::{
    Dial, Endpoint, Originate, Pool, PoolHttp, Probe, Program, ProxyTlvs, Queue, Rebalance,
    SendProxy,
};
use crate::reader::Reader;
use crate::reference::Key;
use crate::reference::table as keys;
use crate::values::{self, Mistake};
use eclusa_policy::balance::Algorithm;
use eclusa_policy::rebalance;
use eclusa_policy::replay;
use eclusa_policy::verdict::Settings;
use ipnet::IpNet;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

/// What a pool has besides its name and endpoints.
pub(super) struct Policy {
    pub(super) balance: Algorithm,
    pub(super) send_proxy: Option<SendProxy>,
    pub(super) source: Vec<IpAddr>,
    tls: Option<Originate>,
    http: PoolHttp,
    pub(super) dial: Dial,
    pub(super) probe: Probe,
    pub(super) judge: Settings,
    pub(super) replay: Option<replay::Settings>,
    /// The limit of endpoints that have none of their own.
    endpoint_sessions_max: Option<u32>,
    queue: Queue,
    rebalance: Option<Rebalance>,
    pub(super) early_ends_weigh: bool,
    pub(super) resolve_interval: Duration,
}

impl Policy {
    pub(super) fn pool(
        &self,
        name: &str,
        mut endpoints: Vec<Endpoint>,
        within: Option<Arc<[IpNet]>>,
    ) -> Arc<Pool> {
        for endpoint in &mut endpoints {
            endpoint.sessions_max = endpoint.sessions_max.or(self.endpoint_sessions_max);
        }
        Arc::new(Pool {
            name: name.into(),
            endpoints,
            balance: self.balance,
            send_proxy: self.send_proxy,
            source: self.source.clone(),
            within,
            tls: self.tls.clone(),
            http: self.http.clone(),
            dial: self.dial,
            probe: self.probe.clone(),
            judge: self.judge.clone(),
            replay: self.replay,
            queue: self.queue,
            rebalance: self.rebalance,
            early_ends_weigh: self.early_ends_weigh,
            resolve_interval: self.resolve_interval,
        })
    }
}

pub(super) fn policy(reader: &Reader<'_>) -> Policy {
    let balance = reader.choice(&keys::BALANCE).and_then(|got| Algorithm::from_name(got.value));
    let source = reader.texts(&keys::SOURCE, values::source_address);
    let source = source.map(|got| got.value).unwrap_or_default();
    for address in &source {
        host::source(reader.report, address);
    }
    let edge = reader.report.program == Program::Edge;
    let (key, section) = match reader.report.program {
        Program::Apiserver => (&keys::PROBE, &keys::PROBE_SECTION),
        Program::Edge => (&keys::POOL_PROBE, &keys::POOL_PROBE_SECTION),
    };
    let mut probed = probe::read(&reader.table(key, section));
    let judge = judge::read(reader, &probed);
    let replay = reader.boolean(&keys::REPLAY).is_some_and(|got| got.value);
    let http = if edge { http::pool(reader) } else { PoolHttp::default() };
    let tls = edge.then(|| tls::originate(reader)).flatten();
    if let Probe::Http(probe) = &mut probed.probe {
        probe.http2 = http.http2.is_some() && tls.is_none() && probe.tls.is_none();
    }
    let balance = balance.unwrap_or(Algorithm::RoundRobin);
    let rebalance = rebalance(reader, balance);
    let balance = if http.hash.is_some() { Algorithm::SourceHash } else { balance };
    Policy {
        balance,
        send_proxy: send_proxy(reader),
        source: super::listener::plain(source),
        tls,
        http,
        dial: dial(&reader.table(&keys::DIAL, &keys::DIAL_SECTION)),
        probe: probed.probe,
        judge,
        replay: replay.then(replay::Settings::default),
        endpoint_sessions_max: reader.integer(&keys::ENDPOINT_SESSIONS_MAX).map(|got| got.value),
        queue: queue(reader),
        rebalance,
        early_ends_weigh: reader.report.program == Program::Apiserver,
        resolve_interval: reader.duration(&keys::RESOLVE_INTERVAL).value,
    }
}

fn queue(reader: &Reader<'_>) -> Queue {
    let length = reader.integer(&keys::QUEUE).map_or(0, |got| got.value);
    let timeout = reader.duration(&keys::QUEUE_TIMEOUT);
    if length == 0 && timeout.written {
        reader.report.error(
            timeout.span,
            "`queue_timeout` says nothing: with `queue = 0` nobody waits",
            "a `queue` of at least 1",
            "raise `queue`, or remove `queue_timeout`",
        );
    }
    Queue { length: usize::try_from(length).unwrap_or(0), timeout: timeout.value }
}

/// A queue needs endpoints that can be full.
pub(super) fn check_queue(reader: &Reader<'_>, endpoints: &[Written]) {
    if reader.has(&keys::ENDPOINT_SESSIONS_MAX)
        || endpoints.is_empty()
        || endpoints.iter().any(|written| written.sessions_max.is_some())
    {
        return;
    }
    for key in [&keys::QUEUE, &keys::QUEUE_TIMEOUT] {
        let Some(span) = reader.key_span(key) else { continue };
        reader.report.error(
            span,
            &format!("`{}` says nothing: without a limit no endpoint is ever full", key.name),
            "`endpoint_sessions_max`, or an endpoint with `sessions_max`",
            &format!("add `endpoint_sessions_max`, or remove `{}`", key.name),
        );
    }
}

fn rebalance(reader: &Reader<'_>, balance: Algorithm) -> Option<Rebalance> {
    let table = reader.table(&keys::REBALANCE, &keys::REBALANCE_SECTION);
    let above_percent = table.integer(&keys::ABOVE_PERCENT)?.value;
    let per_minute = table.integer(&keys::PER_MINUTE)?.value;
    let quiet = table.duration(&keys::QUIET).value;
    let span = reader.key_span(&keys::REBALANCE)?;
    if matches!(balance, Algorithm::SourceHash | Algorithm::First) {
        reader.report.error(
            span,
            "`rebalance` moves nobody: with this `balance` clients come back to the same endpoint",
            "a `balance` that looks at sessions, or takes endpoints in turn",
            "write `balance = \"two-choices\"`, or remove `rebalance`",
        );
    }
    let settings = rebalance::Settings { above_percent, per_minute };
    Some(Rebalance { settings, quiet })
}

fn send_proxy(reader: &Reader<'_>) -> Option<SendProxy> {
    if let Data::Table(table) = &reader.raw(&keys::SEND_PROXY)?.data {
        let table = reader.open(&keys::SEND_PROXY, &keys::SEND_PROXY_SECTION, table);
        return send_proxy_table(&table);
    }
    let version = reader.text(&keys::SEND_PROXY, |text| match text {
        "v1" => Ok(1),
        "v2" => Ok(2),
        _ => Err(Mistake {
            message: format!("{} is no version", crate::diagnostic::quoted(text)),
            remedy: "write \"v1\" (text) or \"v2\" (binary)".to_owned(),
        }),
    })?;
    Some(SendProxy { version: version.value, tlvs: ProxyTlvs::default() })
}

fn send_proxy_table(reader: &Reader<'_>) -> Option<SendProxy> {
    let version = reader.integer(&keys::VERSION);
    let sendable = |key: &Key, span| {
        if version.as_ref().is_some_and(|version| version.value == 1) {
            reader.report.error(
                reader.key_span(key).unwrap_or(span),
                &format!("`{}` cannot be sent: version 1 has no additional fields", key.name),
                "`version = 2` with additional fields, or version 1 without",
                &format!("write `version = 2`, or remove `{}`", key.name),
            );
        }
    };
    let flag = |key| {
        let flag = reader.boolean(key).filter(|got| got.value);
        flag.inspect(|flag| sendable(key, flag.span)).is_some()
    };
    let align = reader.integer(&keys::ALIGN);
    if let Some(align) = &align {
        sendable(&keys::ALIGN, align.span);
    }
    let tlvs = ProxyTlvs {
        alpn: flag(&keys::ALPN),
        authority: flag(&keys::AUTHORITY),
        unique_id: flag(&keys::UNIQUE_ID),
        crc32c: flag(&keys::CRC32C),
        align: align.and_then(|got| NonZeroU8::new(u8::try_from(got.value).ok()?)),
    };
    Some(SendProxy { version: u8::try_from(version?.value).ok()?, tlvs })
}

fn dial(reader: &Reader<'_>) -> Dial {
    let timeout = reader.duration(&keys::DIAL_TIMEOUT);
    let tries = reader.integer(&keys::TRIES).map_or(1, |got| got.value);
    let hedge = reader.duration_or_never(&keys::HEDGE_AFTER);
    let written = hedge.as_ref().is_some_and(|got| got.written && got.value.is_some());
    let mut hedge_after = hedge.as_ref().and_then(|got| got.value);
    if let (Some(hedge), Some(after)) = (&hedge, hedge_after)
        && after >= timeout.value
    {
        if written {
            reader.report.error(
                hedge.span,
                "`hedge_after` is not shorter than `timeout`: the dial has ended before",
                "a shorter time than the `timeout` of this table",
                "shorten `hedge_after`, lengthen `timeout`, or write \"never\"",
            );
        }
        // A short timeout leaves no room for the default.
        hedge_after = None;
    }
    if let Some(hedge) = &hedge
        && written
        && tries == 1
    {
        reader.report.error(
            hedge.span,
            "`hedge_after` needs a second endpoint, and `tries = 1` forbids it",
            "`tries` of at least 2",
            "raise `tries`, or write `hedge_after = \"never\"`",
        );
    }
    Dial { timeout: timeout.value, tries, hedge_after }
}
