//! HAProxy's page, its figures for Prometheus, its socket over HTTP: `[dashboard]` and `[observe]`.

use super::Work;
use super::listener::addresses;
use crate::model::acl::Term;
use crate::model::{Proxy, Stage};
use crate::report::{Kind, Ledger};
use crate::toml::{self, Page};

/// What is to be shown, and where.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    dashboard: Vec<String>,
    observe: Vec<String>,
    /// Somebody may give orders on HAProxy's page.
    orders: bool,
    stats: bool,
    names: bool,
    /// `/vip` is asked.
    vip: bool,
}

/// What a section with addresses is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Traffic,
    /// HAProxy's page or figures, and nothing else.
    Figures,
    /// A fixed answer, perhaps beside the page.
    Monitor,
    /// It is switched off.
    Nothing,
}

/// What a section is for.
pub(super) fn purpose(work: Work<'_>, front: usize) -> Purpose {
    let proxy = work.proxy(front);
    if proxy.disabled.is_some() {
        return Purpose::Nothing;
    }
    let leads = proxy.words.contains_key("default_backend")
        || !proxy.routes.is_empty()
        || work.usual(front).0.is_some();
    let answers = proxy.rules_of(Stage::Request).any(|rule| !is_exporter(&rule.words))
        || proxy.rules_of(Stage::Redirect).next().is_some();
    match (leads || answers, proxy.words.contains_key("monitor-uri")) {
        (true, _) => Purpose::Traffic,
        (false, true) => Purpose::Monitor,
        (false, false) if proxy.has_stats() || exports(proxy) => Purpose::Figures,
        (false, false) => Purpose::Traffic,
    }
}

fn is_exporter(words: &[String]) -> bool {
    matches!(words, [action, service, ..] if action == "use-service" && service == "prometheus-exporter")
}

fn exports(proxy: &Proxy) -> bool {
    proxy.rules_of(Stage::Request).any(|rule| is_exporter(&rule.words))
}

/// Looks through all sections.
pub(super) fn read(work: Work<'_>, ledger: &mut Ledger) -> Observed {
    let mut observed = Observed { vip: work.vip, ..Observed::default() };
    for index in 0..work.config.proxies.len() {
        let proxy = work.proxy(index);
        if proxy.disabled.is_some() {
            continue;
        }
        let alone = proxy.is_front() && purpose(work, index) == Purpose::Figures;
        let exporter = exports(proxy);
        if exporter {
            exporter_of(proxy, alone, &mut observed, ledger);
        }
        let shows = proxy.stats.iter().any(|set| proxy.lines.contains(&set.line))
            || proxy.rules_of(Stage::Stats).next().is_some();
        if shows {
            page_of(work, proxy, alone && !exporter, &mut observed, ledger);
        }
        if alone {
            for line in &proxy.lines {
                let note = "it concerns the page of figures, which is another here";
                ledger.otherwise(*line, Kind::Ignored, note);
            }
            ledger.tell(proxy.head, Kind::Same, "");
        }
    }
    observed
}

/// What is said of what only HAProxy's page needed.
const OF_THE_PAGE: &str = "it was for the page of figures alone";

/// Users of that page.
fn of_users(work: Work<'_>, list: &str, ledger: &mut Ledger) {
    for users in work.config.users.iter().filter(|users| users.name == list) {
        let lines = users.users.iter().map(|user| user.line);
        let lines = lines.chain(users.groups.iter().copied());
        for line in lines.chain([users.head]) {
            ledger.otherwise(line, Kind::Ignored, OF_THE_PAGE);
        }
    }
}

/// Every stats line of a section.
fn page_of(
    work: Work<'_>,
    proxy: &Proxy,
    alone: bool,
    observed: &mut Observed,
    ledger: &mut Ledger,
) {
    observed.stats = true;
    let kept_off = proxy.stat("auth").is_some()
        || proxy
            .rules_of(Stage::Stats)
            .any(|rule| rule.words.first().is_some_and(|word| word == "http-request"));
    for bind in proxy.binds.iter().filter(|_| alone) {
        let Ok(all) = addresses(bind, ledger) else { continue };
        let port = all.first().map_or(0, std::net::SocketAddr::port);
        if kept_off || bind.has("ssl") {
            let note = format!(
                "`dashboard.listen = [\"127.0.0.1:{port}\"]`: the page has no password and no TLS; reach \
                 it by `ssh -L {port}:127.0.0.1:{port} HOST`"
            );
            ledger.tell(bind.line, Kind::Improved, note);
            observed.dashboard.push(format!("127.0.0.1:{port}"));
        } else {
            let note = "`dashboard.listen`; by names of this host it is reached once `dashboard.hosts` \
                        has them";
            ledger.tell(bind.line, Kind::Same, note);
            observed.dashboard.extend(all.iter().map(ToString::to_string));
        }
    }
    for set in &proxy.stats {
        let (kind, note) = detail(set.value.first().map_or("", String::as_str), alone);
        ledger.tell(set.line, kind, note);
    }
    for rule in proxy.rules_of(Stage::Stats) {
        let is_admin = rule.words.first().is_some_and(|word| word == "admin");
        observed.orders |= is_admin;
        let note = if is_admin {
            "the page takes orders from those who know a token: write one, and name its file as \
             `dashboard.token_file`, which stands there as a comment"
        } else {
            "the page is reached from this host alone, so that nobody has to be kept off"
        };
        ledger.tell(rule.line, Kind::Improved, note);
        for (_, term) in rule.when.iter().flat_map(|when| when.any.iter().flatten()) {
            let Term::Named(name) = term else { continue };
            for acl in proxy.acls.iter().filter(|acl| acl.name == *name) {
                ledger.otherwise(acl.line, Kind::Ignored, OF_THE_PAGE);
                if acl.criterion.fetch.starts_with("http_auth") {
                    of_users(work, &acl.criterion.argument, ledger);
                }
            }
        }
    }
}

fn detail(word: &str, alone: bool) -> (Kind, &'static str) {
    match word {
        "enable" if alone => (Kind::Same, "`[dashboard]`"),
        "enable" => (
            Kind::Improved,
            "`[dashboard]`, at an address of its own, away from what clients reach",
        ),
        "uri" => (
            Kind::Improved,
            "the page is at `/` of `dashboard.listen`; `/stats;csv` is at `observe.listen`",
        ),
        "refresh" => (Kind::Default, "the page follows by itself"),
        "auth" => (
            Kind::Improved,
            "no password, which crossed the network in the clear: the page is reached from this host \
             alone",
        ),
        "scope" => (Kind::Improved, "the page shows everything"),
        _ => (Kind::Ignored, "a detail of HAProxy's page"),
    }
}

fn exporter_of(proxy: &Proxy, alone: bool, observed: &mut Observed, ledger: &mut Ledger) {
    observed.names = true;
    let rules = proxy.rules_of(Stage::Request).filter(|rule| is_exporter(&rule.words));
    for rule in rules {
        let path = rule.when.as_ref().and_then(|when| match &when.any[..] {
            [all] => match &all[..] {
                [(false, Term::Written(it))] if it.fetch == "path" => it.patterns.first(),
                _ => None,
            },
            _ => None,
        });
        let (kind, note) = match path.map(String::as_str) {
            Some("/metrics") if alone => (
                Kind::Same,
                "`observe.listen`, with HAProxy's names beside our own (`haproxy_names`)",
            ),
            Some("/metrics") => (
                Kind::Improved,
                "`/metrics` at `observe.listen`, away from what clients reach: point Prometheus there",
            ),
            _ => (
                Kind::Unsupported,
                "figures for Prometheus were at another path; now they are at `/metrics` of \
                 `observe.listen`; point Prometheus there",
            ),
        };
        ledger.tell(rule.line, kind, note);
    }
    for bind in proxy.binds.iter().filter(|bind| alone && !bind.has("ssl")) {
        if let Ok(all) = addresses(bind, ledger) {
            ledger.tell(bind.line, Kind::Same, "`observe.listen`");
            observed.observe.extend(all.iter().map(ToString::to_string));
        }
    }
}

impl Observed {
    /// An address that answers `/livez`, `/readyz` and `/vip`.
    pub(super) fn add(&mut self, address: String) {
        self.observe.push(address);
    }

    /// Whether figures are to be told over HTTP.
    pub(super) fn wants(&self) -> bool {
        self.stats || self.names || self.vip || !self.observe.is_empty()
    }

    /// Writes the tables.
    pub(super) fn write(mut self, masters: bool, page: &mut Page) {
        let (observe, dashboard) = if masters {
            ("127.0.0.1:9643", "127.0.0.1:9901")
        } else {
            ("127.0.0.1:9644", "127.0.0.1:9902")
        };
        if self.wants() {
            page.blank();
            if self.observe.is_empty() {
                page.remark("Figures and health, for this host alone.");
                self.observe.push(observe.to_owned());
            }
            self.observe.dedup();
            page.table(&["observe"]);
            page.pair("listen", &toml::texts(&self.observe));
            if self.stats {
                page.pair("haproxy_stats", "true");
            }
            if self.names {
                page.pair("haproxy_names", "true");
            }
            if self.vip {
                page.remark(
                    "Where the other host that may hold the address answers; it must be able to ask here, \
                     too: an inner address beside 127.0.0.1 in `listen`.",
                );
                let port = if masters { 9643 } else { 9644 };
                page.raw(&format!("#peer = \"http://OTHER-HOST:{port}\"\n"));
            }
        }
        if self.stats {
            page.blank();
            if self.dashboard.is_empty() {
                self.dashboard.push(dashboard.to_owned());
            }
            self.dashboard.dedup();
            page.table(&["dashboard"]);
            page.pair("listen", &toml::texts(&self.dashboard));
            if self.orders {
                page.remark(
                    "For orders on the page: openssl rand -hex 24 > /etc/eclusa/dashboard.token; chmod \
                     0600 /etc/eclusa/dashboard.token",
                );
                page.raw("#token_file = \"/etc/eclusa/dashboard.token\"\n");
            }
        }
    }
}
