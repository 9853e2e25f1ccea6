//! `timeout` of listeners.

use super::Work;
use super::pool::{Pairs, pair};
use crate::report::{Kind, Ledger};
use crate::toml;

/// Shorter silence cuts `kubectl exec` and quiet watches.
const SHORT: u64 = 300_000;

/// The ports at which the Kubernetes API is usually found.
const API: [u16; 4] = [6443, 8443, 16443, 7443];

/// How long sessions may be silent, in milliseconds, with the lines that say so: `tunnel`, or the
/// shorter of the client's and the longest of the endpoints'. `None`: nothing is said.
fn silence(work: Work<'_>, front: usize) -> Option<(u64, Vec<usize>)> {
    let backs = work.reached(front);
    let longest = |name: &str| {
        let times = backs.iter().filter_map(|back| work.proxy(*back).time(name));
        times.max_by_key(|set| set.value)
    };
    if let Some(tunnel) = longest("tunnel") {
        return Some((tunnel.value, vec![tunnel.line]));
    }
    let client = work.proxy(front).time("client");
    match (client, longest("server")) {
        (Some(client), Some(answer)) => {
            Some((client.value.min(answer.value), vec![client.line, answer.line]))
        }
        (Some(set), None) | (None, Some(set)) => Some((set.value, vec![set.line])),
        (None, None) => None,
    }
}

/// `idle_timeout` and `half_closed_timeout`.
pub(super) fn sessions(work: Work<'_>, front: usize, ports: &[u16], ledger: &mut Ledger) -> Pairs {
    let mut pairs = Vec::new();
    let proxy = work.proxy(front);
    if let Some((value, lines)) = silence(work, front) {
        let value = value.clamp(1_000, 365 * 86_400_000);
        let usual = if work.masters { None } else { Some(3_600_000) };
        let shown = toml::duration(value);
        if usual != Some(value) {
            pairs.push(pair("idle_timeout", shown.clone()));
        }
        for line in lines {
            ledger.tell(line, Kind::Same, format!("`idle_timeout = {shown}`"));
            if differs(work, front) {
                let note = "the longest of those that the listener leads to holds for all of them";
                ledger.tell(line, Kind::Improved, note);
            }
            if value < SHORT && !proxy.is_http() && ports.iter().any(|port| API.contains(port)) {
                let note = "kept, and it ends `kubectl exec`, `kubectl logs -f` and watches that are \
                            silent for so long: leave `idle_timeout` out, peers that have vanished are \
                            found by `dead_peer`";
                ledger.tell(line, Kind::Improved, note);
            }
        }
    } else {
        let now =
            if work.masters { "may be silent for ever" } else { "end after an hour of silence" };
        ledger.note(format!(
            "{} {}: no `timeout` bounds sessions in haproxy.cfg; here they {now} (`idle_timeout`)",
            proxy.kind(),
            proxy.name
        ));
    }
    overruled(work, front, ledger);
    let backs = work.reached(front);
    let of_backs = backs.iter().filter_map(|back| work.proxy(*back).time("server-fin"));
    let all: Vec<_> = proxy.time("client-fin").into_iter().chain(of_backs).collect();
    if let Some(longest) = all.iter().map(|set| set.value).max() {
        let value = longest.clamp(1_000, 86_400_000);
        for set in &all {
            ledger.tell(set.line, Kind::Same, "`half_closed_timeout`");
        }
        if value != 30_000 {
            pairs.push(pair("half_closed_timeout", toml::duration(value)));
        }
    }
    pairs
}

/// Whether sections that a listener leads to have times of their own.
fn differs(work: Work<'_>, front: usize) -> bool {
    let backs = work.reached(front);
    let of = |back: &usize| {
        let proxy = work.proxy(*back);
        ["tunnel", "server"].map(|name| proxy.time(name).map(|set| set.value))
    };
    let of_first = backs.first().map(of);
    backs.iter().any(|back| Some(of(back)) != of_first)
}

/// Times that `tunnel` takes the place of.
fn overruled(work: Work<'_>, front: usize, ledger: &mut Ledger) {
    let backs = work.reached(front);
    if !backs.iter().any(|back| work.proxy(*back).time("tunnel").is_some()) {
        return;
    }
    let answers = backs.iter().filter_map(|back| work.proxy(*back).time("server"));
    for set in work.proxy(front).time("client").into_iter().chain(answers) {
        let note = "`timeout tunnel` takes its place once bytes flow";
        ledger.otherwise(set.line, Kind::Ignored, note);
    }
}

/// Times of requests, for the table `http` of a listener.
pub(super) fn requests(work: Work<'_>, front: usize, ledger: &mut Ledger) -> Pairs {
    let mut pairs = Vec::new();
    let proxy = work.proxy(front);
    let mut add = |key: &str, value: Option<u64>, (least, most): (u64, u64), usual: u64| {
        let Some(value) = value.map(|value| value.clamp(least, most)) else { return };
        if value != usual {
            pairs.push(pair(key, toml::duration(value)));
        }
    };
    let client = proxy.time("client");
    let request = proxy.time("http-request");
    let keep = proxy.time("http-keep-alive");
    let backs = work.reached(front);
    let answer = backs.iter().filter_map(|back| work.proxy(*back).time("server"));
    let answer = answer.max_by_key(|set| set.value);
    let value = |set: Option<&crate::model::Set<u64>>| set.map(|set| set.value);
    add("head_timeout", value(request.or(client)), (100, 300_000), 10_000);
    let body = value(client).into_iter().chain(value(answer)).max();
    add("body_timeout", body, (100, 3_600_000), 30_000);
    add("keep_alive_timeout", value(keep.or(request).or(client)), (100, 3_600_000), 60_000);
    for (set, note) in [
        (request, "`http.head_timeout`"),
        (keep, "`http.keep_alive_timeout`"),
        (client, "`http.body_timeout`; `body_rate_min` also cuts bodies that trickle"),
    ] {
        let Some(set) = set else { continue };
        ledger.tell(set.line, Kind::Same, note);
        if set.value > 300_000 && note.contains("head_timeout") {
            ledger.tell(set.line, Kind::Improved, "5 min are the most for a head");
        }
    }
    pairs
}

/// Times of requests where none are seen.
pub(super) fn without_requests(work: Work<'_>, front: usize, ledger: &mut Ledger) {
    let proxy = work.proxy(front);
    for name in ["http-request", "http-keep-alive", "tarpit"] {
        if let Some(set) = proxy.time(name) {
            ledger.otherwise(set.line, Kind::Ignored, "it concerns requests, and this is TCP");
        }
    }
}
