//! `explain` agrees with where traffic goes: random configurations and requests, both ways.

use crate::request::Seen;
use eclusa_config::explain::{Outcome, Question, explain, shares};
use eclusa_config::plan::{self, Listener, Plan, Program};
use eclusa_config::{Mode, parse};
use eclusa_policy::access::Decision;
use eclusa_policy::condition::{Asked, Facts};
use eclusa_policy::route::RouteTable;
use eclusa_policy::rules::{Context, End, Id, Scheme, decide};
use eclusa_wire::http1::{Head, Lenient, Limits, Parsed, Parser};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// Configurations, and requests to each.
const CONFIGURATIONS: usize = 250;
const REQUESTS: usize = 40;

const HOSTS: [&str; 5] = ["a.test", "b.test", "x.a.test", "c", "y.x.a.test"];
const PATTERNS: [&str; 5] = ["a.test", "*.test", "*.a.test", "b.test", "c"];
const PATHS: [&str; 5] = ["/", "/a", "/a/b", "/ab", "/img.png"];
const SENT: [&str; 11] = [
    "/", "/a", "/a/", "/a/b/c", "/ab", "//a", "/%61/b", "/x/../a", "/a?q=1", "/img.png", "/a?q=2&p",
];
const METHODS: [&str; 4] = ["GET", "POST", "OPTIONS", "CONNECT"];
const POOLS: [&str; 3] = ["one", "two", "three"];

/// What becomes of it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
enum Became {
    Closed,
    Status(u16),
    Pools(Vec<usize>),
}

fn pick<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

/// A condition as an inline table; `http`: over requests, too.
fn condition(rng: &mut Rng, http: bool, tls: bool, depth: usize) -> String {
    let nested = if depth > 0 { 3 } else { 0 };
    let kind = rng.usize(..7 + nested);
    let leaf = |rng: &mut Rng| match kind % 7 {
        0 if http => format!("host = [\"{}\", \"{}\"]", pick(rng, &PATTERNS), pick(rng, &PATTERNS)),
        1 if http => format!("path_prefix = \"{}\"", pick(rng, &PATHS)),
        2 if http => format!("path = \"{}\"", pick(rng, &PATHS)),
        3 if http => format!("method = [\"{}\"]", pick(rng, &["GET", "POST"])),
        4 if http => match rng.u8(..3) {
            0 => "header = { X-A = \"1\" }".to_owned(),
            1 => "query = { q = [\"1\", \"3\"] }".to_owned(),
            _ => "cookie = { k = \"v\" }".to_owned(),
        },
        5 if tls => format!("server_name = \"{}\"", pick(rng, &PATTERNS)),
        _ => format!("source = \"{}\"", pick(rng, &["10.0.0.0/8", "10.1.0.0/16", "::/0"])),
    };
    match kind {
        7.. => {
            let inner = |rng: &mut Rng| condition(rng, http, tls, depth - 1);
            match kind {
                7 => format!("{{ all = [{}, {}] }}", inner(rng), inner(rng)),
                8 => format!("{{ any = [{}, {}] }}", inner(rng), inner(rng)),
                _ => format!("{{ not = {} }}", inner(rng)),
            }
        }
        _ => format!("{{ {} }}", leaf(rng)),
    }
}

fn listener(rng: &mut Rng, text: &mut String, name: &str, port: u16) {
    let (http, tls) = match name {
        "http" => (true, false),
        "https" => (true, true),
        _ => (false, true),
    };
    let _ = writeln!(text, "[listener.{name}]\nlisten = [\"0.0.0.0:{port}\"]");
    if rng.bool() {
        let _ = writeln!(text, "deny = [\"10.2.0.0/16\"]");
    }
    match rng.u8(..4) {
        0 => drop(writeln!(text, "allow = [\"10.0.0.0/8\", \"2001:db8::/32\"]")),
        1 => drop(writeln!(text, "pool = \"{}\"", pick(rng, &POOLS))),
        _ => {}
    }
    match name {
        "sni" => drop(writeln!(text, "peek = \"tls\"")),
        "https" => {
            let _ = writeln!(text, "tls = {{ certificates = [\"/none\"] }}");
            let _ = writeln!(text, "http = {{ passthrough = [\"{}\"] }}", pick(rng, &PATTERNS));
        }
        _ => drop(writeln!(text, "http = true")),
    }
    for _ in 0..if http { rng.usize(..4) } else { 0 } {
        let when = condition(rng, true, tls, 2);
        let act = match rng.u8(..6) {
            0 => "deny = true",
            1 => "answer = { status = 204 }",
            2 => "redirect = { path = \"/elsewhere\" }",
            3 => "set_header = { X-B = \"2\" }",
            4 => "rewrite_path = { prefix = \"/a\", with = \"/z\" }",
            _ => {
                "basic_auth = { realm = \"r\", users = [\"a:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\"] }"
            }
        };
        let _ = writeln!(text, "[[listener.{name}.rule]]\nwhen = {when}\n{act}");
    }
    for _ in 0..rng.usize(1..7) {
        let when = condition(rng, http, tls, 2);
        let to = match rng.u8(..4) {
            0 => "split = { one = 9, two = 1, three = 0 }".to_owned(),
            _ => format!("pool = \"{}\"", pick(rng, &POOLS)),
        };
        let _ = writeln!(text, "[[listener.{name}.route]]\nwhen = {when}\n{to}");
    }
}

/// A configuration with a listener of each kind.
fn configuration(rng: &mut Rng) -> Plan {
    let mut text = String::new();
    for (name, port) in [("http", 80), ("https", 443), ("sni", 8443)] {
        listener(rng, &mut text, name, port);
    }
    for (pool, last) in POOLS.iter().zip(1..) {
        let _ = writeln!(text, "[pool.{pool}]\nendpoints = [\"192.0.2.{last}:80\"]");
    }
    let loaded = parse(Program::Edge, "random", &text, Mode::Offline);
    loaded.unwrap_or_else(|wrong| panic!("{text}\n{wrong}")).plan
}

/// What a client sends, and the same as a question.
struct Client {
    from: IpAddr,
    server_name: Option<String>,
    wire: String,
    question: Question,
}

fn client(rng: &mut Rng, listener: &Listener) -> Client {
    let from = match rng.u8(..8) {
        0 => "2001:db8::7".parse().unwrap(),
        1 => "::ffff:10.1.0.9".parse().unwrap(),
        _ => IpAddr::from([pick(rng, &["10", "11"]).parse().unwrap(), rng.u8(..3), 0, 1]),
    };
    let server_name = rng.bool().then(|| pick(rng, &HOSTS).to_owned());
    let mut question = Question::from(from);
    question.listener = Some(listener.name.to_string());
    question.server_name = server_name.clone();
    let mut wire = String::new();
    if listener.http.is_some() {
        let host = pick(rng, &HOSTS);
        let sent = match rng.u8(..4) {
            0 => host.to_ascii_uppercase(),
            1 => format!("{host}:8080"),
            2 => format!("{host}."),
            _ => host.to_owned(),
        };
        let (method, path) = (pick(rng, &METHODS), pick(rng, &SENT));
        let target = if method == "CONNECT" { "a.test:80" } else { path };
        let sent = if method == "CONNECT" { "a.test:80".to_owned() } else { sent };
        let _ = write!(wire, "{method} {target} HTTP/1.1\r\nHost: {sent}\r\n");
        (question.host, question.path) = (Some(sent), Some(path.to_owned()));
        question.method = Some(method.to_owned());
        for (name, value) in [("X-A", "1"), ("x-a", "0"), ("Authorization", "Basic YTpi")] {
            if rng.u8(..3) == 0 {
                let _ = write!(wire, "{name}: {value}\r\n");
                question.headers.push((name.to_owned(), value.to_owned()));
            }
        }
        if rng.bool() {
            let _ = write!(wire, "Cookie: j=1; k={}\r\n", pick(rng, &["v", "w"]));
            let value = if wire.contains("k=v") { "v" } else { "w" };
            question.cookies = vec![("j".into(), "1".into()), ("k".into(), value.into())];
        }
        wire.push_str("\r\n");
    }
    // Over TLS clients send the host, as `explain` takes for granted.
    let host = question.host.as_deref().map(|host| host.to_ascii_lowercase());
    let host = host.map(|host| host.trim_end_matches(":8080").trim_end_matches(":80").to_owned());
    let host = host.map(|host| host.trim_end_matches('.').to_owned());
    let server_name = match &listener.tls {
        Some(_) => server_name.or(host),
        None => server_name.filter(|_| listener.peek == plan::Peek::Tls),
    };
    Client { from, server_name, wire, question }
}

/// What traffic does, by the functions that it runs through: `session.rs` and `exchange.rs`.
fn traffic(listener: &Listener, client: &Client) -> Became {
    if let Decision::Denied(_) = listener.access.decide(client.from) {
        return Became::Closed;
    }
    let destination: SocketAddr = listener.addresses[0].address;
    let routes = listener.routes.iter();
    let routes = RouteTable::new(routes.map(|it| (it.when.clone(), it.target.clone())));
    let server_name = client.server_name.as_deref();
    let plain = Facts::of_connection(client.from.to_canonical(), destination, server_name);
    let went = |facts: &Facts<'_>| routes.choose(facts, &mut ()).map(shares);
    let pools = |shares: Vec<(u32, usize)>| {
        Became::Pools(shares.into_iter().map(|(_, pool)| pool).collect())
    };
    let opened = listener.http.as_ref();
    let Some(http) = opened.filter(|http| !http.passes(server_name)) else {
        return went(&plain).map_or(Became::Closed, pools);
    };
    let mut head = Head::new();
    head.buffer().extend_from_slice(client.wire.as_bytes());
    let parsed = Parser::request(Limits::default(), Lenient::NONE).parse(&mut head);
    assert_eq!(parsed, Parsed::Complete(client.wire.len()), "{}", client.wire);
    if head.method() == b"CONNECT" && !http.connect {
        return Became::Status(405);
    }
    let seen = Seen::new(&head);
    let asked = Asked::new(&seen);
    let facts = Facts { request: Some(&asked), ..plain };
    let scheme = if listener.tls.is_some() { Scheme::Https } else { Scheme::Http };
    let context = Context { facts, client_port: 1, scheme, id: Id(&"id") };
    let decision = decide(&http.rules, &context, &mut |_, _| Some(true));
    match decision.end {
        Some(End::Redirect { status, .. } | End::Deny(status)) => Became::Status(status),
        Some(End::Answer(answer)) => Became::Status(answer.status),
        Some(End::Challenge(_) | End::Verify(..)) => Became::Status(401),
        None => went(&facts).map_or(Became::Status(404), pools),
    }
}

#[test]
fn explain_agrees_with_where_traffic_goes() {
    let mut rng = Rng::with_seed(7);
    let mut count = 0;
    let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
    for _ in 0..CONFIGURATIONS {
        let plan = configuration(&mut rng);
        for number in 0..REQUESTS {
            let listener = &plan.listeners[number % plan.listeners.len()];
            let client = client(&mut rng, listener);
            let explained = explain(&plan, &client.question);
            let explained = explained.unwrap_or_else(|why| panic!("{:?}: {why}", client.question));
            let told = match &explained.outcome {
                Outcome::Denied => Became::Closed,
                Outcome::Answered { status, .. } => Became::Status(*status),
                Outcome::Nowhere if explained.request.is_some() => Became::Status(404),
                Outcome::Nowhere => Became::Closed,
                Outcome::Routed { target, .. } => {
                    Became::Pools(shares(target).into_iter().map(|(_, pool)| pool).collect())
                }
            };
            let went = traffic(listener, &client);
            assert_eq!(told, went, "{:?} at {listener:?}\n{explained:?}", client.question);
            // What it shows as the reason is the reason.
            if let Outcome::Routed { route, .. } = explained.outcome {
                let last = explained.routes.last().unwrap();
                assert!(last.route == route && last.why.held && last.evaluated, "{explained:?}");
                assert_eq!(explained.routes.len(), route + 1);
                assert_eq!(explained.routes.iter().filter(|tried| tried.why.held).count(), 1);
            }
            *seen.entry(kind(&told)).or_default() += 1;
            count += 1;
        }
    }
    assert_eq!(count, 10_000);
    // Random must not mean: always the same.
    for kind in ["closed", "answered", "nowhere", "pool", "split"] {
        assert!(seen.get(kind).copied().unwrap_or(0) > 200, "{seen:?}");
    }
}

fn kind(became: &Became) -> &'static str {
    match became {
        Became::Closed => "closed",
        Became::Status(404) => "nowhere",
        Became::Status(_) => "answered",
        Became::Pools(pools) if pools.len() > 1 => "split",
        Became::Pools(_) => "pool",
    }
}
