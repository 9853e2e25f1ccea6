//! What concerns the program as a whole: limits, threads, the socket for tools that know HAProxy.

use super::Work;
use super::pool::{Pairs, pair};
use crate::model::Set;
use crate::report::{Kind, Ledger};
use crate::table::{GLOBAL, find};
use crate::toml::{self, Page};
use crate::values;

/// Keys in front of all tables.
pub(super) fn top(work: Work<'_>, ledger: &mut Ledger) -> Pairs {
    let global = &work.config.global;
    let mut pairs = Vec::new();
    for head in &global.heads {
        ledger.same(*head);
    }
    let number = |word: &str| {
        let set = global.words.get(word)?;
        let value = set.value.first().and_then(|text| text.parse::<u64>().ok());
        Some((value, set.line))
    };
    for (word, key, most) in [("maxconn", "sessions_max", 10_000_000), ("nbthread", "workers", 256)]
    {
        match number(word) {
            Some((Some(value), line)) if value > 0 => {
                ledger.tell(line, Kind::Same, format!("`{key}`"));
                pairs.push(pair(key, value.min(most).to_string()));
            }
            Some((_, line)) => {
                let note = "a number is wanted, and this is none; now the default holds; write it";
                ledger.tell(line, Kind::Unsupported, note);
            }
            None => {}
        }
    }
    for (word, key, most) in
        [("hard-stop-after", "stop_deadline", 86_400_000), ("grace", "lame_duck", 600_000)]
    {
        let Some(set) = global.words.get(word) else { continue };
        if let Some(value) = set.value.first().and_then(|text| values::time(text)) {
            ledger.tell(set.line, Kind::Same, format!("`{key}`"));
            pairs.push(pair(key, toml::duration(value.min(most))));
        }
    }
    maxconns(work, ledger);
    super::secure::global(work.config, ledger);
    bufsize(work, ledger);
    pairs
}

/// Limits of single listeners.
fn maxconns(work: Work<'_>, ledger: &mut Ledger) {
    for proxy in &work.config.proxies {
        let Some(set) = proxy.numbers.get("maxconn") else { continue };
        let whole = work.config.global.text("maxconn").and_then(|text| text.parse::<u64>().ok());
        let note = match whole {
            Some(whole) if whole <= set.value => {
                "it bounds nothing: `maxconn` of `global` is no larger, and is `sessions_max`"
            }
            Some(_) => {
                "a listener has no limit of its own: `sessions_max` bounds all of them together, and \
                 beyond it clients wait in the kernel's queue"
            }
            None => {
                "a listener has no limit of its own: `sessions_max`, by default what the descriptors \
                 allow, bounds all of them together"
            }
        };
        ledger.tell(set.line, Kind::Ignored, note);
    }
}

/// The buffer that bounded heads.
fn bufsize(work: Work<'_>, ledger: &mut Ledger) {
    let Some(set) = work.config.global.words.get("tune.bufsize") else { return };
    let note = match head_max(work) {
        Some(_) => "`http.head_max`",
        None => "a head may have 32 KiB anyhow",
    };
    let kind = if head_max(work).is_some() { Kind::Same } else { Kind::Default };
    ledger.tell(set.line, kind, note);
}

/// How long a head may be, where that is more than the default.
pub(super) fn head_max(work: Work<'_>) -> Option<u64> {
    let size = values::size(work.config.global.text("tune.bufsize")?)?;
    (size > 33 << 10).then_some(size.min(1 << 20))
}

/// `[haproxy_socket]`
pub(super) fn socket(work: Work<'_>, page: &mut Page, ledger: &mut Ledger) {
    let sockets = &work.config.global.sockets;
    let is_unix = |set: &&Set<Vec<String>>| {
        let address = set.value.first().map(String::as_str).unwrap_or_default();
        address.strip_prefix("unix@").unwrap_or(address).starts_with('/')
    };
    for set in sockets.iter().filter(|set| !is_unix(set)) {
        let note = "it answered over the network; now nobody does; use the socket of \
                    `[haproxy_socket]`, or `observe.haproxy_stats` for the CSV";
        ledger.tell(set.line, Kind::Unsupported, note);
    }
    let unix: Vec<_> = sockets.iter().filter(is_unix).collect();
    for set in unix.iter().skip(1) {
        let note =
            "a second socket; now there is one, of `[haproxy_socket]`; let its readers share it";
        ledger.tell(set.line, Kind::Unsupported, note);
    }
    let Some(Set { value, line }) = unix.first().copied() else { return };
    let after =
        |name: &str| value.iter().skip_while(|word| *word != name).nth(1).map(String::as_str);
    page.blank();
    page.table(&["haproxy_socket"]);
    page.pair("path", "\"/run/eclusa/haproxy.sock\"");
    let level = if after("level") == Some("admin") { "operator" } else { "read" };
    if level == "operator" {
        page.pair("level", "\"operator\"");
    }
    let mode = after("mode").and_then(|text| u32::from_str_radix(text, 8).ok());
    if let Some(mode) =
        mode.filter(|mode| mode & 0o600 == 0o600 && *mode <= 0o777 && *mode != 0o660)
    {
        page.pair("mode", &format!("\"{mode:04o}\""));
    }
    let path = value.first().map(String::as_str).unwrap_or_default();
    let mut note = format!(
        "`[haproxy_socket]` at /run/eclusa/haproxy.sock, so that both can run side by side: point to \
         it what asks {path}; `docs/haproxy-compat.md` has its commands"
    );
    if let Some(group) = after("group") {
        note.push_str(&format!(
            "; its group is the service's: `group = \"{group}\"` wants the service's user in it"
        ));
        page.remark(&format!(
            "group = {} wants the service's user in that group.",
            toml::text(group)
        ));
    }
    ledger.tell(*line, Kind::Improved, note);
    if let Some(set) = work.config.global.words.get("stats maxconn") {
        let count = set.value.first().and_then(|text| text.parse::<u64>().ok());
        let count = count.filter(|count| (1..=100).contains(count));
        if let Some(count) = count {
            page.pair("clients_max", &count.to_string());
        }
        ledger.tell(set.line, Kind::Same, "`haproxy_socket.clients_max`");
    }
}

/// Lines of `global` that were carried over are so; those that nobody took say why.
pub(super) fn rest(work: Work<'_>, ledger: &mut Ledger) {
    for (word, set) in &work.config.global.words {
        if !ledger.is_judged(set.line)
            && let Some(row) = find(GLOBAL, word)
        {
            ledger.otherwise(set.line, Kind::Ignored, row.says);
        }
    }
}
