//! `check` and what it asks, as the table `probe` of a pool.

use super::criterion::{escaped, expression};
use super::pool::{Pairs, Pool, Use, common, one_for_all, pair};
use super::secure::{authority, fixed, verifies};
use crate::model::endpoint::Endpoint;
use crate::model::{CheckKind, Config, Proxy, Set};
use crate::report::{Kind, Ledger};
use crate::toml;
use crate::values::Host;

pub(super) fn read(
    pool: &mut Pool,
    (config, back): (&Config, &Proxy),
    (kept, how): (&[&Endpoint], Use),
    ledger: &mut Ledger,
) {
    let checked = |endpoint: &&&Endpoint| endpoint.has("check") || endpoint.has("track");
    let asked: Vec<&Endpoint> = kept.iter().filter(checked).copied().collect();
    if asked.is_empty() {
        return unprobed(pool, back, kept, ledger);
    }
    for endpoint in kept.iter().filter(|endpoint| !checked(endpoint)) {
        let note = "probed as the others of the pool are: without `check` it got clients whether it \
                    was there or not";
        ledger.tell(endpoint.line, Kind::Improved, note);
    }
    for endpoint in asked.iter().filter(|endpoint| endpoint.has("track")) {
        let note = "`track`: the pool is probed itself, not by another's checks";
        ledger.tell(endpoint.line_of("track"), Kind::Improved, note);
    }
    ports(&asked, ledger);
    let tls = asked.iter().any(|it| it.has("check-ssl") || it.has("ssl"));
    if tls && !asked.iter().all(|it| it.has("check-ssl") || it.has("ssl")) {
        for endpoint in asked.iter().filter(|it| !it.has("check-ssl") && !it.has("ssl")) {
            let note = "checks of this endpoint spoke no TLS; now its probe does, as those of the \
                        others; give it a pool of its own";
            ledger.tell(endpoint.line, Kind::Unsupported, note);
        }
    }
    let kind = back.check.as_ref().map_or(CheckKind::Tcp, |set| set.value);
    let mut question = match kind {
        CheckKind::Http => Question::http(back, ledger),
        _ => Question::default(),
    };
    rules(&mut question, back, kind, ledger);
    judge_kind(back, kind, tls, ledger);
    let tls = tls || question.tls;
    let name = match (kind, tls) {
        (CheckKind::Http, false) => "http",
        (CheckKind::Http, true) => "https",
        (CheckKind::Hello, _) | (_, true) => "tls",
        _ => "tcp",
    };
    if name != "tcp" || how.masters {
        pool.probe.push(pair("kind", toml::text(name)));
    }
    timing(pool, &asked, (back, kind), ledger);
    if kind == CheckKind::Http {
        question.write(&mut pool.probe, how);
        if how.masters && question.path == "/healthz" {
            let line = back.check.as_ref().map_or(back.head, |set| set.line);
            let note = "`path = \"/healthz\"`, kept; `/readyz` also tells that a master is about to \
                        stop: leave `path` and `live_path` out";
            ledger.tell(line, Kind::Improved, note);
        }
    }
    if tls {
        certificate(&mut pool.probe, config, &asked, ledger);
    }
    unverified(kept, ledger);
}

fn unprobed(pool: &mut Pool, back: &Proxy, kept: &[&Endpoint], ledger: &mut Ledger) {
    if kept.is_empty() {
        return;
    }
    pool.probe.push(pair("kind", "\"none\""));
    let note = "without checks, as written (`probe.kind = \"none\"`): leave the table `probe` out, and \
                endpoints that do not answer get no clients";
    for endpoint in kept {
        ledger.tell(endpoint.line, Kind::Same, note);
    }
    let nobody = "no endpoint here has `check`: nothing is checked, in HAProxy either";
    for line in back.check.iter().map(|set| set.line).chain(back.checks.iter().map(|set| set.line))
    {
        ledger.otherwise(line, Kind::Ignored, nobody);
    }
    if let Some(check) = back.time("check") {
        ledger.otherwise(check.line, Kind::Ignored, nobody);
    }
    unverified(kept, ledger);
}

/// `verify` says nothing where no TLS is spoken.
fn unverified(kept: &[&Endpoint], ledger: &mut Ledger) {
    for endpoint in kept {
        if endpoint.has("verify") && !endpoint.has("ssl") && !endpoint.has("check-ssl") {
            let note = "`verify` says nothing without `ssl` or `check-ssl`, in HAProxy either";
            ledger.tell(endpoint.line_of("verify"), Kind::Ignored, note);
        }
    }
}

/// Checks that ask another port.
fn ports(asked: &[&Endpoint], ledger: &mut Ledger) {
    for endpoint in asked {
        let Some(port) = endpoint.number("port") else { continue };
        if endpoint.place.port.one().map(u64::from) != Some(port.value) {
            let note = format!(
                "checks asked port {}; now the probe asks where traffic goes; check that it answers \
                 there",
                port.value
            );
            ledger.tell(port.line, Kind::Unsupported, note);
        }
    }
}

fn judge_kind(back: &Proxy, kind: CheckKind, tls: bool, ledger: &mut Ledger) {
    let Some(set) = &back.check else { return };
    match kind {
        CheckKind::Tcp if tls => ledger.tell(set.line, Kind::Same, "`probe.kind = \"tls\"`"),
        CheckKind::Tcp => ledger.tell(set.line, Kind::Same, ""),
        CheckKind::Hello => {
            let note = "`probe.kind = \"tls\"`: a whole handshake of today's TLS, where HAProxy sends \
                        the hello of SSL 3 and takes any answer";
            ledger.tell(set.line, Kind::Improved, note);
        }
        CheckKind::Http => ledger.same(set.line),
        CheckKind::Other => {}
    }
}

/// When endpoints are asked.
fn timing(
    pool: &mut Pool,
    asked: &[&Endpoint],
    (back, kind): (&Proxy, CheckKind),
    ledger: &mut Ledger,
) {
    let mut interval = 1_000;
    for (option, key) in [("inter", "interval"), ("fastinter", "fast_interval")] {
        let (value, others) = common(asked, |it| it.time(option).map(|set| set.value));
        let Some(value) = value else { continue };
        let mut value = value.clamp(100, 3_600_000);
        if option == "inter" {
            interval = value;
        } else {
            value = value.min(interval);
        }
        one_for_all(option, &toml::duration(value), others, ledger);
        if (option, value) != ("inter", 1_000) {
            pool.probe.push(pair(key, toml::duration(value)));
        }
    }
    for option in ["rise", "fall"] {
        let (value, others) = common(asked, |it| it.number(option).map(|set| set.value));
        let Some(value) = value else { continue };
        one_for_all(option, &value.to_string(), others, ledger);
        let usual = if option == "rise" { 3 } else { 2 };
        if value != usual {
            pool.probe.push(pair(option, value.clamp(1, 100).to_string()));
        }
    }
    let Some(check) = back.time("check") else { return };
    if kind == CheckKind::Http {
        let value = check.value.clamp(100, 300_000);
        if value <= 750 {
            pool.probe.push(pair("timeout", toml::duration(value * 2 / 3)));
        }
        pool.probe.push(pair("late_after", toml::duration(value)));
        let note = "`probe.late_after`, for the answer; the connection has `probe.timeout`, 700 ms";
        ledger.tell(check.line, Kind::Improved, note);
    } else {
        let note = "`probe.timeout` is 700 ms: a connection that takes longer speaks for silence, which \
                    is looked into at once; write it if the network is slower";
        ledger.tell(check.line, Kind::Improved, note);
    }
}

/// Whether, and by which CA, certificates of probes are verified.
fn certificate(probe: &mut Pairs, config: &Config, asked: &[&Endpoint], ledger: &mut Ledger) {
    let Some(first) = asked.first() else { return };
    let named = first.text("check-sni").or(first.text("verifyhost"));
    let named = named.or(first.text("sni").and_then(fixed)).map(str::to_owned);
    let is_named = named.is_some();
    let name = named.or(match (&first.place.host, asked.len()) {
        (Host::Name(name), 1) => Some(name.clone()),
        _ => None,
    });
    let verified = verifies(config, first) && first.has("ca-file");
    match (verified, name) {
        (true, Some(name)) => {
            let ca = authority(config, first.text("ca-file").unwrap_or_default());
            probe.push(pair("server_name", toml::text(&name)));
            probe.push(pair("ca", toml::text(&ca)));
            if !is_named {
                let note = "the probe also wants the endpoint's name in the certificate; HAProxy looked \
                            at who signed it alone";
                ledger.tell(first.line, Kind::Improved, note);
            }
        }
        (true, None) => {
            let note = "checks verified the certificate, for no name; now probes take any; write \
                        `server_name` and `ca` into the table `probe`";
            ledger.tell(first.line_of("ca-file"), Kind::Unsupported, note);
        }
        (false, _) => {
            if let Some(name) = first.text("check-sni") {
                probe.push(pair("server_name", toml::text(name)));
            }
        }
    }
}

/// What a check of HTTP asks, and what is a good answer.
#[derive(Clone, Debug)]
struct Question {
    method: String,
    path: String,
    host: Option<String>,
    status: Vec<String>,
    body: Option<String>,
    /// `http-check connect ssl`
    tls: bool,
}

impl Default for Question {
    fn default() -> Self {
        Self {
            method: "OPTIONS".to_owned(),
            path: "/".to_owned(),
            host: None,
            status: vec!["2xx".to_owned(), "3xx".to_owned()],
            body: None,
            tls: false,
        }
    }
}

impl Question {
    /// `option httpchk [METHOD] [PATH [VERSION]]`
    fn http(back: &Proxy, ledger: &mut Ledger) -> Self {
        let mut question = Self::default();
        let Some(flag) = back.option("httpchk") else { return question };
        let words: Vec<&str> = flag.words.iter().map(String::as_str).collect();
        match words[..] {
            [] => {}
            [path] => question.path(path, flag.line, ledger),
            [method, path, ref rest @ ..] => {
                question.method(method, flag.line, ledger);
                question.path(path, flag.line, ledger);
                // Fields were written into the version, before 2.2.
                let version = rest.join(" ");
                for field in version.split(['\r', '\n']).skip(1).filter(|it| !it.is_empty()) {
                    let (name, value) = field.split_once(':').unwrap_or((field, ""));
                    question.field(name.trim(), value.trim(), flag.line, ledger);
                }
            }
        }
        question
    }

    fn method(&mut self, method: &str, line: usize, ledger: &mut Ledger) {
        if ["GET", "HEAD", "OPTIONS"].contains(&method) {
            method.clone_into(&mut self.method);
        } else {
            let note =
                format!("checks asked by `{method}`; now by GET; see that it tells the same");
            ledger.tell(line, Kind::Unsupported, note);
            "GET".clone_into(&mut self.method);
        }
    }

    fn path(&mut self, path: &str, line: usize, ledger: &mut Ledger) {
        let fits = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if path.starts_with('/') && path.len() <= 1_000 && fits {
            path.clone_into(&mut self.path);
        } else {
            let note = format!(
                "checks asked for `{path}`; now for /; write `path` into the table `probe`"
            );
            ledger.tell(line, Kind::Unsupported, note);
        }
    }

    fn field(&mut self, name: &str, value: &str, line: usize, ledger: &mut Ledger) {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        if name.eq_ignore_ascii_case("host") && !value.is_empty() && value.chars().all(plain) {
            self.host = Some(value.to_owned());
        } else if !name.eq_ignore_ascii_case("connection")
            && !name.eq_ignore_ascii_case("user-agent")
        {
            let note = format!(
                "checks sent the header field `{name}`; now probes do not; let the endpoint answer \
                 without it"
            );
            ledger.tell(line, Kind::Unsupported, note);
        }
    }

    fn write(&self, probe: &mut Pairs, how: Use) {
        let usual = if how.masters { "/readyz" } else { "/" };
        if self.path != usual {
            probe.push(pair("path", toml::text(&self.path)));
        }
        if how.masters {
            probe.push(pair("live_path", "\"none\""));
        }
        if self.method != "GET" {
            probe.push(pair("method", toml::text(&self.method)));
        }
        if let Some(host) = &self.host {
            probe.push(pair("host", toml::text(host)));
        }
        if self.status != ["2xx"] {
            probe.push(pair("status", toml::texts(&self.status)));
        }
        if let Some(body) = &self.body {
            probe.push(pair("body", toml::text(body)));
        }
    }
}

/// `http-check` and `tcp-check`, line by line.
fn rules(question: &mut Question, back: &Proxy, kind: CheckKind, ledger: &mut Ledger) {
    let mut expects = false;
    for Set { value, line } in &back.checks {
        let words: Vec<&str> = value.iter().map(String::as_str).collect();
        let of_http = words.first() == Some(&"http-check");
        let runs = match kind {
            CheckKind::Http => of_http,
            CheckKind::Tcp => !of_http && back.check.is_some(),
            _ => false,
        };
        if !runs {
            let note = "HAProxy does not run it: the `option` for checks that counts is another";
            ledger.otherwise(*line, Kind::Ignored, note);
            continue;
        }
        match words[1..] {
            ["expect", ref rest @ ..] if of_http => {
                expect(question, rest, (*line, std::mem::replace(&mut expects, true)), ledger);
            }
            ["send", ref rest @ ..] if of_http => send(question, rest, *line, ledger),
            ["connect", ref rest @ ..] => connect(question, rest, *line, ledger),
            ["disable-on-404"] => {
                let note = "any bad answer takes new clients away and leaves sessions alone";
                ledger.tell(*line, Kind::Default, note);
            }
            ["comment", ..] => ledger.tell(*line, Kind::Ignored, "a word for HAProxy's log"),
            ["send-state"] => {
                let note = "checks told endpoints how they are seen here; now they do not; see who reads it";
                ledger.tell(*line, Kind::Unsupported, note);
            }
            _ => {
                let note = "a step of the check; now the probe does without it; offer the verdict over \
                            HTTP and probe that";
                ledger.tell(*line, Kind::Unsupported, note);
            }
        }
    }
}

/// `[ssl] [sni NAME] [port N] ...`
fn connect(question: &mut Question, rest: &[&str], line: usize, ledger: &mut Ledger) {
    ledger.same(line);
    for word in rest {
        match *word {
            "ssl" => question.tls = true,
            "port" | "addr" | "via-socks4" | "proto" => {
                let note = format!(
                    "`{word}`: checks went elsewhere; now the probe asks where traffic goes; see that it answers there"
                );
                ledger.tell(line, Kind::Unsupported, note);
            }
            _ => {}
        }
    }
}

/// `meth M uri U ver V hdr N V body B`
fn send(question: &mut Question, rest: &[&str], line: usize, ledger: &mut Ledger) {
    ledger.same(line);
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let value = words.next().copied().unwrap_or_default();
        match *word {
            "meth" => question.method(value, line, ledger),
            "uri" => question.path(value, line, ledger),
            "ver" => {}
            "hdr" => {
                let text = words.next().copied().unwrap_or_default();
                question.field(value, text, line, ledger);
            }
            other => {
                let note = format!(
                    "checks sent `{other}`; now probes do not; let the endpoint answer without it"
                );
                ledger.tell(line, Kind::Unsupported, note);
            }
        }
    }
}

/// `[!] status|rstatus|string|rstring PATTERN`. `again`: there was one before.
fn expect(
    question: &mut Question,
    rest: &[&str],
    (line, again): (usize, bool),
    ledger: &mut Ledger,
) {
    let options = [
        "min-recv",
        "comment",
        "ok-status",
        "error-status",
        "tout-status",
        "on-success",
        "on-error",
        "status-code",
    ];
    let mut rest = rest;
    while let [option, _, after @ ..] = rest
        && options.contains(option)
    {
        rest = after;
    }
    let lost = |what: &str| {
        format!(
            "checks expected {what}; now {} are good; write `status` or `body` into the table `probe`",
            "answers as without this line"
        )
    };
    let any = vec!["200-599".to_owned()];
    match *rest {
        ["status", text] => match statuses(text) {
            Some(statuses) => {
                question.status = statuses;
                ledger.same(line);
            }
            None => ledger.tell(line, Kind::Unsupported, lost("other statuses")),
        },
        ["rstatus", text] => match class(text) {
            Some(statuses) => {
                question.status = statuses;
                ledger.same(line);
            }
            None => ledger.tell(line, Kind::Unsupported, lost("a pattern of statuses")),
        },
        ["string" | "rstring", text] => {
            let pattern = if rest[0] == "string" { Ok(escaped(text)) } else { expression(text) };
            match pattern {
                Ok(pattern) if question.method != "HEAD" => {
                    question.body = Some(pattern);
                    if !again {
                        question.status = any;
                    }
                    ledger.same(line);
                }
                Ok(_) => {
                    ledger.tell(line, Kind::Unsupported, lost("a body, which `HEAD` never gets"))
                }
                Err(why) => ledger.tell(line, Kind::Unsupported, lost(&why)),
            }
        }
        _ => ledger.tell(line, Kind::Unsupported, lost("something else")),
    }
}

/// `200`, `200,204`, `200-399`
fn statuses(text: &str) -> Option<Vec<String>> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|it| (200..600).contains(it));
    let one = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first == last {
            Some(first.to_string())
        } else {
            (first < last).then(|| part.to_owned())
        }
    };
    text.split(',').map(one).collect()
}

/// `^2`, `^2..`, `^[23]..$`: whole classes.
fn class(text: &str) -> Option<Vec<String>> {
    let text = text.strip_prefix('^').unwrap_or(text);
    let text = text.strip_suffix('$').unwrap_or(text);
    let text = ["..", "[0-9][0-9]", "[0-9]{2}", r"\d\d", r"\d{2}"]
        .iter()
        .find_map(|end| text.strip_suffix(end))
        .unwrap_or(text);
    let inside =
        text.strip_prefix(['[', '(']).and_then(|it| it.strip_suffix([']', ')'])).unwrap_or(text);
    let digits = inside.replace('|', "");
    let class = |digit: char| ('2'..='5').contains(&digit).then(|| format!("{digit}xx"));
    if digits.is_empty() { None } else { digits.chars().map(class).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_lists_and_ranges() {
        let of = |text: &str| statuses(text).map(|all| all.join(" "));
        assert_eq!(of("200").as_deref(), Some("200"));
        assert_eq!(of("200-399,401").as_deref(), Some("200-399 401"));
        for wrong in ["", "x", "100", "399-200", "600"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        let of = |text: &str| class(text).map(|all| all.join(" "));
        assert_eq!(of("^2").as_deref(), Some("2xx"));
        assert_eq!(of("^[23]..$").as_deref(), Some("2xx 3xx"));
        assert_eq!(of("(2|3)[0-9][0-9]").as_deref(), Some("2xx 3xx"));
        for wrong in ["", "^20[0-4]$", "^1"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
