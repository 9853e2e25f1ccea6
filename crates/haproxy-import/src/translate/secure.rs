//! TLS: towards endpoints, and at listeners.

use super::pool::{Pairs, Pool, Use, common, pair};
use crate::model::Config;
use crate::model::endpoint::{Bind, Endpoint};
use crate::report::{Kind, Ledger};
use crate::toml;

/// TLS that is spoken to endpoints.
pub(super) fn read(
    pool: &mut Pool,
    config: &Config,
    (kept, how): (&[&Endpoint], Use),
    ledger: &mut Ledger,
) {
    let with: Vec<_> = kept.iter().filter(|endpoint| endpoint.has("ssl")).collect();
    let Some(first) = with.first() else { return };
    if !how.opens {
        for endpoint in &with {
            let note = "TLS was spoken to the endpoint; now what clients say goes on as it is: a \
                        listener of TCP opens nothing; let the listener open TLS, or speak HTTP";
            ledger.tell(endpoint.line_of("ssl"), Kind::Unsupported, note);
        }
        return;
    }
    if with.len() < kept.len() {
        for endpoint in kept.iter().filter(|endpoint| !endpoint.has("ssl")) {
            let note = "no TLS was spoken to this endpoint of the pool; now it is, as to the others; \
                        give it a pool of its own";
            ledger.tell(endpoint.line, Kind::Unsupported, note);
        }
    }
    if verifies(config, first) {
        match first.text("ca-file").map(|path| authority(config, path)) {
            Some(ca) => {
                pool.tls.push(pair("ca", toml::text(&ca)));
                if !first.has("sni") && !first.has("verifyhost") {
                    let note = "the certificate must also have the name that is asked for, the host of \
                                the request unless `server_name` is written; HAProxy looked at who \
                                signed it alone";
                    ledger.tell(first.line_of("ssl"), Kind::Improved, note);
                }
            }
            None => {
                let note = "the endpoint's certificate was to be verified, without a `ca-file`; now any \
                            will do (`verify = false`); write `ca` instead";
                ledger.tell(first.line, Kind::Unsupported, note);
                pool.tls.push(pair("verify", "false"));
            }
        }
    } else {
        pool.tls.push(pair("verify", "false"));
    }
    server_name(pool, kept, ledger);
    if let Some(path) = first.text("crt") {
        let path = toml::text(&config.global.path("crt-base", path));
        pool.tls.push(pair("certificate", path.clone()));
        pool.tls.push(pair("key", path));
    }
}

/// Whether the certificate of an endpoint counts.
pub(super) fn verifies(config: &Config, endpoint: &Endpoint) -> bool {
    let usual = config.global.text("ssl-server-verify").unwrap_or("required");
    endpoint.text("verify").unwrap_or(usual) == "required"
}

/// The file of a CA.
pub(super) fn authority(config: &Config, path: &str) -> String {
    match path {
        "@system-ca" => "/etc/ssl/certs/ca-certificates.crt".to_owned(),
        path => config.global.path("ca-base", path),
    }
}

/// The name that an expression of `sni` always has.
pub(super) fn fixed(expression: &str) -> Option<&str> {
    expression.strip_prefix("str(")?.strip_suffix(')').map(|name| name.trim_matches(['"', '\'']))
}

fn server_name(pool: &mut Pool, kept: &[&Endpoint], ledger: &mut Ledger) {
    let (sni, _) = common(kept, |it| it.text("sni").map(str::to_owned));
    let (verified, _) = common(kept, |it| it.text("verifyhost").map(str::to_owned));
    let name = sni.as_deref().and_then(fixed).map(str::to_owned).or(verified);
    if let Some(name) = name {
        pool.tls.push(pair("server_name", toml::text(&name)));
        return;
    }
    let Some(sni) = sni else {
        for endpoint in kept.iter().filter(|it| it.has("ssl")) {
            let note = "the host of the request is sent as the server name (SNI), where HAProxy sends \
                        none; write `server_name` where the endpoint wants another";
            ledger.tell(endpoint.line_of("ssl"), Kind::Improved, note);
        }
        return;
    };
    let line = kept.iter().find(|it| it.has("sni")).map_or(0, |it| it.line_of("sni"));
    let host = ["req.hdr(host)", "hdr(host)", "ssl_fc_sni"];
    let bare = sni.to_ascii_lowercase().replace(",lower", "").replace(",field(1,:)", "");
    let kind = if host.contains(&bare.as_str()) { Kind::Same } else { Kind::Unsupported };
    let note = match kind {
        Kind::Same => "`sni`: the host of the request is sent",
        _ => {
            "the server name was made by `sni`; now the host of the request is sent; write `server_name`"
        }
    };
    ledger.tell(line, kind, note);
}

/// TLS that a listener opens, from its addresses with `ssl`.
pub(super) fn opened(config: &Config, binds: &[&Bind], http: bool, ledger: &mut Ledger) -> Pairs {
    let mut pairs = Vec::new();
    let mut paths = Vec::new();
    for bind in binds {
        for certificate in &bind.certificates {
            let path = certificate_path(config, certificate, bind.line, ledger);
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        if bind.certificates.is_empty() {
            let note = "it opens TLS without a certificate: HAProxy refuses it; now the file of the \
                        example is named; write the path of yours";
            ledger.tell(bind.line, Kind::Unsupported, note);
        }
    }
    if paths.is_empty() {
        paths.push("/etc/eclusa/site.pem".to_owned());
    }
    pairs.push(pair("certificates", toml::texts(&paths)));
    let Some(first) = binds.first() else { return pairs };
    version(config, first, &mut pairs, ledger);
    alpn(first, http, &mut pairs, ledger);
    client(config, first, &mut pairs, ledger);
    if first.has("strict-sni") {
        pairs.push(pair("strict", "true"));
    }
    if let Some(path) = first.text("tls-ticket-keys") {
        pairs.push(pair("tickets", toml::text(&config.global.path("crt-base", path))));
    }
    pairs
}

fn certificate_path(config: &Config, name: &str, line: usize, ledger: &mut Ledger) -> String {
    if !name.starts_with('@') {
        if !name.starts_with('/') && config.global.text("crt-base").is_none() {
            let note = format!(
                "`{name}` is no absolute path: it is taken to lie in /etc/haproxy; correct it"
            );
            ledger.tell(line, Kind::Improved, note);
        }
        if let Some(set) = config.global.words.get("crt-base") {
            ledger.same(set.line);
        }
        return config.global.path("crt-base", name);
    }
    let Some(stored) = config.stored.iter().find(|stored| stored.name == name) else {
        let note = format!(
            "no `crt-store` has `{name}`; now a file of this name is looked for; correct it"
        );
        ledger.tell(line, Kind::Unsupported, note);
        return config.global.path("crt-base", name.trim_start_matches('@'));
    };
    for line in &stored.lines {
        let note = "the key is found beside the certificate, or in the same file";
        ledger.tell(*line, Kind::Same, note);
    }
    config.global.path("crt-base", &stored.path)
}

/// The least version: what the address says, else what `global` does.
fn version(config: &Config, bind: &Bind, pairs: &mut Pairs, ledger: &mut Ledger) {
    let global = config.global.words.get("ssl-default-bind-options");
    let usual = global.and_then(|set| {
        let at = set.value.iter().position(|word| word == "ssl-min-ver")?;
        set.value.get(at + 1).map(String::as_str)
    });
    match bind.text("ssl-min-ver").or(usual) {
        Some("TLSv1.3") => pairs.push(pair("min_version", "\"1.3\"")),
        Some("TLSv1.2") | None => {}
        Some(old) => {
            let line =
                global.filter(|_| !bind.has("ssl-min-ver")).map_or(bind.line, |set| set.line);
            let note =
                format!("TLS 1.2 is the least: clients that know no more than {old} are refused");
            ledger.tell(line, Kind::Improved, note);
        }
    }
}

fn alpn(bind: &Bind, http: bool, pairs: &mut Pairs, ledger: &mut Ledger) {
    let written: Vec<&str> =
        bind.text("alpn").map(|it| it.split(',').collect()).unwrap_or_default();
    if !http {
        if !written.is_empty() {
            pairs.push(pair("alpn", toml::texts(&written)));
        }
        return;
    }
    let spoken: Vec<&str> =
        written.iter().copied().filter(|name| ["h2", "http/1.1"].contains(name)).collect();
    if spoken.len() < written.len() {
        let note = format!(
            "`alpn {}`: of these HTTP/1.1 and HTTP/2 are spoken; now others are not offered; clients \
             choose one of the two",
            written.join(",")
        );
        ledger.tell(bind.line, Kind::Improved, note);
    }
    if spoken == ["h2", "http/1.1"] {
        return;
    }
    let offered = if spoken.is_empty() { vec!["http/1.1"] } else { spoken };
    pairs.push(pair("alpn", toml::texts(&offered)));
}

fn client(config: &Config, bind: &Bind, pairs: &mut Pairs, ledger: &mut Ledger) {
    let Some(ca) = bind.text("ca-file") else { return };
    match bind.text("verify") {
        Some("required") => {}
        Some("optional") => pairs.push(pair("client_certificate", "\"optional\"")),
        _ => {
            let note = "`ca-file`: without `verify` clients show no certificate, in HAProxy either";
            return ledger.tell(bind.line, Kind::Ignored, note);
        }
    }
    pairs.push(pair("client_ca", toml::text(&authority(config, ca))));
}

/// What `global` says of TLS; judged where nothing else was.
pub(super) fn global(config: &Config, ledger: &mut Ledger) {
    for word in ["ssl-default-bind-options", "ssl-default-server-options"] {
        let Some(set) = config.global.words.get(word) else { continue };
        let has = |name: &str| set.value.iter().any(|word| word == name);
        if has("no-tls-tickets") {
            let note =
                "tickets are given, with keys that are renewed by themselves: resuming costs less";
            ledger.tell(set.line, Kind::Improved, note);
        }
        if has("ssl-max-ver") || set.value.iter().any(|word| word.starts_with("force-")) {
            let note =
                "it forced a version of TLS; now 1.2 and 1.3 are spoken; correct the clients";
            ledger.tell(set.line, Kind::Unsupported, note);
        }
        ledger.tell(set.line, Kind::Default, "TLS 1.2 is the least");
    }
    for word in ["ca-base", "crt-base"] {
        if let Some(set) = config.global.words.get(word) {
            ledger.same(set.line);
        }
    }
    if let Some(set) = config.global.words.get("ssl-server-verify") {
        let none = set.value.first().is_some_and(|word| word == "none");
        let kind = if none { Kind::Same } else { Kind::Default };
        ledger.tell(set.line, kind, "");
    }
}
