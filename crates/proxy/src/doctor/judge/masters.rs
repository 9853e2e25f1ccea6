//! What the masters show: their certificates, whose they are, and what time it is there.

use super::endpoints::understands;
use crate::doctor::facts::{Asked, Facts};
use crate::doctor::report::{Findings, Severity};
use crate::probe::{SOON, Seen};
use eclusa_config::diagnostic::counted;
use eclusa_config::plan::Program;
use eclusa_policy::name::{NamePattern, fold};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

/// Clocks that differ by more are told. `Date` has whole seconds, and the way takes its time.
const DIFFERS: i64 = 3_000;
/// And from here on certificates and tokens are refused for it.
const DIFFERS_MUCH: i64 = 30_000;

pub(super) fn judge(facts: &Facts, out: &mut Findings) {
    count(facts, out);
    kept_right(facts, out);
    let Some(network) = &facts.network else {
        return out.skip("endpoint-certificates", "--offline");
    };
    let masters = facts.program == Program::Apiserver;
    let before = out.findings.len();
    for asked in &network.asked {
        if let Some(seen) = &asked.certificate {
            dates(facts, asked, seen, out);
            if masters {
                names(facts, asked, seen, out);
            }
        }
    }
    if out.findings.len() == before {
        let seen = network.asked.iter().filter(|asked| asked.certificate.is_some()).count();
        out.fine("endpoint-certificates", format!("{} seen", counted(seen, "certificate")));
    }
    if masters {
        clusters(&network.asked, out);
    }
    clocks(&network.asked, out);
}

fn who(asked: &Asked) -> String {
    format!("{}/{} ({})", asked.pool, asked.name, asked.address)
}

/// How many may fail. That an even number is no better than one less the reader of the file tells.
fn count(facts: &Facts, out: &mut Findings) {
    if facts.program == Program::Apiserver {
        // Each port has a pool, and all have the same masters.
        let count = facts.plan.pools.first().map_or(0, |pool| pool.endpoints.len());
        let lost = count.saturating_sub(1) / 2;
        out.fine("cluster", format!("{}, of which {lost} may fail", counted(count, "master")));
    }
}

fn dates(facts: &Facts, asked: &Asked, seen: &Seen, out: &mut Findings) {
    let check = "endpoint-certificates";
    let now = facts.now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let soon = i64::try_from(SOON.as_secs()).unwrap_or(0);
    let day = |seconds: i64| {
        let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
    };
    let renew = match facts.program {
        Program::Apiserver => {
            "on that master: kubeadm certs renew apiserver, then let its static pod start anew"
        }
        Program::Edge => "renew it on that host",
    };
    let who = who(asked);
    if seen.not_after < now {
        out.tell(
            check,
            Severity::Error,
            format!("{who}: expired at {}", day(seen.not_after)),
            renew,
        );
    } else if seen.not_before > now {
        let found = format!("{who}: not valid before {}", day(seen.not_before));
        out.tell(check, Severity::Error, found, "compare the clocks of both hosts: timedatectl");
    } else if seen.not_after < now.saturating_add(soon) {
        let effect = "clients that verify refuse it from then on";
        let found = format!("{who}: ends at {}", day(seen.not_after));
        out.tell_that(check, Severity::Warning, found, effect, renew);
    }
}

/// Addresses that clients use, as far as the file names them.
fn own_addresses(facts: &Facts) -> Vec<IpAddr> {
    let specific = facts.plan.addresses().map(|address| address.ip().to_canonical());
    let mut own: Vec<_> = specific.filter(|ip| !ip.is_unspecified() && !ip.is_loopback()).collect();
    own.sort();
    own.dedup();
    own
}

fn holds(seen: &Seen, name: &str) -> bool {
    if let Ok(address) = name.parse::<IpAddr>() {
        return seen.addresses.contains(&address.to_canonical());
    }
    let name = fold(name);
    let mut patterns = seen.dns_names.iter().filter_map(|name| NamePattern::parse(name).ok());
    // In certificates a wildcard stands for one label (RFC 9525, section 6.3).
    patterns.any(|pattern| match pattern {
        NamePattern::Exact(exact) => *exact == *name,
        NamePattern::Wildcard(suffix) => {
            name.split_once('.').is_some_and(|(_, rest)| *suffix == *rest)
        }
    })
}

fn names(facts: &Facts, asked: &Asked, seen: &Seen, out: &mut Findings) {
    let check = "endpoint-certificates";
    let named: Vec<String> = match facts.names.is_empty() {
        true => own_addresses(facts).iter().map(ToString::to_string).collect(),
        false => facts.names.clone(),
    };
    let legs: Vec<String> = facts.host.legs().map(|(address, _)| address.to_string()).collect();
    // A listener on all addresses says nothing of the one that clients use: one of them must do.
    let missing: Vec<String> = match named.is_empty() {
        false => named.into_iter().filter(|name| !holds(seen, name)).collect(),
        true if legs.iter().any(|leg| holds(seen, leg)) => Vec::new(),
        true => legs,
    };
    if missing.is_empty() {
        return;
    }
    let has: Vec<String> = seen
        .dns_names
        .iter()
        .cloned()
        .chain(seen.addresses.iter().map(ToString::to_string))
        .collect();
    let found =
        format!("{}: {} not among its names: {}", who(asked), missing.join(", "), has.join(", "));
    let remedy = "add it to apiServer.certSANs in kubeadm's configuration, and have the certificate made \
                  anew on each master: docs/certificates.md. Do clients use another name? Then --name NAME";
    out.tell(check, Severity::Warning, found, remedy);
}

/// Whose certificate it is: who issued it, and with which key.
fn issuer(seen: &Seen) -> String {
    match &seen.authority {
        Some(key) => format!("\"{}\", key {}", seen.issuer, key.get(..16).unwrap_or(key)),
        None => format!("\"{}\"", seen.issuer),
    }
}

fn clusters(all: &[Asked], out: &mut Findings) {
    let check = "cluster";
    let mut pools: Vec<_> = all.iter().map(|asked| &asked.pool).collect();
    pools.dedup();
    for pool in pools {
        let of: Vec<(&Asked, &Seen)> = all
            .iter()
            .filter(|asked| asked.pool == *pool)
            .filter_map(|asked| Some((asked, asked.certificate.as_ref()?)))
            .collect();
        let mut counts: HashMap<(&str, &Option<String>), usize> = HashMap::new();
        for (_, seen) in &of {
            *counts.entry((seen.issuer.as_str(), &seen.authority)).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or(0);
        let leaders = counts.values().filter(|count| **count == most).count();
        for (asked, seen) in &of {
            let own = counts.get(&(seen.issuer.as_str(), &seen.authority)).copied().unwrap_or(0);
            // Where as many say one thing as the other nobody knows who is wrong.
            if counts.len() < 2 || (own == most && leaders == 1) {
                continue;
            }
            let found = format!(
                "{}: its certificate is issued by {}; {} of {} masters have another issuer",
                who(asked),
                issuer(seen),
                of.len() - own,
                of.len()
            );
            let effect =
                "clients meet another cluster there: x509: certificate signed by unknown authority";
            let remedy = format!(
                "take it out until it is known whose it is: eclusa-apiserver endpoint drain {}/{}; then \
                 correct `masters`",
                asked.pool, asked.name
            );
            out.tell_that(check, Severity::Error, found, effect, remedy);
        }
    }
}

fn kept_right(facts: &Facts, out: &mut Findings) {
    let check = "clock";
    match &facts.host.clock {
        None => out.skip(check, "the kernel does not say whether somebody keeps it right"),
        Some(clock) if clock.synchronised => {
            let found = format!("kept right to {} ms", clock.error_max.as_millis());
            out.fine(check, found);
        }
        Some(_) => {
            let found = "nobody keeps this host's clock right (adjtimex: unsynchronised)";
            let effect =
                "it drifts, a second or so a day, until certificates and tokens are refused for it";
            let remedy = "apt install systemd-timesyncd && timedatectl set-ntp true";
            out.tell_that(check, Severity::Warning, found, effect, remedy);
        }
    }
}

fn clocks(all: &[Asked], out: &mut Findings) {
    let check = "clock";
    let mut known: Vec<(&Asked, i64)> =
        all.iter().filter_map(|asked| Some((asked, asked.clock_ahead?))).collect();
    known.sort_by_key(|(_, ahead)| *ahead);
    let Some((_, middle)) = known.get(known.len() / 2).copied() else { return };
    let severity = |by: i64| match by.abs() > DIFFERS_MUCH {
        true => Severity::Error,
        false => Severity::Warning,
    };
    let seconds =
        |by: i64| format!("{} s {}", by.abs() / 1_000, if by > 0 { "ahead of" } else { "behind" });
    // Most of them cannot be wrong by the same: then it is ours.
    let ours = if middle.abs() > DIFFERS && known.len() > 1 { middle } else { 0 };
    if ours != 0 {
        let count = counted(known.len(), "endpoint");
        let found = format!("this host's clock is {} {count}", seconds(-ours));
        out.tell(
            check,
            severity(ours),
            found,
            "timedatectl; chronyc tracking or timedatectl timesync-status",
        );
    }
    for (asked, ahead) in &known {
        let by = ahead - ours;
        if by.abs() > DIFFERS {
            let found = format!("{}: its clock is {} this host's", who(asked), seconds(by));
            out.tell(check, severity(by), found, "on that host: timedatectl");
        }
    }
    let in_step = known.iter().all(|(_, ahead)| ahead.abs() <= DIFFERS);
    if in_step {
        let answered =
            all.iter().filter(|it| understands(&it.with) || understands(&it.without)).count();
        out.fine(
            check,
            format!("{} of {answered} endpoints that answered tell the same time", known.len()),
        );
    }
}
