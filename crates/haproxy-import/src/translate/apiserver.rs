//! The configuration of `eclusa-apiserver`: what leads to the masters, and nothing else.

use super::comments::Comments;
use super::criterion::{Asking, Scene};
use super::edge::defaults_of;
use super::known::Known;
use super::listener::addresses;
use super::observed::{self, Purpose};
use super::pool::{self, Pairs, Pool, Use, pair};
use super::{Work, access, general, log, rules, times, write};
use crate::report::{Kind, Ledger};
use crate::toml::{self, Page};
use std::net::SocketAddr;

/// What only the other program does.
const EDGE: &str = "only eclusa-edge does this: `eclusa-edge import`; now it is left out; run eclusa-edge \
                    beside, or instead";

/// The port of the Kubernetes API.
const PORT: u16 = 6443;

/// A section of TCP with masters behind it.
struct Way {
    front: usize,
    back: usize,
    addresses: Vec<SocketAddr>,
    pool: Pool,
}

impl Way {
    /// The port of all masters and of the listener, if that is one.
    fn port(&self) -> Option<u16> {
        let first = self.pool.members.first()?.port;
        let alike = self.pool.members.iter().all(|member| member.port == first)
            && self.addresses.iter().all(|address| address.port() == first);
        alike.then_some(first)
    }

    fn hosts(&self) -> Vec<&str> {
        let mut hosts: Vec<_> = self.pool.members.iter().map(|it| it.host.as_str()).collect();
        hosts.sort_unstable();
        hosts
    }

    fn ips(&self) -> Vec<String> {
        self.addresses.iter().map(|it| ip(*it)).collect()
    }

    /// The likelier it leads to masters, the less.
    fn rank(&self) -> usize {
        let to = self.pool.members.iter().any(|member| member.port == PORT);
        let at = self.addresses.iter().any(|it| [PORT, 8443, 16443, 7443].contains(&it.port()));
        match (to, at) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        }
    }
}

fn ip(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(it) => it.ip().to_string(),
        SocketAddr::V6(it) => format!("[{}]", it.ip()),
    }
}

/// Writes it.
pub(crate) fn apiserver(work: Work<'_>, ledger: &mut Ledger) -> String {
    let mut ways = ways(work, ledger);
    ways.sort_by_key(|way| (way.rank(), way.front));
    let mut ways = ways.into_iter();
    let Some(main) = ways.next() else { return nothing(work, ledger) };
    let mut others = Vec::new();
    let mut left = Vec::new();
    for way in ways {
        let fits = main.port().is_some()
            && way.port().is_some()
            && way.hosts() == main.hosts()
            && way.pool.probe == main.pool.probe
            && way.pool.pairs == main.pool.pairs;
        if fits && way.ips() == main.ips() { others.push(way) } else { left.push(way) }
    }
    let kept: Vec<usize> =
        std::iter::once(&main).chain(&others).flat_map(|way| [way.front, way.back]).collect();
    let mut observed = observed::read(work, ledger);
    monitors(work, &mut observed, ledger);
    for index in 0..work.config.proxies.len() {
        let proxy = work.proxy(index);
        let figures = proxy.is_front()
            && matches!(observed::purpose(work, index), Purpose::Figures | Purpose::Monitor);
        if !kept.contains(&index) && !figures {
            for line in std::iter::once(proxy.head).chain(proxy.lines.iter().copied()) {
                ledger.tell(line, Kind::Unsupported, EDGE);
            }
        }
    }
    drop(left);
    let listener = listener(work, &main, ledger);
    for way in &others {
        let _ = self::listener(work, way, ledger);
        let note =
            "one of `ports`: the settings of the first listener and its masters hold for all ports";
        ledger.tell(work.proxy(way.front).head, Kind::Improved, note);
        ledger.tell(work.proxy(way.back).head, Kind::Improved, note);
    }
    let top = general::top(work, ledger);
    let mut comments = Comments::new(work.sources);
    let mut page = Page::default();
    page.comments(&comments.of(&work.config.global.heads));
    page.comments(&comments.of(&work.config.global.lines));
    page.comments(&comments.of(&defaults_of(work)));
    for way in std::iter::once(&main).chain(&others) {
        write::head(work.proxy(way.front), &mut comments, &mut page);
        write::head(work.proxy(way.back), &mut comments, &mut page);
    }
    masters(&main, &others, &mut comments, &mut page);
    page.pairs(&listener);
    page.pairs(&main.pool.pairs);
    page.pairs(&top);
    for (key, pairs) in [("probe", &main.pool.probe), ("dial", &main.pool.dial)] {
        if !pairs.is_empty() {
            page.blank();
            page.table(&[key]);
            page.pairs(pairs);
        }
    }
    end(work, &kept, (observed, comments, page), ledger)
}

/// What both kinds of files end with.
fn end(
    work: Work<'_>,
    kept: &[usize],
    (observed, mut comments, mut page): (observed::Observed, Comments<'_>, Page),
    ledger: &mut Ledger,
) -> String {
    general::socket(work, &mut page, ledger);
    let fronts: Vec<usize> =
        kept.iter().copied().filter(|index| work.proxy(*index).is_front()).collect();
    log::write(work, &fronts, &mut page, ledger);
    super::edge::figures(work, &mut comments, &mut page);
    observed.write(true, &mut page);
    let rest = comments.rest();
    if !rest.is_empty() {
        page.blank();
        page.comments(&rest);
    }
    for proxy in &work.config.proxies {
        for (_, _, line) in &proxy.pages {
            ledger.tell(*line, Kind::Ignored, "it concerns requests, and here everything is TCP");
        }
    }
    general::rest(work, ledger);
    page.into_text()
}

/// Sections of TCP that lead to one set of endpoints.
fn ways(work: Work<'_>, ledger: &mut Ledger) -> Vec<Way> {
    let mut ways = Vec::new();
    for front in 0..work.config.proxies.len() {
        let proxy = work.proxy(front);
        let plain = proxy.is_front()
            && !proxy.is_http()
            && proxy.routes.iter().all(|route| route.when.is_none())
            && !proxy.binds.iter().any(|bind| bind.has("ssl"));
        if !plain || observed::purpose(work, front) != Purpose::Traffic {
            continue;
        }
        let first = proxy.routes.first().and_then(|route| work.back(&route.pool));
        let Some(back) = first.or(work.usual(front).0) else { continue };
        let mut probe = Ledger::default();
        let all: Vec<_> = proxy
            .binds
            .iter()
            .flat_map(|bind| addresses(bind, &mut probe).unwrap_or_default())
            .collect();
        if all.is_empty() {
            continue;
        }
        let port = all.first().map(SocketAddr::port);
        let how = Use { masters: true, used: true, port, ..Use::default() };
        // What is not chosen shall leave no trace.
        let name = work.proxy(back).name.clone();
        let tried = pool::of(work.config, work.proxy(back), name.clone(), how, &mut probe);
        if !tried.is_usable() {
            continue;
        }
        ways.push(Way { front, back, addresses: all, pool: tried });
    }
    // The first of them is translated again, for its lines to be judged.
    let best = ways.iter().enumerate().min_by_key(|(at, way)| (way.rank(), *at)).map(|(at, _)| at);
    if let Some(at) = best {
        let hosts: Vec<String> = ways[at].hosts().iter().map(|host| (*host).to_owned()).collect();
        for way in &mut ways {
            if way.hosts() == hosts {
                judged(work, way, ledger);
            }
        }
    }
    ways
}

fn judged(work: Work<'_>, way: &mut Way, ledger: &mut Ledger) {
    let port = way.addresses.first().map(SocketAddr::port);
    let how = Use { masters: true, used: true, port, ..Use::default() };
    let back = work.proxy(way.back);
    way.pool = pool::of(work.config, back, back.name.clone(), how, ledger);
    ledger.same(back.head);
    let front = work.proxy(way.front);
    ledger.same(front.head);
    front.routes.iter().for_each(|route| ledger.same(route.line));
    ledger.same(work.usual(way.front).1);
}

/// The keys of the listener.
fn listener(work: Work<'_>, way: &Way, ledger: &mut Ledger) -> Pairs {
    let proxy = work.proxy(way.front);
    let mut pairs: Pairs = Vec::new();
    for bind in &proxy.binds {
        let _ = addresses(bind, ledger);
        if bind.has("accept-proxy") {
            pairs.push(pair("proxy_from", toml::texts(&["0.0.0.0/0", "::/0"])));
            let note = "`proxy_from`: as with HAProxy everyone must send a PROXY header, and can claim \
                        any address; write the networks of the proxies in front";
            ledger.tell(bind.line, Kind::Improved, note);
        }
    }
    let scene = Scene { http: false, tls: false, answers: false };
    let known = Known::default();
    let asking = Asking::new(&proxy.acls, scene, &known);
    // The ClientHello is waited for in any case.
    let read = access::read(proxy, &asking, ledger);
    pairs.extend(read.pairs.into_iter().filter(|(key, _)| key != "peek"));
    let ports: Vec<u16> = way.addresses.iter().map(SocketAddr::port).collect();
    pairs.extend(times::sessions(work, way.front, &ports, ledger));
    times::without_requests(work, way.front, ledger);
    rules::without_requests(work, way.front, ledger);
    pairs
}

fn masters(main: &Way, others: &[Way], comments: &mut Comments<'_>, page: &mut Page) {
    let port = main.pool.members.first().map_or(PORT, |member| member.port);
    page.raw("masters = [\n");
    for member in &main.pool.members {
        let (above, beside) = comments.apart(member.line);
        for comment in above {
            page.raw(&format!("    {comment}\n"));
        }
        let bare = member.host.clone();
        let address =
            if member.port == port { bare } else { format!("{}:{}", member.host, member.port) };
        let mut pairs = vec![pair("address", toml::text(&address))];
        if member.name != address {
            pairs.insert(0, pair("name", toml::text(&member.name)));
        }
        if member.weight != 1 {
            pairs.push(pair("weight", member.weight.clamp(1, 256).to_string()));
        }
        if member.backup {
            pairs.push(pair("backup", "true"));
        }
        if let Some(max) = member.sessions_max {
            pairs.push(pair("sessions_max", max.clamp(1, 1_000_000).to_string()));
        }
        let text = if pairs.len() == 1 { pairs.remove(0).1 } else { toml::inline(&pairs) };
        let beside = beside.map(|text| format!(" {text}")).unwrap_or_default();
        page.raw(&format!("    {text},{beside}\n"));
    }
    for line in &main.pool.left_out {
        for comment in comments.take(*line) {
            page.raw(&format!("    {comment}\n"));
        }
        page.raw(&format!("    {}\n", comments.shown(*line)));
    }
    page.raw("]\n");
    let ports: Vec<String> = std::iter::once(port)
        .chain(others.iter().filter_map(Way::port))
        .map(|port| port.to_string())
        .collect();
    if ports != [PORT.to_string()] {
        page.pair("ports", &toml::list(&ports));
    }
    let listen: Vec<String> = main
        .addresses
        .iter()
        .map(|address| if address.port() == port { ip(*address) } else { address.to_string() })
        .collect();
    page.pair("listen", &toml::texts(&listen));
}

/// Sections that answer a monitor: `/livez` does, at the same address.
fn monitors(work: Work<'_>, observed: &mut observed::Observed, ledger: &mut Ledger) {
    for index in 0..work.config.proxies.len() {
        let proxy = work.proxy(index);
        if !proxy.is_front() || observed::purpose(work, index) != Purpose::Monitor {
            continue;
        }
        for bind in &proxy.binds {
            for address in addresses(bind, ledger).unwrap_or_default() {
                observed.add(address.to_string());
            }
        }
        ledger.same(proxy.head);
        for line in &proxy.lines {
            ledger.otherwise(*line, Kind::Ignored, "it concerns the page of the monitor");
        }
        let Some(set) = proxy.words.get("monitor-uri") else { continue };
        let path = set.value.first().map(String::as_str).unwrap_or_default();
        if ["/livez", "/readyz"].contains(&path) {
            ledger.tell(set.line, Kind::Same, "`observe.listen` answers there");
        } else {
            let note = format!(
                "200 was answered at {path}; now that path is 404 and `/livez` answers, at the same \
                 address (`observe.listen`); point there who asks, or use eclusa-edge, which keeps the path"
            );
            ledger.tell(set.line, Kind::Unsupported, note);
        }
    }
}

/// No section leads to masters.
fn nothing(work: Work<'_>, ledger: &mut Ledger) -> String {
    for proxy in &work.config.proxies {
        for line in std::iter::once(proxy.head).chain(proxy.lines.iter().copied()) {
            ledger.tell(line, Kind::Unsupported, EDGE);
        }
    }
    ledger.note("no section balances TCP between masters: this is nothing for eclusa-apiserver");
    let top = general::top(work, ledger);
    let mut comments = Comments::new(work.sources);
    let mut page = Page::default();
    page.remark("Nothing in haproxy.cfg balances TCP between masters; name them here.");
    page.raw("#masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"]\n");
    page.pairs(&top);
    page.comments(&comments.of(&work.config.global.heads));
    end(work, &[], (observed::Observed::default(), comments, page), ledger)
}
