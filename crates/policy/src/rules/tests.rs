//! Rules as tables, and what no request can make of them.

use super::*;
use crate::condition::{Asked, ClientCertificate, Expression, PathPattern, Written};
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
    HeaderChange { name: name.into(), operation, value: template(value) }
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
    see(&Context { facts, client_port: 1234, scheme, id: Id(&"id-1") })
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
            name: "X".into(), operation: Operation::Set, value: template.clone(),
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
