//! A section with addresses as listeners: one for those that open TLS, one for those that do not.

use super::counting::Table;
use super::criterion::{Asking, Scene};
use super::known::Known;
use super::names::Names;
use super::pool::{Pairs, Pool, pair};
use super::{Work, access, compression, general, rules, secure, times};
use crate::model::Proxy;
use crate::model::endpoint::Bind;
use crate::report::{Kind, Ledger};
use crate::toml;
use crate::values::{self, Host, Place, Port, listened};
use crate::when::When;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Ports of one range that are listed one by one.
const RANGE_MAX: u16 = 64;

/// A listener as it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Listener {
    pub(super) name: String,
    /// The section that it comes from.
    pub(super) front: usize,
    pub(super) binds: Vec<usize>,
    pub(super) pairs: Pairs,
    pub(super) tls: Pairs,
    pub(super) http: Pairs,
    /// Whether requests are seen.
    pub(super) speaks: bool,
    pub(super) routes: Vec<Block>,
    pub(super) rules: Vec<Block>,
    /// Where the rest goes.
    pub(super) pool: Option<String>,
    /// What its rules count at.
    pub(super) counters: Vec<Table>,
    /// Requests that end their connections, before all rules.
    pub(super) closes: Vec<(usize, When)>,
}

/// A route or a rule, and the line that it comes from.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) line: Option<usize>,
    pub(super) pairs: Pairs,
}

/// The pools by their sections.
#[derive(Clone, Copy)]
pub(super) struct Pools<'p> {
    pub(super) pools: &'p [Option<Pool>],
}

impl<'p> Pools<'p> {
    /// The pool of a section, if clients can be sent there.
    pub(super) fn usable(&self, back: usize) -> Option<&'p Pool> {
        self.pools.get(back)?.as_ref().filter(|pool| pool.is_usable())
    }
}

/// The addresses of a `bind`.
///
/// # Errors
/// It has none that can be listened on; that has been told.
pub(super) fn addresses(bind: &Bind, ledger: &mut Ledger) -> Result<Vec<SocketAddr>, ()> {
    let mut all = Vec::new();
    for place in &bind.places {
        let Some(ip) = listened(&place.host) else {
            let note = "it listened at a name; now nobody does: names do not do here; write the \
                        address, into `listen`";
            ledger.tell(bind.line, Kind::Unsupported, note);
            return Err(());
        };
        let (first, last) = match place.port {
            Port::One(port) => (port, port),
            Port::Range(first, last) if last - first < RANGE_MAX => (first, last),
            Port::Range(first, last) => {
                let note = format!(
                    "it listened at {} ports; now at none of them; write those that are needed into \
                     `listen`, one by one",
                    u32::from(last - first) + 1
                );
                ledger.tell(bind.line, Kind::Unsupported, note);
                return Err(());
            }
            Port::None | Port::Offset(_) => {
                ledger.tell(bind.line, Kind::Unsupported, "it has no port: HAProxy refuses it");
                return Err(());
            }
        };
        for port in first..=last {
            all.push(SocketAddr::new(ip, port));
            // The kernel takes both families at such a socket, unless it is told not to.
            let both = matches!(ip, IpAddr::V6(ip) if ip.is_unspecified()) && !bind.has("v6only");
            if both {
                all.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
            }
        }
    }
    all.dedup();
    ledger.same(bind.line);
    Ok(all)
}

/// The addresses of all sections: one that was taken is not taken again.
#[derive(Default)]
pub(super) struct Taken {
    all: std::collections::HashSet<SocketAddr>,
}

impl Taken {
    /// Takes what nobody has.
    fn take(&mut self, all: Vec<SocketAddr>, line: usize, ledger: &mut Ledger) -> Vec<SocketAddr> {
        let mut kept = Vec::new();
        for address in all {
            if self.all.insert(address) {
                kept.push(address);
            } else {
                let note = format!(
                    "{address} is listened on by another section, too, and the kernel chose between \
                     them; now the first has it; make one of the two"
                );
                ledger.tell(line, Kind::Unsupported, note);
            }
        }
        kept
    }
}

/// The listeners of a section.
pub(super) fn of<'w>(
    work: Work<'w>,
    front: usize,
    (pools, names, taken): (&Pools<'w>, &mut Names, &mut Taken),
    ledger: &mut Ledger,
) -> Vec<Listener> {
    let proxy = work.proxy(front);
    let mut listeners = Vec::new();
    let groups = groups(proxy);
    for (index, group) in groups.iter().enumerate() {
        let mut all = Vec::new();
        for bind in group {
            let found = addresses(bind, ledger).unwrap_or_default();
            all.extend(taken.take(found, bind.line, ledger));
        }
        if all.is_empty() {
            continue;
        }
        let tls = group.iter().any(|bind| bind.has("ssl"));
        let behind = group.iter().any(|bind| bind.has("accept-proxy"));
        let end = match (tls, behind) {
            _ if groups.len() == 1 => "",
            (false, false) => "",
            (true, false) => "-tls",
            (false, true) => "-proxy",
            (true, true) => "-tls-proxy",
        };
        let wanted = format!("{}{end}", proxy.name);
        let name = names.take(&wanted);
        ledger.same(proxy.head);
        if index == 0 {
            renamed(proxy, &name, &wanted, ledger);
        }
        let scene = Scene { http: proxy.is_http(), tls, answers: false };
        let found = Found { front, name, group, addresses: all, scene };
        listeners.extend(one(work, found, pools, ledger));
    }
    quic(work, front, ledger);
    if listeners.is_empty() && !proxy.binds.is_empty() {
        let note = "it belongs to a listener that is left out: see what is said of its addresses";
        for line in std::iter::once(proxy.head).chain(proxy.lines.iter().copied()) {
            ledger.otherwise(line, Kind::Ignored, note);
        }
    }
    if proxy.binds.is_empty() {
        let note = "it listens nowhere, in HAProxy either: nobody comes in here";
        ledger.tell(proxy.head, Kind::Ignored, note);
    }
    listeners
}

/// `bind quic4@...`: HTTP/3 is not spoken.
fn quic(work: Work<'_>, front: usize, ledger: &mut Ledger) {
    let proxy = work.proxy(front);
    let backs = work.reached(front).into_iter().map(|back| work.proxy(back));
    let mut rules = std::iter::once(proxy).chain(backs).flat_map(|proxy| &proxy.rules);
    let told =
        rules.any(|(_, rule)| rule.words.iter().any(|it| it.eq_ignore_ascii_case("alt-svc")));
    for bind in &proxy.quic {
        let address = bind.value.first().map(String::as_str).unwrap_or_default();
        let place = values::place(address.split_once('@').map_or(address, |(_, rest)| rest)).ok();
        let is_there = |tcp: &Bind| {
            let covers = |there: &Place| {
                let wanted = place.as_ref();
                wanted.is_some_and(|it| {
                    it.port == there.port && (it.host == there.host || there.host == Host::Any)
                })
            };
            tcp.has("ssl") && tcp.places.iter().any(covers)
        };
        if !told && address.starts_with("quic4@") && proxy.binds.iter().any(is_there) {
            let note = "HTTP/3 is not spoken: clients come by HTTP/2 to the same address over TCP, as \
                        all do that nothing tells of HTTP/3 (no `Alt-Svc` here)";
            ledger.tell(bind.line, Kind::Ignored, note);
            continue;
        }
        let note = format!(
            "it listened at QUIC (HTTP/3) (`{address}`); now nobody does; write an IP address and a \
             port into `listen`, and send clients there"
        );
        ledger.tell(bind.line, Kind::Unsupported, note);
    }
}

/// Addresses that are alike but for where they are: those that open TLS in the same way, those that do
/// not, and each apart where a PROXY header must come first.
fn groups(proxy: &Proxy) -> Vec<Vec<&Bind>> {
    let kind = |bind: &Bind| {
        let tls = bind.has("ssl").then(|| {
            let options =
                ["alpn", "ca-file", "ssl-min-ver", "strict-sni", "tls-ticket-keys", "verify"];
            let settings = options.map(|name| bind.settings.get(name).map(|set| set.value.clone()));
            (settings, bind.certificates.clone())
        });
        (tls, bind.has("accept-proxy"))
    };
    let mut groups: Vec<(_, Vec<&Bind>)> = Vec::new();
    for bind in &proxy.binds {
        let kind = kind(bind);
        match groups.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, group)) => group.push(bind),
            None => groups.push((kind, vec![bind])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn renamed(proxy: &Proxy, name: &str, wanted: &str, ledger: &mut Ledger) {
    if name != wanted {
        let note = format!(
            "called `{name}`: another section has the name, which HAProxy refuses today, or it has \
             signs that names have not"
        );
        ledger.tell(proxy.head, Kind::Improved, note);
    }
}

/// What a listener is made from.
struct Found<'f> {
    front: usize,
    name: String,
    group: &'f [&'f Bind],
    addresses: Vec<SocketAddr>,
    scene: Scene,
}

fn one<'w>(
    work: Work<'w>,
    found: Found<'_>,
    pools: &Pools<'w>,
    ledger: &mut Ledger,
) -> Option<Listener> {
    let Found { front, name, group, addresses, scene } = found;
    let proxy = work.proxy(front);
    let known = Known::of(work, front, pools, ledger);
    let asking = Asking::new(&proxy.acls, scene, &known);
    let mut listener = Listener { name, front, speaks: scene.http, ..Listener::default() };
    listener.binds = group.iter().map(|bind| bind.line).collect();
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    listener.pairs.push(pair("listen", toml::texts(&shown)));
    let steps = routes(work, front, (&asking.clone().late(), pools), &mut listener, ledger);
    if !scene.http && listener.pool.is_none() && listener.routes.is_empty() {
        let (_, line) = work.usual(front);
        let note = "it leads to nobody; now the listener is left out; give it endpoints";
        ledger.tell(line, Kind::Unsupported, note);
        return None;
    }
    if scene.tls {
        listener.tls = secure::opened(work.config, group, scene.http, ledger);
    }
    let before = known.before_rules();
    let access::Access { pairs: mut read, closes } =
        access::read(proxy, &Asking::new(&proxy.acls, scene, &before), ledger);
    listener.closes = closes;
    if group.iter().any(|bind| bind.has("accept-proxy")) {
        read.push(pair("proxy_from", toml::texts(&["0.0.0.0/0", "::/0"])));
        let note = "`proxy_from`: as with HAProxy everyone must send a PROXY header, and can claim any \
                    address; write the networks of the proxies in front";
        group.iter().for_each(|bind| ledger.tell(bind.line, Kind::Improved, note));
    }
    listener.pairs.extend(read);
    let ports: Vec<u16> = addresses.iter().map(SocketAddr::port).collect();
    listener.pairs.extend(times::sessions(work, front, &ports, ledger));
    let backlog = proxy.words.get("backlog").map(|set| (set.value.first(), set.line));
    if let Some((Some(text), line)) = backlog
        && let Ok(value) = text.parse::<u64>()
    {
        ledger.same(line);
        listener.pairs.push(pair("backlog", value.clamp(1, 65_535).to_string()));
    }
    if scene.http {
        listener.http = times::requests(work, front, ledger);
        if let Some(size) = general::head_max(work) {
            listener.http.push(pair("head_max", toml::text(&bytes(size))));
        }
        listener.http.extend(compression::read(work, front, ledger));
        listener.counters = known.tables().to_vec();
        if let Some(flag) = proxy.option("disable-h2-upgrade") {
            ledger.tell(flag.line, Kind::Same, "`http2 = false`");
            listener.pairs.push(pair("http2", "false"));
        }
        rules::read(work, &mut listener, (&asking, steps.as_slice(), pools), ledger);
    } else {
        times::without_requests(work, front, ledger);
        rules::without_requests(work, front, ledger);
    }
    Some(listener)
}

fn bytes(size: u64) -> String {
    if size.is_multiple_of(1_024) { format!("{}KiB", size >> 10) } else { format!("{size}B") }
}

/// Where requests or connections go, and when.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The section; `None`: there is none of that name.
    pub(super) back: Option<usize>,
    /// What takes them there: the route's condition, and none of those before it. `None`: too many are
    /// before it to be named.
    pub(super) when: Option<When>,
    /// Its line.
    pub(super) line: usize,
}

/// Routes whose negations are named in the condition of a rule behind them.
const BEFORE_MAX: usize = 200;

/// A condition, and none of those before it.
fn but(when: When, before: &[When]) -> Option<When> {
    if before.len() > BEFORE_MAX {
        return None;
    }
    let others = before.iter().filter(|other| !when.excludes(other)).cloned().map(When::negated);
    let others: Vec<When> = others.collect();
    Some(When::all(std::iter::once(when).chain(others)))
}

/// Reads `use_backend` and `default_backend` into the listener.
fn routes(
    work: Work<'_>,
    front: usize,
    (asking, pools): (&Asking<'_>, &Pools<'_>),
    listener: &mut Listener,
    ledger: &mut Ledger,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut before: Vec<When> = Vec::new();
    for route in &work.proxy(front).routes {
        let back = work.back(&route.pool);
        let when = match asking.when(route.when.as_ref(), route.line, ledger) {
            Ok(When::Never) => {
                ledger.otherwise(route.line, Kind::Ignored, "its condition never holds here");
                continue;
            }
            Ok(when) => when,
            Err(why) => {
                let note = format!(
                    "it led to `{}`; now what it took goes on to the lines behind it: {why}; write a \
                     `route` that says the same",
                    route.pool
                );
                ledger.tell(route.line, Kind::Unsupported, note);
                continue;
            }
        };
        let Some(back) = back else {
            let note = format!(
                "`{}` is no section with endpoints; now what it took goes on to the lines behind it; \
                 write a `route` to a pool",
                route.pool
            );
            ledger.tell(route.line, Kind::Unsupported, note);
            continue;
        };
        ledger.same(route.line);
        let whole = but(when.clone(), &before);
        steps.push(Step { back: Some(back), when: whole, line: route.line });
        if let Some(pool) = pools.usable(back) {
            let mut pairs = vec![pair("pool", toml::text(&pool.name))];
            pairs.extend(when.pairs());
            listener.routes.push(Block { line: Some(route.line), pairs });
        }
        let last = when == When::Always;
        before.push(when);
        if last {
            break;
        }
    }
    let rest = but(When::Always, &before);
    steps.extend(usual(work, front, (asking, pools), (listener, rest), ledger));
    steps
}

/// Reads `default_backend`; `rest`: what no route takes.
fn usual(
    work: Work<'_>,
    front: usize,
    (asking, pools): (&Asking<'_>, &Pools<'_>),
    (listener, rest): (&mut Listener, Option<When>),
    ledger: &mut Ledger,
) -> Option<Step> {
    let (back, line) = work.usual(front);
    match back {
        Some(back) => {
            ledger.same(line);
            listener.pool = pools.usable(back).map(|pool| pool.name.clone());
        }
        None if line != work.proxy(front).head => {
            let note = "it leads to a section that is not there: HAProxy refuses it";
            ledger.tell(line, Kind::Unsupported, note);
        }
        None => {}
    }
    if back.is_none() && asking.scene.http && !listener.routes.is_empty() {
        let note = "what no route takes gets 404, where HAProxy answers 503";
        ledger.tell(work.proxy(front).head, Kind::Improved, note);
    }
    (rest != Some(When::Never)).then_some(Step { back, when: rest, line })
}
