//! `explain` agrees with where traffic goes: random configurations and requests, both ways.

use crate::request::Seen;
use eclusa_config::explain::{Outcome, Question, explain, shares};
use eclusa_config::plan::{Listener, Plan, Program};
use eclusa_config::{Mode, parse};
use eclusa_policy::access::Decision;
use eclusa_policy::condition::{Asked, Facts};
use eclusa_policy::route::RouteTable;
use eclusa_policy::rules::{Context, End, Id, Scheme, Spoken, decide};
use eclusa_testkit::random::{Asks, LISTENERS, Place, site};
use eclusa_wire::http1::{Head, Lenient, Limits, Parsed, Parser};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Configurations, and requests to each.
const CONFIGURATIONS: usize = 250;
const REQUESTS: usize = 40;

/// What becomes of it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
enum Became {
    Closed,
    Status(u16),
    Pools(Vec<usize>),
}

/// A configuration with a listener of each kind.
fn configuration(rng: &mut Rng) -> Plan {
    let at = |host: [u8; 4], port: u16| SocketAddr::from((host, port));
    let place = Place {
        listeners: [80, 443, 8443].map(|port| at([0; 4], port)),
        pools: [1, 2, 3].map(|last| at([192, 0, 2, last], 80)),
        certificates: "/none".to_owned(),
        listener: String::new(),
        pool: String::new(),
        head: String::new(),
    };
    let text = site(rng, &place);
    let loaded = parse(Program::Edge, "random", &text, Mode::Offline);
    loaded.unwrap_or_else(|wrong| panic!("{text}\n{wrong}")).plan
}

/// What a client asks, as a question.
fn question(asks: &Asks) -> Question {
    let mut question = Question::from(asks.from);
    question.listener = Some(asks.listener.to_owned());
    question.server_name.clone_from(&asks.server_name);
    question.host.clone_from(&asks.host);
    question.path.clone_from(&asks.path);
    question.method.clone_from(&asks.method);
    question.headers.clone_from(&asks.headers);
    question.cookies.clone_from(&asks.cookies);
    question
}

/// What traffic does, by the functions that it runs through: `session.rs` and `exchange.rs`.
fn traffic(listener: &Listener, client: &Asks) -> Became {
    if let Decision::Denied(_) = listener.access.decide(client.from) {
        return Became::Closed;
    }
    let destination: SocketAddr = listener.addresses[0].address;
    let routes = listener.routes.iter();
    let routes = RouteTable::new(routes.map(|it| (it.when.clone(), it.target.clone())));
    let sent_name = client.sent_name();
    let server_name = sent_name.as_deref();
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
    let (id, spoken) = (Id(&"id"), Spoken::default());
    let context = Context { facts, client_port: 1, scheme, id, spoken };
    let decision = decide(&http.rules, &context, &mut |_, _| Some(true));
    match decision.end {
        Some(End::Redirect { status, .. } | End::Deny(status)) => Became::Status(status),
        Some(End::Answer(answer)) => Became::Status(answer.status),
        Some(End::Challenge(_) | End::Verify(..)) => Became::Status(401),
        Some(End::Close) => Became::Closed,
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
            let name = LISTENERS[number % LISTENERS.len()];
            let listener = plan.listeners.iter().find(|it| *it.name == *name).unwrap();
            let client = Asks::random(&mut rng, name);
            let explained = explain(&plan, &question(&client));
            let explained = explained.unwrap_or_else(|why| panic!("{client:?}: {why}"));
            let told = match &explained.outcome {
                Outcome::Denied | Outcome::Closed { .. } => Became::Closed,
                Outcome::Answered { status, .. } => Became::Status(*status),
                Outcome::Nowhere if explained.request.is_some() => Became::Status(404),
                Outcome::Nowhere => Became::Closed,
                Outcome::Routed { target, .. } => {
                    Became::Pools(shares(target).into_iter().map(|(_, pool)| pool).collect())
                }
            };
            let went = traffic(listener, &client);
            assert_eq!(told, went, "{client:?} at {listener:?}\n{explained:?}");
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
