//! TLS and HTTP in plans: defaults, files, differences.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::diff::Diff;
use eclusa_config::plan::{
    ByteSize, ClientCertificates, Counter, Forwarded, Http, Peek, Plan, PoolHttp, Program,
};
use eclusa_config::{Mode, parse};
use eclusa_policy::condition::{Asked, Facts, Written};
use eclusa_policy::route::{RouteTable, Target};
use eclusa_policy::rules::{Act, Count};
use std::path::Path;
use std::time::Duration;

fn plan(text: &str) -> Plan {
    let loaded = parse(Program::Edge, "t", text, Mode::Offline);
    loaded.unwrap_or_else(|errors| panic!("{errors}")).plan
}

fn site(listener: &str, rest: &str) -> Plan {
    plan(&format!(
        "[listener.web]\nlisten = [\"0.0.0.0:443\"]\npool = \"a\"\n{listener}\n\
         [pool.a]\nendpoints = [\"10.0.1.100:443\"]\n[pool.b]\nendpoints = [\"10.0.1.101:443\"]\n\
         [[listener.web.route]]\nsource = \"192.0.2.1\"\npool = \"b\"\n{rest}\n"
    ))
}

fn http(plan: &Plan) -> &Http {
    plan.listeners[0].http.as_ref().unwrap()
}

#[test]
fn defaults_are_those_of_the_book() {
    let plan = site("http = true", "");
    let http = http(&plan);
    let times = [http.head_timeout, http.body_timeout, http.keep_alive_timeout];
    assert_eq!(times.map(|time| time.as_secs()), [10, 30, 60]);
    assert_eq!((http.head_max, http.headers_max, http.body_max), (ByteSize(32 << 10), 100, None));
    assert_eq!(http.body_rate_min, ByteSize(256));
    assert_eq!((http.forwarded, http.connect), (Forwarded::Set, false));
    assert_eq!(http.upgrades.iter().map(|name| &**name).collect::<Vec<_>>(), ["websocket"]);
    assert_eq!(
        (http.limit.connections, http.limit.enforce, http.limit.rate),
        (Some(1_000), false, None)
    );
    assert_eq!(plan.listeners[0].peek, Peek::None);
    assert_eq!(plan.listeners[0].idle_timeout, Some(Duration::from_secs(3_600)));
    assert_eq!(plan.pools[0].http, PoolHttp::default());
    assert_eq!(plan.pools[0].tls, None);
    let plan = site("http = false\n", "");
    assert!(plan.listeners[0].http.is_none() && plan.listeners[0].tls.is_none());
    let plan = site("http = true\ntls = { certificates = \"/a.pem\", client_ca = \"/ca\" }", "");
    let tls = plan.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.client, ClientCertificates::Required("/ca".into()));
    assert_eq!(tls.alpn.iter().map(|name| &**name).collect::<Vec<_>>(), ["h2", "http/1.1"]);
    assert_eq!(
        (plan.listeners[0].peek, tls.handshake_timeout),
        (Peek::Tls, Duration::from_secs(10))
    );
}

#[test]
fn a_plan_names_all_its_files() {
    let listener = "http = true\ntls = { certificates = [\"/live\", \"/b.pem\"], client_ca = \"/clients\", \
                    tickets = \"/tickets\" }";
    let rest = "[[listener.web.rule]]\nbasic_auth = { users_file = \"/users\" }\n\
                [[listener.web.rule]]\nanswer = { file = \"/answer\" }\n\
                [pool.a.tls]\nca = \"/ca\"\ncertificate = \"/edge.crt\"\nkey = \"/edge.key\"\n\
                [[listener.web.rule]]\nanswer = { status = 503, message = \"/message\" }\n\
                [errors.503]\nhtml = \"/503.html\"\njson = \"/503.json\"\n[pool.a.probe]\n\
                kind = \"tls\"\nca = \"/probe\"\nserver_name = \"a.test\"\n";
    let plan = site(listener, rest);
    let mut files: Vec<_> = plan.files().collect();
    files.sort_unstable();
    let mut expected = [
        "/live",
        "/b.pem",
        "/clients",
        "/tickets",
        "/users",
        "/answer",
        "/message",
        "/ca",
        "/edge.crt",
        "/edge.key",
        "/503.html",
        "/503.json",
        "/probe",
    ]
    .map(Path::new);
    expected.sort_unstable();
    assert_eq!(files, expected);
}

#[test]
fn each_change_is_told_by_its_name() {
    let changes = |from: (&str, &str), to: (&str, &str)| -> Vec<String> {
        let diff = Diff::between(&site(from.0, from.1), &site(to.0, to.1));
        diff.changes.iter().map(ToString::to_string).collect()
    };
    let tls = "http = true\ntls = { certificates = \"/a.pem\" }";
    let rule = "[[listener.web.rule]]\ndeny = true\n";
    let split =
        |shares: &str| format!("[[listener.web.route]]\nport = 443\nsplit = {{ {shares} }}\n");
    let (one, other) = (split("a = 9, b = 1"), split("a = 8, b = 1"));
    for (from, to, expected) in [
        (("http = true", ""), (tls, ""), "listener web: TLS changed"),
        (("http = true", ""), ("http = true", rule), "listener web: rules changed"),
        (
            ("http = true", ""),
            ("http = { head_timeout = \"5s\" }", ""),
            "listener web: HTTP changed",
        ),
        (
            ("http = true", ""),
            ("http = true\nlimit = { enforce = true }", ""),
            "listener web: limits changed",
        ),
        ((tls, ""), (tls, "[pool.a.tls]\nverify = false"), "pool a: TLS changed"),
        ((tls, ""), (tls, "[pool.a.http]\nretries = 2"), "pool a: HTTP changed"),
        ((tls, ""), (tls, "[errors.503]\nhtml = \"/x\""), "errors: pages changed"),
        ((tls, &*one), (tls, &*other), "listener web: routes changed"),
        (
            (tls, "[counter.c]\nwithin = \"60s\""),
            (tls, "[counter.c]\nwithin = \"61s\""),
            "counter: counters changed",
        ),
    ] {
        assert!(changes(from, from).is_empty());
        let told: Vec<_> = changes(from, to)
            .into_iter()
            .filter(|told| !told.ends_with("settings changed"))
            .collect();
        assert_eq!(told, [expected]);
    }
}

#[test]
fn counters_and_what_applications_need_have_their_defaults() {
    let plan = site(
        "http = { compress = true, log_headers = [\"Origin\"] }",
        "[[listener.web.rule]]\ncount = \"b\"\n[counter.a]\nwithin = \"60s\"\n\
         [counter.b]\nwithin = \"10s\"\nforget_after = \"15s\"\nclients = 7\n",
    );
    let told = |counter: &Counter| {
        (
            counter.name.to_string(),
            counter.within.as_secs(),
            counter.forget_after.as_secs(),
            counter.clients,
        )
    };
    let counters: Vec<_> = plan.counters.iter().map(told).collect();
    assert_eq!(counters, [("a".to_owned(), 60, 120, 65_536), ("b".to_owned(), 10, 15, 7)]);
    let http = http(&plan);
    assert_eq!(http.rules[0].act, Act::Count(Count { counter: 1, name: "b".into() }));
    assert_eq!(http.log_headers, ["origin".into()]);
    let compress = http.compress.as_ref().unwrap();
    assert!(compress.at_once == 128 && compress.types.contains(&"text/".into()), "{compress:?}");
    assert_eq!(self::http(&site("http = true", "")).compress, None);
}

/// From the text to the pool, as an edge asks.
#[test]
fn requests_find_their_pools() {
    let rest = "[[listener.web.route]]\nhost = \"*.shop.test\"\npath_prefix = \"/api\"\n\
                header = { X-Env = \"blue\" }\nsplit = { a = 1, b = 1 }\n";
    let plan = site("http = true", rest);
    let routes = &plan.listeners[0].routes;
    let table = RouteTable::new(routes.iter().map(|one| (one.when.clone(), one.target.clone())));
    let to = |request: &Written| {
        let asked = Asked::new(request);
        let connection =
            Facts::of_connection([192, 0, 2, 7].into(), ([192, 168, 1, 2], 443).into(), None);
        let facts = Facts { request: Some(&asked), ..connection };
        table.choose(&facts, &mut ()).cloned()
    };
    let api = Written::get("a.shop.test", "/%61pi/v1");
    assert_eq!(to(&api), Some(Target::Pool(0)));
    let blue = to(&api.with_header("x-env", "blue")).unwrap();
    assert_eq!((blue.pool(0), blue.pool(u64::MAX)), (0, 1));
}
