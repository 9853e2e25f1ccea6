//! Rules as tables, and what no request can make of them.

use super::*;
use crate::condition::{
    Asked, ClientCertificate, Counted, Counting, Expression, Over, PathPattern, World, Written,
};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn always(act: Act) -> Rule {
    Rule { when: Condition::Always, act }
}

fn change(name: &str, operation: Operation, value: &str) -> HeaderChange {
    HeaderChange { name: name.into(), operation, value: template(value), pattern: None }
}

/// Calls `see` with the context of a request of a client at 192.0.2.7.
fn with<T>(request: &Written, scheme: Scheme, see: impl FnOnce(&Context<'_>) -> T) -> T {
    let asked = Asked::new(request);
    let destination = SocketAddr::from(([192, 168, 1, 2], 8443));
    let connection = Facts::of_connection([192, 0, 2, 7].into(), destination, Some("sni.test"));
    let certificate =
        ClientCertificate { common_name: Some("robot".into()), ..ClientCertificate::default() };
    let facts =
        Facts { request: Some(&asked), client_certificate: Some(&certificate), ..connection };
    let spoken = Spoken { http: "1.1", tls: "TLSv1.3", hostname: "edge-1" };
    see(&Context { facts, client_port: 1234, scheme, id: Id(&"id-1"), spoken })
}

/// What becomes of a request, in short.
fn outcome(rules: &[Rule], request: &Written) -> String {
    with(request, Scheme::Https, |context| {
        let decision = decide(rules, context, &mut |_, _| None);
        let edits = |edits: &[Edit<'_>]| -> Vec<String> {
            let show =
                |edit: &Edit<'_>| format!("{:?} {}={}", edit.operation, edit.name, edit.value);
            edits.iter().map(show).collect()
        };
        format!(
            "{:?} {:?} path={:?} host={:?} {:?}",
            edits(&decision.request),
            edits(&decision.response),
            decision.path,
            decision.host,
            decision.end
        )
    })
}

fn location(redirect: &Redirect, request: &Written, scheme: Scheme) -> String {
    match with(request, scheme, |context| redirect.end(context)) {
        End::Redirect { location, .. } => location,
        other => panic!("{other:?}"),
    }
}

#[test]
fn variables_are_filled_in() {
    let request = Written::get("shop.test", "/a%20b?x=1").with_header("User-Agent", "curl");
    for (text, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("{client}:{client_port}", "192.0.2.7:1234"),
        ("{scheme}://{host}:{port}{path}?{query}", "http://shop.test:8443/a%20b?x=1"),
        ("{sni} {id} {method}", "sni.test id-1 GET"),
        ("{header:User-Agent}{header:x-none}", "curl"),
        ("{certificate_name}", "robot"),
        ("{{{id}}}", "{id-1}"),
        ("{http_version} {tls_version} {hostname}", "1.1 TLSv1.3 edge-1"),
    ] {
        let template = template(text);
        let got = with(&request, Scheme::Http, |context| template.render(context).into_owned());
        assert_eq!(got, expected, "{text}");
        assert_eq!(template.literal().is_some(), !text.contains('{'));
    }
    for (text, error) in [
        ("{clent}", TemplateError::Unknown("clent".into())),
        ("{", TemplateError::Open),
        ("{client", TemplateError::Open),
        ("client}", TemplateError::Close),
        ("{header:}", TemplateError::HeaderName(String::new())),
        ("{header:a b}", TemplateError::HeaderName("a b".into())),
        ("a\nb", TemplateError::Control),
    ] {
        assert_eq!(Template::parse(text), Err(error), "{text}");
    }
    for name in Template::variables() {
        assert!(Template::parse(&format!("{{{name}}}")).is_ok(), "{name}");
    }
}

#[test]
fn what_only_an_answer_tells_is_filled_in_later() {
    let rules = [always(Act::Response(change(
        "X-From",
        Operation::Add,
        "{pool}/{endpoint} for {header:x}",
    )))];
    // A mark that the client sends is none.
    let request = Written::get("a.test", "/").with_header("x", "\u{1}{pool}");
    with(&request, Scheme::Http, |context| {
        let decision = decide(&rules, context, &mut |_, _| None);
        let edit = &decision.response[0];
        assert!(edit.is_late());
        let served = Served { pool: "web", endpoint: "web-1\r\nX: y" };
        let filled = edit.filled(&served);
        assert_eq!(filled.value, "web/web-1  X: y for  {pool}");
        assert!(!filled.is_late());
        assert_eq!(edit.filled(&Served::default()).value, "/ for  {pool}");
    });
    assert_eq!(template("{host} {endpoint}").late(), Some("endpoint"));
    assert_eq!(template("{host} {{endpoint}}").late(), None);
}

#[test]
fn a_part_of_a_field_is_replaced_where_it_matches() {
    let pattern = regex::bytes::RegexBuilder::new("^http://app(:[0-9]+)?/(.*)$")
        .unicode(false)
        .build()
        .unwrap();
    let pattern = Expression::new(pattern);
    let location =
        HeaderChange { pattern: Some(pattern), ..change("Location", Operation::Replace, "/$2") };
    let request = Written::get("a.test", "/");
    with(&request, Scheme::Http, |context| {
        let edit = location.edit(context);
        let replaced = |value: &str| edit.replaced(value.as_bytes());
        assert_eq!(replaced("http://app/x?y").as_deref(), Some(&b"/x?y"[..]));
        assert_eq!(replaced("http://app:8080/").as_deref(), Some(&b"/"[..]));
        assert_eq!(replaced("http://other/x"), None);
        assert_eq!(edit.replaced(b"http://app/\xff ").as_deref(), Some(&b"/\xff"[..]));
    });
    let plain = change("Location", Operation::Set, "x");
    with(&request, Scheme::Http, |context| assert_eq!(plain.edit(context).replaced(b"x"), None));
}

/// A world with one counter, which forgets nobody.
#[derive(Debug, Default)]
struct Counter(std::cell::Cell<u64>);

impl World for Counter {
    fn available(&self, pool: usize, _: usize) -> usize {
        pool
    }

    fn counted(&self, _: usize, _: std::net::IpAddr) -> Counted {
        Counted { requests: self.0.get(), at_once: 0 }
    }

    fn count(&self, _: usize, _: std::net::IpAddr) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn rules_behind_a_count_see_it() {
    let over = |most| {
        let (name, what) = ("clients".into(), Counting::Requests);
        Condition::Over(Over { counter: 0, name, what, most })
    };
    let rules = [
        Rule { when: over(3), act: Act::Close },
        always(Act::Count(Count { counter: 0, name: "clients".into() })),
        Rule { when: over(2), act: Act::Deny(Deny { status: 429 }) },
    ];
    let world = Counter::default();
    let ends: Vec<_> = (0..6)
        .map(|_| {
            with(&Written::get("a.test", "/"), Scheme::Http, |context| {
                let facts = Facts { world: &world, ..context.facts };
                let context = Context { facts, ..*context };
                decide(&rules, &context, &mut |_, _| None).end
            })
        })
        .collect();
    let (deny, close) = (Some(End::Deny(429)), Some(End::Close));
    assert_eq!(ends, [None, None, deny.clone(), deny, close.clone(), close]);
    assert_eq!(world.0.get(), 4, "what is closed before it is not counted");
}

#[test]
fn redirects_lead_where_they_say() {
    let redirect = |scheme, host: Option<&str>, to| Redirect {
        scheme,
        host: host.map(template),
        to,
        status: 302,
    };
    let get = |target| Written::get("shop.test", target);
    let table = [
        (redirect(Some(Scheme::Https), None, To::Same), "/a?b", "https://shop.test/a?b"),
        (redirect(None, Some("www.{host}"), To::Same), "/a", "http://www.shop.test/a"),
        (
            redirect(Some(Scheme::Https), Some("{host}:8443"), To::Same),
            "/",
            "https://shop.test:8443/",
        ),
        (redirect(None, None, To::Prefix("/new".into())), "/a?b", "/new/a?b"),
        (redirect(None, None, To::Path(template("/login?from={path}"))), "/a?b", "/login?from=/a"),
        (redirect(None, None, To::Same), "//evil.test/x", "/evil.test/x"),
        (redirect(None, None, To::Same), "/*/x", "/*/x"),
        (redirect(None, None, To::Path(template("{header:x-to}"))), "/", "/evil.test%20x"),
        // What is no host is not taken for one.
        (redirect(None, Some("{header:x-to}"), To::Same), "/a", "http://shop.test/a"),
        (redirect(Some(Scheme::Https), None, To::Same), "*", "https://shop.test/"),
    ];
    for (redirect, target, expected) in table {
        let request = get(target).with_header("x-to", "/\\evil.test x");
        assert_eq!(location(&redirect, &request, Scheme::Http), expected, "{redirect:?}");
    }
}

#[test]
fn paths_are_rewritten() {
    let regex = |text: &str, with: &str| {
        let compiled = regex::bytes::RegexBuilder::new(text).unicode(false).build().unwrap();
        RewritePath::Regex(Expression::new(compiled), with.into())
    };
    let prefix = RewritePath::prefix;
    for (rewrite, path, expected) in [
        (prefix("/api", "/"), "/api/v1", Some("/v1")),
        (prefix("/api", "/"), "/api", Some("/")),
        (prefix("/api/", "/v2/"), "/api/x", Some("/v2/x")),
        (prefix("/", "/app"), "/x", Some("/app/x")),
        (prefix("/api", "/"), "/apiary", None),
        (prefix("/api", "/"), "/api//evil", Some("/evil")),
        (prefix("/api", "/"), "/api/a%2Fb%3F", Some("/a%2Fb%3F")),
        // Round the prefix, and yet there.
        (prefix("/api", "/"), "/%61pi/a b?", Some("/a%20b%3F")),
        (prefix("/api", "/"), "*", None),
        (regex("^/old/(.*)$", "/new/$1"), "/old/x", Some("/new/x")),
        (regex("^/old/(.*)$", "$1?q=1\r\nx"), "/old/x", Some("/x%3Fq=1%0D%0Ax")),
        (regex("^/none", "/x"), "/old", None),
    ] {
        assert_eq!(rewrite.rewritten(path).as_deref(), expected, "{rewrite:?} {path}");
    }
}

#[test]
fn rules_act_in_order_until_one_answers() {
    let admin = Condition::Path(vec![PathPattern::prefix("/admin")]);
    let rules = [
        always(Act::Hsts(Hsts::new(Duration::from_secs(60), true, false))),
        always(Act::RequestId(RequestId {
            header: "X-Request-Id".into(),
            accept: true,
            respond: true,
        })),
        Rule { when: admin, act: Act::Deny(Deny { status: 403 }) },
        always(Act::Request(change("X-Real-IP", Operation::Set, "{client}"))),
        always(Act::Request(change("X-Old", Operation::Remove, ""))),
        always(Act::Response(change("Server", Operation::Remove, ""))),
        always(Act::RewritePath(RewritePath::prefix("/a", "/b"))),
        always(Act::RewritePath(RewritePath::prefix("/b", "/c"))),
        always(Act::RewriteHost(RewriteHost(template("app.{host}")))),
        always(Act::RewriteHost(RewriteHost(template("{header:none}")))),
    ];
    let id = "Set X-Request-Id=id-1";
    let hsts = "Set Strict-Transport-Security=max-age=60; includeSubDomains";
    assert_eq!(
        outcome(&rules, &Written::get("shop.test", "/a/x")),
        format!(
            "[\"{id}\", \"Set X-Real-IP=192.0.2.7\", \"Remove X-Old=\"] \
             [\"{hsts}\", \"{id}\", \"Remove Server=\"] \
             path=Some(\"/c/x\") host=Some(\"app.shop.test\") None"
        )
    );
    let request = Written::get("shop.test", "/admin").with_header("X-Request-ID", "theirs");
    assert_eq!(
        outcome(&rules, &request),
        format!(
            "[\"Set X-Request-Id=theirs\"] [\"{hsts}\", \"Set X-Request-Id=theirs\"] \
             path=None host=None Some(Deny(403))"
        )
    );
    let plain = with(&Written::get("a.test", "/"), Scheme::Http, |context| {
        decide(&rules[..1], context, &mut |_, _| None).response.len()
    });
    assert_eq!(plain, 0, "no HSTS in the clear");
}

#[test]
fn an_id_that_is_no_id_is_replaced() {
    let rules =
        [always(Act::RequestId(RequestId { header: "X-Id".into(), accept: true, respond: false }))];
    for sent in ["", "a b", "a\"b", &"x".repeat(129)] {
        let request = Written::get("a.test", "/").with_header("x-id", sent);
        assert!(outcome(&rules, &request).starts_with("[\"Set X-Id=id-1\"]"), "{sent}");
    }
}

#[test]
fn nobody_passes_without_the_right_password() {
    let mut users = Users::default();
    let hash = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";
    users.add(&format!("Aladdin:{hash}")).unwrap();
    let basic = Basic { realm: "the \"cave\"".into(), users: Arc::new(users), file: None };
    assert_eq!(basic.challenge(), "Basic realm=\"the \\\"cave\\\"\", charset=\"UTF-8\"");
    assert!(basic.with_file(&format!("bob:{hash}")).unwrap().get("Aladdin").is_some());
    let rules = [always(Act::Authenticate(basic.clone())), always(Act::Deny(Deny { status: 410 }))];
    let aladdin = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    let credentials = Credentials::parse(aladdin).unwrap();
    let shown = Written::get("a.test", "/").with_header("Authorization", aladdin);
    let nothing = Written::get("a.test", "/");
    for (request, known, expected) in [
        (&nothing, Some(true), End::Challenge(&basic)),
        (&shown, Some(false), End::Challenge(&basic)),
        (&shown, None, End::Verify(&basic, credentials)),
        (&shown, Some(true), End::Deny(410)),
    ] {
        with(request, Scheme::Https, |context| {
            let decision = decide(&rules, context, &mut |_, _| known);
            assert_eq!(decision.end, Some(expected));
        });
    }
}

#[test]
fn what_was_decided_before_a_password_is_not_decided_again() {
    let mut users = Users::default();
    let hash = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";
    users.add(&format!("Aladdin:{hash}")).unwrap();
    let basic = Basic { realm: "cave".into(), users: Arc::new(users), file: None };
    let (name, what) = ("clients".into(), Counting::Requests);
    let over = Condition::Over(Over { counter: 0, name, what, most: 0 });
    let rules = [
        // Once the request counts it would be over.
        Rule { when: over, act: Act::Deny(Deny { status: 429 }) },
        always(Act::Count(Count { counter: 0, name: "clients".into() })),
        always(Act::Request(change("X-Seen", Operation::Add, "once"))),
        always(Act::Authenticate(basic)),
        always(Act::Request(change("X-In", Operation::Add, "yes"))),
    ];
    let world = Counter::default();
    let shown = Written::get("a.test", "/")
        .with_header("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    with(&shown, Scheme::Https, |context| {
        let facts = Facts { world: &world, ..context.facts };
        let context = Context { facts, ..*context };
        let asked = decide(&rules, &context, &mut |_, _| None);
        assert!(matches!(asked.end, Some(End::Verify(..))));
        let decided = go_on(asked, &rules, &context, &mut |_, _| Some(true));
        let names: Vec<_> = decided.request.iter().map(|edit| edit.name).collect();
        assert_eq!((decided.end, names), (None, vec!["X-Seen", "X-In"]));
        assert_eq!(world.0.get(), 1);
    });
}

#[test]
fn no_rule_changes_where_messages_end() {
    for (name, error) in [
        ("Content-Length", header::NameError::Framing),
        ("transfer-encoding", header::NameError::Framing),
        ("Connection", header::NameError::Framing),
        ("Host", header::NameError::Host),
        ("a b", header::NameError::Token),
        ("", header::NameError::Token),
        ("a:", header::NameError::Token),
        ("\u{e4}", header::NameError::Token),
    ] {
        assert_eq!(header::name(name), Err(error), "{name}");
    }
    assert_eq!(header::name("X-Real-IP").as_deref(), Ok("X-Real-IP"));
}

fn hostile() -> impl Strategy<Value = String> {
    "[a-z/\\\\?#%{}:@ \r\n\0\u{7f}\u{e4}.0-9]{0,16}"
}

proptest! {
    /// Whatever a request has in it, no value has a control character, and no address, path or host
    /// means more than one.
    #[test]
    fn nothing_gets_out_of_its_place(
        (host, path, query, value) in (hostile(), hostile(), hostile(), hostile()),
        text in "(\\{(host|path|query|header:x|sni|method)\\}|[a-z/ ]){0,4}",
    ) {
        let request = Written { host, path, query: Some(query), ..Written::get("", "/") }
            .with_header("x", &value);
        let template = template(&text);
        let redirect = |scheme, host, to| Act::Redirect(Redirect { scheme, host, to, status: 302 });
        let set = Act::Request(HeaderChange {
            name: "X".into(), operation: Operation::Set, value: template.clone(), pattern: None,
        });
        let id = RequestId { header: "x".into(), accept: true, respond: true };
        let acts = [
            set, Act::RequestId(id),
            Act::RewriteHost(RewriteHost(template.clone())),
            Act::RewritePath(RewritePath::prefix("/a", "/b")),
        ];
        let ends = [
            redirect(None, None, To::Same),
            redirect(Some(Scheme::Https), Some(template.clone()), To::Prefix("/p".into())),
            redirect(None, None, To::Path(template)),
        ];
        for end in ends {
            let rules: Vec<_> = acts.iter().cloned().chain([end]).map(always).collect();
            with(&request, Scheme::Http, |context| {
                let decision = decide(&rules, context, &mut |_, _| None);
                for edit in decision.request.iter().chain(&decision.response) {
                    assert!(!edit.value.contains(['\r', '\n', '\0']), "{:?}", edit);
                }
                assert!(decision.host.is_none_or(|host| !host.contains(['/', '@', ' ', '\r', '\n'])));
                let graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
                assert!(decision.path.is_none_or(|path| {
                    graphic(&path) && path.starts_with('/') && !path.starts_with("//") && !path.contains(['?', '#'])
                }));
                let Some(End::Redirect { location, .. }) = decision.end else { panic!("no end") };
                assert!(graphic(&location), "{location:?}");
                assert!(!location.starts_with("//") && !location.contains('\\'), "{location:?}");
                assert!(location.starts_with('/') || location.starts_with("https://"), "{location:?}");
            });
        }
    }
}
