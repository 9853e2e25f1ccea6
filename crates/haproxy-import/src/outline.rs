//! What a haproxy.cfg balances and asks, for who wants to try it (`import --check-live`): addresses,
//! endpoints, checks, and every criterion of its routes and rules.

mod sample;

pub use crate::translate::How;
pub use crate::values::Port;
pub use sample::{sample, status};

use crate::model::acl::{Acl, Condition, Criterion, Term, predefined};
use crate::model::{CheckKind, Config, Proxy, Stage};
use crate::report::Ledger;
use crate::sections::{File, Line, Sources};
use crate::translate::{self, Names, Work};
use crate::values::{self, Place};
use crate::{Elsewhere, Options, model, sections};
use std::net::SocketAddr;

/// Ports of one range that are looked at.
const RANGE_MAX: u16 = 64;

/// The most terms of one condition that are looked at, and the most conditions of a section.
const TERMS_MAX: usize = 1_000;

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// Every line that says something, its words with variables expanded; one that does not count
    /// (`.if`) has none.
    pub lines: Vec<Line>,
    /// The section of each line: its first word and its name.
    pub sections: Vec<(String, String)>,
    /// Sections with addresses that serve clients.
    pub fronts: Vec<Front>,
    /// Sections with endpoints, or that could have some.
    pub backs: Vec<Back>,
    /// The directory of `crt-base`, and that of `ca-base`; HAProxy's own without them.
    pub bases: [String; 2],
}

impl Outline {
    /// Where a certificate is, of `crt` or, `authority`, of `ca-file`.
    #[must_use]
    pub fn path(&self, authority: bool, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        format!("{}/{path}", self.bases[usize::from(authority)].trim_end_matches('/'))
    }

    /// The line of a file, both by their numbers.
    #[must_use]
    pub fn line(&self, file: usize, number: usize) -> Option<usize> {
        self.lines.binary_search_by(|line| (line.file, line.number).cmp(&(file, number))).ok()
    }
}

/// How many arguments an option of `bind` or of `server` has; `None`: it is not known.
#[must_use]
pub fn arguments(of_bind: bool, option: &str) -> Option<usize> {
    let rows = if of_bind { crate::table::BIND } else { crate::table::ENDPOINT };
    crate::table::find(rows, option).map(|row| row.takes)
}

/// A section that clients come to.
#[derive(Clone, Debug, Default)]
pub struct Front {
    /// Its name.
    pub name: String,
    /// Its first line.
    pub head: usize,
    /// Its other lines.
    pub lines: Vec<usize>,
    /// Whether it reads requests.
    pub http: bool,
    /// Where it listens.
    pub openings: Vec<Opening>,
    /// The sections that it may lead to, by their place in [`Outline::backs`].
    pub backs: Vec<usize>,
    /// What routes and rules ask, its own and those of the sections that it leads to.
    pub cases: Vec<Case>,
    /// Whether what no route takes goes somewhere.
    pub usual: bool,
    /// Paths that HAProxy itself answers with its page of figures.
    pub pages: Vec<String>,
}

/// A `bind`.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Its line.
    pub line: usize,
    /// Its addresses; `*` is `0.0.0.0`.
    pub addresses: Vec<SocketAddr>,
    /// Whether it opens TLS.
    pub tls: bool,
    /// Whether clients must show a certificate.
    pub certificate: bool,
}

/// Terms that must hold together: one way in which the condition of a line holds.
#[derive(Clone, Debug)]
pub struct Case {
    /// The line.
    pub line: usize,
    /// Each of them negated or not; of its questions one must hold.
    pub terms: Vec<(bool, Vec<Ask>)>,
}

/// A question of an ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is looked at.
    pub what: What,
    /// How it is compared.
    pub how: How,
    /// Whether cases differ.
    pub insensitive: bool,
    /// With what it is compared: one of these.
    pub values: Vec<String>,
    /// The line of the ACL, or of what asks without one.
    pub line: usize,
}

/// What a question looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The host of a request.
    Host,
    /// Its path.
    Path,
    /// Its method.
    Method,
    /// A header field of it.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A parameter of the query.
    Query(String),
    /// The client's address.
    Source,
    /// The name in the ClientHello.
    ServerName,
    /// The port that the client came to.
    Port,
    /// Something else, which requests are not made for.
    Other,
}

/// A section that leads to endpoints.
#[derive(Clone, Debug, Default)]
pub struct Back {
    /// Its name.
    pub name: String,
    /// Its first line.
    pub head: usize,
    /// Its other lines.
    pub lines: Vec<usize>,
    /// What the pool is called that `eclusa-edge` has of it; `None`: it has none.
    pub pool: Option<String>,
    /// Its endpoints.
    pub members: Vec<Member>,
    /// What its checks take for a good answer; `None`: what they want is not known.
    pub good: Option<Good>,
    /// The first word of `balance`.
    pub balance: String,
    /// The cookie that keeps clients at an endpoint.
    pub cookie: Option<String>,
}

/// An endpoint.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its line.
    pub line: usize,
    /// Address or name, as in front of a port.
    pub host: String,
    /// Its port.
    pub port: Port,
    /// Whether it is checked.
    pub checked: bool,
    /// Whether it is used only while no other is there.
    pub backup: bool,
    /// Its share of clients.
    pub weight: u64,
    /// Whether it takes clients as the file has it: it is not disabled, and has a weight.
    pub serves: bool,
}

/// What a check takes for a good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// Its status.
    pub status: u16,
    /// What stands in its body.
    pub body: String,
    /// Whether an answer is looked at, or the connection alone.
    pub asks: bool,
}

/// Reads files, in this order, as [`crate::import`] does.
#[must_use]
pub fn outline(files: &[File], options: &Options) -> Outline {
    let mut ledger = Ledger::default();
    let sources = sections::read(files, &options.environment, &mut ledger);
    let config = model::read(&sources, &mut ledger);
    let work = Work {
        config: &config,
        sources: &sources,
        host: &Elsewhere,
        masters: false,
        vip: options.vip,
    };
    let mut outline = Outline { sections: of_lines(&sources), ..Outline::default() };
    // The place of each section among those with endpoints.
    let mut places = vec![None; config.proxies.len()];
    let mut names = Names::default();
    for (index, proxy) in config.proxies.iter().enumerate() {
        if proxy.is_back() && proxy.disabled.is_none() {
            places[index] = Some(outline.backs.len());
            outline.backs.push(back(&config, proxy, &mut names));
        }
    }
    for (index, proxy) in config.proxies.iter().enumerate() {
        if translate::serves(work, index) {
            let reached = work.reached(index);
            let mut front = front(proxy);
            front.usual = work.usual(index).0.is_some();
            front.backs = reached.iter().filter_map(|back| places[*back]).collect();
            for back in reached.iter().filter(|back| **back != index) {
                cases(&config.proxies[*back], &mut front.cases);
            }
            outline.fronts.push(front);
        }
    }
    outline.bases = ["crt-base", "ca-base"]
        .map(|word| config.global.text(word).unwrap_or("/etc/haproxy").to_owned());
    outline.lines = sources.lines;
    outline
}

fn of_lines(sources: &Sources) -> Vec<(String, String)> {
    let mut all = vec![(String::new(), String::new()); sources.lines.len()];
    for section in &sources.sections {
        let head = (!section.kind.is_empty()).then_some(section.head);
        for line in section.lines.iter().copied().chain(head) {
            all[line] = (section.kind.clone(), section.name.clone());
        }
    }
    all
}

fn front(proxy: &Proxy) -> Front {
    let mut front = Front {
        name: proxy.name.clone(),
        head: proxy.head,
        lines: proxy.lines.clone(),
        http: proxy.is_http(),
        ..Front::default()
    };
    for bind in &proxy.binds {
        front.openings.push(Opening {
            line: bind.line,
            addresses: bind.places.iter().flat_map(addresses).collect(),
            tls: bind.has("ssl"),
            certificate: bind.text("verify") == Some("required"),
        });
    }
    cases(proxy, &mut front.cases);
    if let Some(set) = proxy.words.get("monitor-uri") {
        let ask = Ask {
            what: What::Path,
            how: How::Exact,
            insensitive: false,
            values: set.value.first().cloned().into_iter().collect(),
            line: set.line,
        };
        front.cases.push(Case { line: set.line, terms: vec![(false, vec![ask])] });
    }
    let uri = proxy.stat("uri").and_then(|set| set.value.get(1).cloned());
    if proxy.has_stats() {
        front.pages.push(uri.unwrap_or_else(|| "/haproxy?stats".to_owned()));
    }
    front
}

fn addresses(place: &Place) -> Vec<SocketAddr> {
    let (Some(ip), (first, last)) = (
        values::listened(&place.host),
        match place.port {
            Port::One(port) => (port, port),
            Port::Range(first, last) if last - first < RANGE_MAX => (first, last),
            _ => return Vec::new(),
        },
    ) else {
        return Vec::new();
    };
    (first..=last).map(|port| SocketAddr::new(ip, port)).collect()
}

fn back(config: &Config, proxy: &Proxy, names: &mut Names) -> Back {
    let wants = !proxy.endpoints.is_empty() || proxy.words.contains_key("dispatch");
    let word = |name: &str| proxy.words.get(name).and_then(|set| set.value.first().cloned());
    let mut back = Back {
        name: proxy.name.clone(),
        head: proxy.head,
        lines: proxy.lines.clone(),
        pool: wants.then(|| names.take(&proxy.name)),
        members: Vec::new(),
        good: good(proxy),
        balance: word("balance").unwrap_or_default(),
        cookie: word("cookie"),
    };
    let dispatch = word("dispatch").filter(|_| proxy.endpoints.is_empty());
    if let (Some(text), Some(set)) = (&dispatch, proxy.words.get("dispatch"))
        && let Ok(place) = values::place(text)
    {
        back.members.push(Member {
            name: "dispatch".to_owned(),
            line: set.line,
            host: values::shown(&place.host),
            port: place.port,
            checked: false,
            backup: false,
            weight: 1,
            serves: true,
        });
    }
    for endpoint in &proxy.endpoints {
        let weight = endpoint.number("weight").map_or(1, |set| set.value);
        back.members.push(Member {
            name: endpoint.name.clone(),
            line: endpoint.line,
            host: values::shown(&endpoint.place.host),
            port: endpoint.place.port,
            checked: endpoint.has("check") || tracked(config, endpoint.text("track")),
            backup: endpoint.has("backup"),
            weight,
            serves: !endpoint.has("disabled") && weight != 0,
        });
    }
    back
}

/// Whether another endpoint that is checked speaks for this one: `track POOL/NAME`.
fn tracked(config: &Config, track: Option<&str>) -> bool {
    let Some((section, name)) = track.and_then(|text| text.split_once('/')) else {
        return track.is_some();
    };
    let other = config.backs.get(section).map(|index| &config.proxies[*index]);
    other.is_some_and(|proxy| proxy.endpoints.iter().any(|it| it.name == name && it.has("check")))
}

/// What a check of the section takes for a good answer.
fn good(proxy: &Proxy) -> Option<Good> {
    let mut good = Good { status: 200, body: "ok".to_owned(), asks: false };
    match proxy.check.as_ref().map(|set| set.value) {
        None | Some(CheckKind::Hello) => return Some(good),
        Some(CheckKind::Other) => return None,
        Some(CheckKind::Tcp) => {
            let mut steps = proxy.checks.iter().filter(|set| set.value[0] == "tcp-check");
            let plain =
                |word: Option<&String>| word.is_some_and(|it| it == "connect" || it == "comment");
            return steps.all(|set| plain(set.value.get(1))).then_some(good);
        }
        Some(CheckKind::Http) => good.asks = true,
    }
    for set in proxy.checks.iter().filter(|set| set.value[0] == "http-check") {
        let words: Vec<&str> = set.value.iter().map(String::as_str).collect();
        let ["http-check", "expect", rest @ ..] = words.as_slice() else { continue };
        let mut rest = rest;
        while let [option, _, after @ ..] = rest
            && !["!", "status", "rstatus", "string", "rstring"].contains(option)
            && !after.is_empty()
        {
            rest = after;
        }
        match rest {
            ["status", text] => {
                let first = text.split([',', '-']).next()?;
                good.status = first.parse().ok().filter(|it| (200..600).contains(it))?;
            }
            ["rstatus", text] => good.status = status(text)?,
            ["string", text] => (*text).clone_into(&mut good.body),
            ["rstring", text] => good.body = sample(text)?,
            // `! status 503` and its like: what is good stays so.
            ["!", "status" | "rstatus", text] if !text.contains('2') => {}
            ["!", "string", text] if !"ok".contains(text) => {}
            _ => return None,
        }
    }
    Some(good)
}

/// Every way in which a line of the section holds.
fn cases(proxy: &Proxy, cases: &mut Vec<Case>) {
    let rules = proxy.rules.iter().filter(|(stage, _)| *stage != Stage::Stats);
    let rules = rules.map(|(_, rule)| (rule.line, rule.when.as_ref()));
    let routes = proxy.routes.iter().map(|route| (route.line, route.when.as_ref()));
    for (line, when) in rules.chain(routes) {
        let Some(when) = when else { continue };
        for list in &when.any {
            if cases.len() >= TERMS_MAX {
                return;
            }
            cases.push(case(when, list, line, &proxy.acls));
        }
    }
}

fn case(when: &Condition, list: &[(bool, Term)], line: usize, acls: &[Acl]) -> Case {
    let mut terms = Vec::new();
    for (not, term) in list.iter().take(TERMS_MAX) {
        let asks: Vec<Ask> = match term {
            Term::Written(criterion) => vec![ask(criterion, line)],
            Term::Named(name) => {
                let named = acls.iter().filter(|acl| acl.name == *name);
                let all: Vec<Ask> = named.map(|acl| ask(&acl.criterion, acl.line)).collect();
                match predefined(name).filter(|_| all.is_empty()) {
                    Some(criterion) => vec![ask(&criterion, line)],
                    None => all,
                }
            }
        };
        terms.push((*not != (when.negated && list.len() == 1), asks));
    }
    Case { line, terms }
}

fn ask(criterion: &Criterion, line: usize) -> Ask {
    let (base, how) = translate::comparison(criterion).unwrap_or(("", How::Found));
    let first = criterion.argument.split(',').next().unwrap_or_default().trim().to_owned();
    let what = match base {
        "hdr" | "req.hdr" | "req.fhdr" | "fhdr" if first.eq_ignore_ascii_case("host") => What::Host,
        "hdr" | "req.hdr" | "req.fhdr" | "fhdr" if !first.is_empty() => What::Header(first),
        "path" | "url" => What::Path,
        "method" => What::Method,
        "cook" | "req.cook" if !first.is_empty() => What::Cookie(first),
        "urlp" | "url_param" if !first.is_empty() => What::Query(first),
        "src" => What::Source,
        "dst_port" => What::Port,
        "ssl_fc_sni" | "req.ssl_sni" | "req_ssl_sni" => What::ServerName,
        _ => What::Other,
    };
    let insensitive = criterion.insensitive || !criterion.converters.is_empty();
    Ask { what, how, insensitive, values: criterion.patterns.clone(), line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Outline {
        let files = [File { name: "a.cfg".to_owned(), text: text.to_owned() }];
        outline(&files, &Options::default())
    }

    const TEXT: &str = "\
defaults
    mode http
frontend web
    bind *:80,10.0.0.1:8080-8081
    bind :443 ssl crt /a.pem
    acl shop hdr(host) -i shop.test
    acl shop path_beg /shop
    use_backend shop if shop !{ method POST } || { src 10.0.0.0/8 }
    default_backend rest
backend shop
    option httpchk GET /healthz
    http-check expect rstring [oO]k
    http-request deny unless { hdr(X-Key) -m reg ^k[0-9]+$ }
    server a 10.0.0.2:80 check
    server b 10.0.0.3:80 backup disabled
backend rest
backend shop
    server c 10.0.0.4 track shop/a
frontend off
    bind :81
    disabled
";

    #[test]
    fn addresses_endpoints_and_checks_are_known() {
        let outline = read(TEXT);
        let [front] = &outline.fronts[..] else { panic!("{:?}", outline.fronts) };
        let all: Vec<String> = front
            .openings
            .iter()
            .flat_map(|it| it.addresses.iter().map(ToString::to_string))
            .collect();
        assert_eq!(all, ["0.0.0.0:80", "10.0.0.1:8080", "10.0.0.1:8081", "0.0.0.0:443"]);
        assert!(front.http && front.openings[1].tls);
        let pools: Vec<_> = outline.backs.iter().map(|back| back.pool.as_deref()).collect();
        assert_eq!(pools, [Some("shop"), None, Some("shop-2")]);
        let shop = &outline.backs[0];
        assert_eq!(shop.good, Some(Good { status: 200, body: "Ok".to_owned(), asks: true }));
        assert!(shop.members[0].checked && !shop.members[1].serves && shop.members[1].backup);
        assert!(outline.backs[2].members[0].checked);
        assert_eq!(outline.backs[2].members[0].port, Port::None);
        assert_eq!(front.backs, [0, 1]);
        assert_eq!(outline.sections[front.head], ("frontend".to_owned(), "web".to_owned()));
    }

    #[test]
    fn every_way_in_which_a_line_holds_is_a_case() {
        let outline = read(TEXT);
        let cases = &outline.fronts[0].cases;
        assert_eq!(cases.len(), 3, "{cases:?}");
        let what = |case: &Case| -> Vec<(bool, Vec<What>)> {
            let terms = case.terms.iter();
            terms.map(|(not, all)| (*not, all.iter().map(|it| it.what.clone()).collect())).collect()
        };
        assert_eq!(
            what(&cases[0]),
            [(false, vec![What::Host, What::Path]), (true, vec![What::Method])]
        );
        assert_eq!(what(&cases[1]), [(false, vec![What::Source])]);
        assert_eq!(what(&cases[2]), [(true, vec![What::Header("X-Key".to_owned())])]);
        assert_eq!(cases[2].terms[0].1[0].how, How::Regex);
    }
}
