//! Conditions as tables.

use super::*;

fn facts(source: &str, port: u16, server_name: Option<&'static str>) -> Facts<'static> {
    let destination = SocketAddr::new("192.168.1.2".parse().unwrap(), port);
    Facts::of_connection(source.parse().unwrap(), destination, server_name)
}

#[test]
fn expressions_combine() {
    let inside = Arc::new(Named {
        name: "inside".into(),
        condition: Condition::Source(Networks::new(vec!["10.0.0.0/22".parse().unwrap()])),
    });
    let shop = Condition::ServerName(vec![NamePattern::parse("*.shop.test").unwrap()]);
    let condition = Condition::All(vec![
        Condition::Not(Box::new(Condition::Named(inside))),
        Condition::Any(vec![shop, Condition::Port(vec![8443])]),
    ]);
    assert!(condition.holds(&facts("1.2.3.4", 443, Some("a.shop.test"))));
    assert!(condition.holds(&facts("1.2.3.4", 8443, None)));
    assert!(!condition.holds(&facts("1.2.3.4", 443, None)));
    assert!(!condition.holds(&facts("10.0.3.255", 8443, None)));
    assert!(condition.needs_hello());
    assert_eq!(
        condition.to_string(),
        "(not `inside` and (sni in [*.shop.test] or port in [8443]))"
    );
}

#[test]
fn empty_lists_have_the_usual_meaning() {
    let any = facts("::1", 1, None);
    assert!(Condition::All(vec![]).holds(&any));
    assert!(!Condition::Any(vec![]).holds(&any));
}

#[test]
fn a_mapped_address_is_its_v4_self() {
    let condition = Condition::Source(Networks::new(vec!["10.0.0.0/22".parse().unwrap()]));
    assert!(condition.holds(&facts("::ffff:10.0.1.1", 1, None)));
    assert!(!condition.holds(&facts("::ffff:10.0.4.1", 1, None)));
}

/// A list of one name and one address.
#[derive(Debug)]
struct One(Subject);

impl List for One {
    fn file(&self) -> &std::path::Path {
        std::path::Path::new("/lists/one.txt")
    }

    fn subject(&self) -> Subject {
        self.0
    }

    fn has_name(&self, name: &str) -> bool {
        name == "shop.test"
    }

    fn has_address(&self, address: IpAddr) -> bool {
        address == IpAddr::from([10, 0, 0, 1])
    }
}

#[test]
fn a_list_is_asked_for_its_subject() {
    let of = |subject| Condition::Listed(Listed(Arc::new(One(subject))));
    let request = Written::get("shop.test", "/");
    let asked = Asked::new(&request);
    let facts = |source, name| Facts { request: Some(&asked), ..facts(source, 443, name) };
    assert!(of(Subject::Source).holds(&facts("10.0.0.1", None)));
    assert!(!of(Subject::Source).holds(&facts("10.0.0.2", Some("shop.test"))));
    assert!(of(Subject::ServerName).holds(&facts("::1", Some("shop.test"))));
    assert!(!of(Subject::ServerName).holds(&facts("10.0.0.1", None)));
    assert!(of(Subject::Host).holds(&facts("::1", None)));
    let unread =
        super::Facts::of_connection([10, 0, 0, 1].into(), facts("::1", None).destination, None);
    assert!(!of(Subject::Host).holds(&unread), "there is no request");
    assert!(of(Subject::Host).needs_request() && !of(Subject::Host).needs_hello());
    assert!(of(Subject::ServerName).needs_hello() && !of(Subject::ServerName).needs_request());
    assert_eq!(of(Subject::Host).to_string(), "host in @/lists/one.txt");
    assert_eq!(of(Subject::Host), of(Subject::Host));
    assert_ne!(of(Subject::Host), of(Subject::ServerName));
}

fn regex(text: &str) -> Expression {
    Expression::new(regex::bytes::RegexBuilder::new(text).unicode(false).build().unwrap())
}

fn one_of(pattern: TextPattern) -> Values {
    Values::OneOf(vec![pattern])
}

#[test]
fn a_request_is_asked_for_each_of_its_parts() {
    let request = Written::get("a.shop.test", "/api/v1?debug=1&x=a%20b")
        .with_header("User-Agent", "curl/8")
        .with_header("X-Env", "blue")
        .with_header("X-Env", "green")
        .with_header("Cookie", "beta=yes");
    let host = |text: &str| Condition::Host(vec![NamePattern::parse(text).unwrap()]);
    let path = |pattern| Condition::Path(vec![pattern]);
    let exact = |text: &str| one_of(TextPattern::Exact(text.into()));
    let header = |name: &str, values| Condition::Header(name.into(), values);
    let query = |name: &str, values| Condition::Query(name.into(), values);
    let cookie = |name: &str, values| Condition::Cookie(name.into(), values);
    let table = [
        (host("*.shop.test"), true),
        (host("shop.test"), false),
        (Condition::HostText(vec![TextPattern::Prefix("a.".into())]), true),
        (Condition::HostText(vec![TextPattern::Prefix("shop.".into())]), false),
        (Condition::HostText(vec![TextPattern::Regex(regex(r"^[ab]\.shop\."))]), true),
        (path(PathPattern::prefix("/api")), true),
        (path(PathPattern::Exact("/api".into())), false),
        (path(PathPattern::Suffix("/v1".into())), true),
        (path(PathPattern::Regex(regex("^/api/v[0-9]+$"))), true),
        (Condition::Method(vec!["HEAD".into(), "GET".into()]), true),
        (Condition::Method(vec!["get".into()]), false),
        (header("user-agent", one_of(TextPattern::Prefix("curl/".into()))), true),
        (header("x-env", exact("green")), true),
        (header("x-env", exact("red")), false),
        (header("x-env", one_of(TextPattern::Regex(regex("^(?i)BLUE$")))), true),
        (header("x-other", Values::Present), false),
        (query("debug", Values::Present), true),
        (query("x", exact("a b")), true),
        (query("x", one_of(TextPattern::Suffix("c".into()))), false),
        (cookie("beta", exact("yes")), true),
        (cookie("alpha", Values::Present), false),
    ];
    let asked = Asked::new(&request);
    let without = facts("10.0.0.1", 80, None);
    let with = Facts { request: Some(&asked), ..without };
    for (condition, expected) in table {
        assert_eq!(condition.holds(&with), expected, "{condition}");
        assert!(!condition.holds(&without), "{condition} without a request");
        assert!(condition.needs_request() && !condition.needs_hello());
        let hidden = Condition::Not(Box::new(Condition::Any(vec![condition])));
        assert!(hidden.needs_request());
    }
}

/// A pool 1 with two endpoints that are well, and a counter 1 with five requests of whom it is asked.
#[derive(Debug)]
struct Two;

impl World for Two {
    fn available(&self, pool: usize, _: usize) -> usize {
        if pool == 1 { 2 } else { 0 }
    }

    fn counted(&self, counter: usize, client: IpAddr) -> Counted {
        assert_eq!((counter, client), (1, IpAddr::from([10, 0, 0, 1])));
        Counted { requests: 5, at_once: 1 }
    }

    fn count(&self, _: usize, _: IpAddr) {}
}

#[test]
fn pools_and_counters_are_asked_as_they_stand() {
    let plain = facts("10.0.0.1", 80, None);
    let known = Facts { world: &Two, ..plain };
    let well = |pool, least| Condition::Available(Available { pool, name: "web".into(), least });
    let over =
        |what, most| Condition::Over(Over { counter: 1, name: "clients".into(), what, most });
    for (condition, expected, unknown) in [
        (well(1, 1), true, true),
        (well(1, 2), true, true),
        (well(1, 3), false, true),
        (well(0, 1), false, true),
        (over(Counting::Requests, 4), true, false),
        (over(Counting::Requests, 5), false, false),
        (over(Counting::AtOnce, 0), true, false),
        (over(Counting::AtOnce, 1), false, false),
    ] {
        assert_eq!(condition.holds(&known), expected, "{condition}");
        assert_eq!(condition.holds(&plain), unknown, "{condition} of a world that nobody knows");
    }
    assert!(!well(1, 1).needs_request() && over(Counting::AtOnce, 1).needs_request());
    assert_eq!(well(1, 2).to_string(), "at least 2 of pool web well");
    let words = "more than 5 requests at once of the client at clients";
    assert_eq!(over(Counting::AtOnce, 5).to_string(), words);
}

#[test]
fn a_way_around_a_path_is_no_way_around_its_condition() {
    let admin = Condition::Path(vec![PathPattern::prefix("/admin")]);
    for path in ["/%61dmin/x", "//admin", "/x/../admin/", "/admin%2fx"] {
        let request = Written::get("a.test", path);
        let asked = Asked::new(&request);
        assert!(admin.holds(&Facts { request: Some(&asked), ..facts("::1", 80, None) }), "{path}");
    }
}

#[test]
fn every_list_of_a_certificate_has_one_that_matches() {
    let certificate = ClientCertificate {
        common_name: Some("robot".into()),
        dns_names: vec!["a.robots.test".into(), "b.test".into()],
        fingerprint: [7; 32],
    };
    let robot = TextPattern::Exact("robot".into());
    let any = CertificatePatterns::default();
    let names = vec![NamePattern::parse("*.robots.test").unwrap()];
    let fitting = CertificatePatterns {
        common_name: vec![robot],
        dns_name: names,
        fingerprint: vec![Fingerprint([8; 32]), Fingerprint([7; 32])],
    };
    let other = CertificatePatterns { fingerprint: vec![Fingerprint([8; 32])], ..fitting.clone() };
    let nameless = ClientCertificate { common_name: None, ..certificate.clone() };
    let without = facts("::1", 443, None);
    for (patterns, shown, expected) in [
        (&any, Some(&certificate), true),
        (&any, None, false),
        (&fitting, Some(&certificate), true),
        (&fitting, Some(&nameless), false),
        (&other, Some(&certificate), false),
    ] {
        let condition = Condition::ClientCertificate(patterns.clone());
        assert!(condition.needs_client_certificate() && !condition.needs_request());
        let facts = Facts { client_certificate: shown, ..without };
        assert_eq!(condition.holds(&facts), expected, "{condition}");
    }
}

#[test]
fn conditions_are_shown_as_they_were_meant() {
    let condition = Condition::All(vec![
        Condition::Host(vec![NamePattern::parse("*.shop.test").unwrap()]),
        Condition::Path(vec![PathPattern::prefix("/api"), PathPattern::Regex(regex("x$"))]),
        Condition::Header("x-env".into(), one_of(TextPattern::Prefix("b".into()))),
        Condition::Cookie("beta".into(), Values::Present),
    ]);
    assert_eq!(
        condition.to_string(),
        "(host in [*.shop.test] and path in [/api/..., ~x$] and header x-env in [b*] and cookie beta)"
    );
}
