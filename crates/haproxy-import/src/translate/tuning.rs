//! What a pool has beside its endpoints: balance, times, stickiness, PROXY headers, sources.

use super::pool::{Pool, Use, common, one_for_all, pair};
use crate::model::endpoint::Endpoint;
use crate::model::{Proxy, Set};
use crate::report::{Kind, Ledger};
use crate::toml;

pub(super) fn read(
    pool: &mut Pool,
    back: &Proxy,
    (kept, how): (&[&Endpoint], Use),
    ledger: &mut Ledger,
) {
    balance(pool, back, how, ledger);
    proxy_header(pool, kept, ledger);
    source(pool, back, kept, ledger);
    slow_start(pool, kept, ledger);
    marked_down(pool, kept, ledger);
    dial(pool, back, ledger);
    if how.http {
        http(pool, back, kept, ledger);
    } else {
        of_requests(back, kept, ledger);
    }
}

/// What `balance` says; `stick on src` outweighs it.
fn balance(pool: &mut Pool, back: &Proxy, how: Use, ledger: &mut Ledger) {
    if sticks(pool, back, how, ledger) {
        return judged_hash_type(back, true, ledger);
    }
    let Some(set) = back.words.get("balance") else { return judged_hash_type(back, false, ledger) };
    let words: Vec<&str> = set.value.iter().map(String::as_str).collect();
    let (first, rest) = words.split_first().unwrap_or((&"", &[]));
    let (name, field) = first.split_once('(').unwrap_or((first, ""));
    let field = field.trim_end_matches(')');
    judged_hash_type(back, ["source", "uri", "hdr", "url_param"].contains(&name), ledger);
    let plain = match name {
        "roundrobin" | "static-rr" if how.masters => {
            let note = "`balance = \"two-choices\"`, the default, spreads the long sessions of the \
                        API better";
            ledger.tell(set.line, Kind::Same, note);
            "round-robin"
        }
        "roundrobin" | "static-rr" => return ledger.tell(set.line, Kind::Default, ""),
        "leastconn" => "least-connections",
        "source" => "source-hash",
        "first" => "first",
        "random" => "two-choices",
        "uri" if how.http && rest.is_empty() => {
            ledger.tell(set.line, Kind::Same, "`http.hash = \"path\"`");
            return pool.http.push(pair("hash", "\"path\""));
        }
        "hdr" if how.http && super::template::is_field(field) => {
            let note = "`http.hash`; requests without the field go by the client's address, where \
                        HAProxy takes turns";
            ledger.tell(set.line, Kind::Improved, note);
            return pool.http.push(pair("hash", toml::text(&format!("header:{field}"))));
        }
        "url_param" if how.http && rest.len() == 1 && !rest[0].chars().any(char::is_control) => {
            let note = "`http.hash`; requests without the parameter go by the client's address, where \
                        HAProxy takes turns";
            ledger.tell(set.line, Kind::Improved, note);
            return pool.http.push(pair("hash", toml::text(&format!("query:{}", rest[0]))));
        }
        _ => {
            let note = format!(
                "endpoints were chosen by `{}`; now they take turns; use `balance = \"source-hash\"`, \
                 or `http.hash` by a header field, a cookie or the path",
                words.join(" ")
            );
            return ledger.tell(set.line, Kind::Unsupported, note);
        }
    };
    ledger.same(set.line);
    pool.pairs.push(pair("balance", toml::text(plain)));
}

/// `stick` and `stick-table`; whether clients stay by their address.
fn sticks(pool: &mut Pool, back: &Proxy, how: Use, ledger: &mut Ledger) -> bool {
    let table = back.words.get("stick-table");
    if let Some(stick) = back.words.get("stick") {
        let words: Vec<&str> = stick.value.iter().map(String::as_str).collect();
        if let ["on" | "match" | "store-request", "src", ..] = words[..] {
            pool.pairs.push(pair("balance", "\"source-hash\""));
            let note = "`balance = \"source-hash\"`: a client comes to the same endpoint without a \
                        table, on every host alike, and to the next one while that is down";
            for line in [Some(stick.line), table.map(|set| set.line)].into_iter().flatten() {
                ledger.tell(line, Kind::Improved, note);
            }
            return true;
        }
        let note = "it kept clients at an endpoint by what they said; now the balance decides; use \
                    `balance = \"source-hash\"`, or `hash` and `sticky` of the pool's `http`";
        ledger.tell(stick.line, Kind::Unsupported, note);
    }
    if let Some(table) = table.filter(|_| !how.counts) {
        let note = "it counted clients, or remembered them; now nothing does; `limit` of a listener \
                    with `http` bounds connections and requests of client networks";
        ledger.tell(table.line, Kind::Unsupported, note);
    }
    false
}

fn judged_hash_type(back: &Proxy, hashed: bool, ledger: &mut Ledger) {
    let Some(set) = back.words.get("hash-type") else { return };
    match set.value.first().map(String::as_str) {
        _ if !hashed => ledger.tell(set.line, Kind::Ignored, "nothing is hashed here"),
        Some("consistent") => ledger.tell(set.line, Kind::Default, "hashes are consistent"),
        _ => {
            let note = "hashes are consistent: when endpoints come and go only their clients move";
            ledger.tell(set.line, Kind::Improved, note);
        }
    }
}

fn proxy_header(pool: &mut Pool, kept: &[&Endpoint], ledger: &mut Ledger) {
    let names = ["send-proxy-v2-ssl-cn", "send-proxy-v2-ssl", "send-proxy-v2", "send-proxy"];
    let wanted = |endpoint: &Endpoint| names.iter().find(|name| endpoint.has(name)).copied();
    let (value, others) = common(kept, wanted);
    let Some(name) = value else { return };
    for line in others {
        let note = "some endpoints of the pool were sent a PROXY header, and others not, or another; \
                    now all are sent the same; give those that differ a pool of their own";
        ledger.tell(line, Kind::Unsupported, note);
    }
    let Some(first) = kept.iter().find(|endpoint| endpoint.has(name)) else { return };
    let options = first.text("proxy-v2-options").unwrap_or_default();
    let mut fields = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "authority" | "unique-id" | "crc32c" => {
                fields.push(pair(&option.replace('-', "_"), "true"));
            }
            _ => {
                let note =
                    format!("the PROXY header had `{option}`; now it has not; see who reads it");
                ledger.tell(first.line_of("proxy-v2-options"), Kind::Unsupported, note);
            }
        }
    }
    if name.contains("ssl") {
        let note = "the PROXY header told of the client's TLS; now it tells address and port; use \
                    header fields of a rule for the rest";
        ledger.tell(first.line_of(name), Kind::Unsupported, note);
    }
    let value = match (name, fields.is_empty()) {
        ("send-proxy", _) => "\"v1\"".to_owned(),
        (_, true) => "\"v2\"".to_owned(),
        (_, false) => {
            fields.insert(0, pair("version", "2"));
            toml::inline(&fields)
        }
    };
    pool.pairs.push(pair("send_proxy", value));
}

fn source(pool: &mut Pool, back: &Proxy, kept: &[&Endpoint], ledger: &mut Ledger) {
    let of_back = back.words.get("source").map(|set| (set.value.clone(), set.line));
    let of = |endpoint: &Endpoint| endpoint.settings.get("source").map(|set| set.value.clone());
    let (value, others) = common(kept, of);
    let Some((words, line)) = value.map(|words| (words, kept[0].line_of("source"))).or(of_back)
    else {
        return;
    };
    if others.len() < kept.len() {
        one_for_all("source", &words.join(" "), others, ledger);
    }
    let address = words.first().map(|text| text.split(':').next().unwrap_or(text));
    let ip = address.and_then(|text| text.parse::<std::net::IpAddr>().ok());
    match ip.filter(|ip| !ip.is_unspecified()) {
        Some(ip) => {
            ledger.same(line);
            pool.pairs.push(pair("source", toml::texts(&[ip.to_string()])));
        }
        None => ledger.tell(line, Kind::Default, "the kernel chooses"),
    }
    if words.len() > 1 {
        let note = "connections came from the client's own address, or by one interface; now they \
                    come from this host's; use `send_proxy`, so that endpoints know the client";
        ledger.tell(line, Kind::Unsupported, note);
    }
}

fn slow_start(pool: &mut Pool, kept: &[&Endpoint], ledger: &mut Ledger) {
    let (value, others) = common(kept, |it| it.time("slowstart").map(|set| set.value));
    let Some(value) = value else { return };
    let probed = kept.iter().any(|it| it.has("check"));
    let lines: Vec<_> =
        kept.iter().filter_map(|it| Some(it.settings.get("slowstart")?.line)).collect();
    let shown = toml::duration(value.min(3_600_000));
    one_for_all("slowstart", &shown, others, ledger);
    for line in lines {
        if !probed {
            ledger.tell(line, Kind::Ignored, "`slowstart`: without checks no endpoint comes back");
        } else if value == 60_000 {
            ledger.tell(line, Kind::Default, "`slowstart`");
        }
    }
    if probed && value != 60_000 {
        pool.pairs.push(pair("slow_start", shown));
    }
}

fn marked_down(pool: &mut Pool, kept: &[&Endpoint], ledger: &mut Ledger) {
    let of = |endpoint: &Endpoint| endpoint.settings.get("on-marked-down").cloned();
    let (Some(set), _) = common(kept, of) else { return };
    if kept.iter().any(|endpoint| endpoint.has("check")) {
        let note = "`reset_silent = \"0s\"`: sessions on an endpoint that falls silent are reset at \
                    once; those on one that refuses or answers badly go on, for they may still work";
        ledger.tell(set.line, Kind::Improved, note);
        pool.pairs.push(pair("reset_silent", "\"0s\""));
    }
}

fn dial(pool: &mut Pool, back: &Proxy, ledger: &mut Ledger) {
    if let Some(connect) = back.time("connect") {
        let value = connect.value.clamp(100, 60_000);
        let note = "`dial.timeout`, for all tries together: an endpoint that keeps silent gets a rival \
                    after 500 ms (`dial.hedge_after`), so that no client waits as long";
        ledger.tell(connect.line, Kind::Improved, note);
        if value == connect.value && value == 5_000 {
            ledger.tell(connect.line, Kind::Improved, "");
        } else {
            pool.dial.push(pair("timeout", toml::duration(value)));
        }
        if value != connect.value {
            let note = format!("{} is the most", toml::duration(value));
            ledger.tell(connect.line, Kind::Improved, note);
        }
    }
    if let Some(retries) = back.numbers.get("retries") {
        let tries = retries.value.saturating_add(1).clamp(1, 16);
        let note = "`dial.tries`, one more, each at another endpoint";
        let kind = if tries == 3 { Kind::Default } else { Kind::Improved };
        ledger.tell(retries.line, kind, note);
        if tries != 3 {
            pool.dial.push(pair("tries", tries.to_string()));
        }
    }
}

/// How endpoints are asked.
fn http(pool: &mut Pool, back: &Proxy, kept: &[&Endpoint], ledger: &mut Ledger) {
    if let Some(answer) = back.time("server") {
        let value = answer.value.clamp(100, 86_400_000);
        ledger.tell(
            answer.line,
            Kind::Same,
            "`http.response_timeout`, and `http.body_timeout` of listeners",
        );
        if value != 60_000 {
            pool.http.push(pair("response_timeout", toml::duration(value)));
        }
    }
    let closes = ["http-server-close", "httpclose", "forceclose"]
        .iter()
        .find_map(|name| back.option(name).map(|flag| (*name, flag.line)));
    let reuse = back.words.get("http-reuse");
    match (closes, reuse) {
        (Some((name, line)), _) => {
            let kind = if name == "http-server-close" { Kind::Same } else { Kind::Improved };
            let note = if kind == Kind::Same {
                "`http.reuse = \"never\"`"
            } else {
                "`http.reuse = \"never\"`; clients keep their connections"
            };
            ledger.tell(line, kind, note);
            pool.http.push(pair("reuse", "\"never\""));
        }
        (None, Some(set)) => {
            let word = set.value.first().map(String::as_str).unwrap_or_default();
            match word {
                "never" => pool.http.push(pair("reuse", "\"never\"")),
                "always" | "aggressive" => pool.http.push(pair("reuse", "\"always\"")),
                _ => {}
            }
            ledger.same(set.line);
        }
        (None, None) => {}
    }
    sticky(pool, back, kept, ledger);
    if kept.iter().any(|it| {
        it.text("proto") == Some("h2")
            || it.text("alpn").is_some_and(|a| a.split(',').next() == Some("h2"))
    }) {
        pool.http.retain(|(name, _)| name != "reuse");
        pool.http.push(pair("version", "\"2\""));
    }
}

/// `cookie NAME insert`
fn sticky(pool: &mut Pool, back: &Proxy, kept: &[&Endpoint], ledger: &mut Ledger) {
    let Some(Set { value, line }) = back.words.get("cookie") else {
        for endpoint in kept.iter().filter(|endpoint| endpoint.has("cookie")) {
            let note = "`cookie` says nothing where the section has no `cookie`, in HAProxy either";
            ledger.tell(endpoint.line_of("cookie"), Kind::Ignored, note);
        }
        return;
    };
    let Some((name, options)) = value.split_first() else { return };
    let has = |option: &str| options.iter().any(|it| it == option);
    if !has("insert") || !super::template::is_field(name) {
        let note = "a cookie of the application kept clients at an endpoint; now the balance decides; \
                    use `sticky`, or `hash = \"cookie:NAME\"`";
        return ledger.tell(*line, Kind::Unsupported, note);
    }
    for option in ["domain", "maxidle", "maxlife", "preserve", "postonly", "attr"] {
        if has(option) {
            let note = format!("the cookie had `{option}`; now it has not; see who needs it");
            ledger.tell(*line, Kind::Unsupported, note);
        }
    }
    let note = "`http.sticky`: the cookie's value is made with a key and tells nothing of the \
                endpoint; clients are placed anew once, and where two hosts share an address both \
                want the same `sticky_key`";
    ledger.tell(*line, Kind::Improved, note);
    if !has("nocache") {
        let note = "answers that give the cookie are `Cache-Control: private`, as with `nocache`: else a \
                    cache could give one client's cookie to all";
        ledger.tell(*line, Kind::Improved, note);
    }
    pool.http.push(pair("sticky", toml::text(name)));
    for endpoint in kept.iter().filter(|endpoint| endpoint.has("cookie")) {
        let note = "`cookie`: the value is made by `sticky`";
        ledger.tell(endpoint.line_of("cookie"), Kind::Improved, note);
    }
}

/// What concerns requests, where none are seen.
fn of_requests(back: &Proxy, kept: &[&Endpoint], ledger: &mut Ledger) {
    let note = "it concerns requests, and this is TCP";
    for name in ["http-server-close", "httpclose", "forceclose"] {
        if let Some(flag) = back.option(name) {
            ledger.otherwise(flag.line, Kind::Ignored, note);
        }
    }
    for word in ["cookie", "http-reuse"] {
        if let Some(set) = back.words.get(word) {
            ledger.tell(set.line, Kind::Ignored, note);
        }
    }
    for endpoint in kept.iter().filter(|endpoint| endpoint.has("cookie")) {
        ledger.tell(endpoint.line_of("cookie"), Kind::Ignored, format!("`cookie`: {note}"));
    }
}
