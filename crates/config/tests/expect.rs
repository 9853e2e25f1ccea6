//! Expectations by what the check is for, and the questions that they are made of.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::explain::{Outcome, Question, explain};
use eclusa_config::plan::{Plan, Program};
use eclusa_config::{Mode, parse};
use std::net::IpAddr;

const SITE: &str = "[listener.web]\nlisten = [\"127.0.0.1:80\", \"127.0.0.1:81\"]\npool = \"a\"\n\
                    peek = \"tls\"\n";
const POOLS: &str = "[pool.a]\nendpoints = [\"192.0.2.1:80\"]\n";

/// Errors and warnings, of each the messages.
fn told(text: &str, mode: Mode) -> (Vec<String>, Vec<String>) {
    match parse(Program::Edge, "t", text, mode) {
        Ok(loaded) => (Vec::new(), loaded.warnings.lines()),
        Err(diagnostics) => (diagnostics.lines(), Vec::new()),
    }
}

fn plan(text: &str) -> Plan {
    parse(Program::Edge, "t", text, Mode::Offline).unwrap_or_else(|wrong| panic!("{wrong}")).plan
}

fn from(client: &str) -> Question {
    Question::from(client.parse::<IpAddr>().unwrap())
}

#[test]
fn a_broken_one_refuses_a_reload_and_no_start() {
    for (expect, words) in [
        ("denied = true", "expected to be closed, but route 1 of listener web takes it to"),
        ("pool = \"b\"", "there is no pool `b`"),
        ("host = \"x\"\npath = \"/\"\nstatus = 403", "listener web speaks no HTTP"),
    ] {
        let text = format!("{SITE}{POOLS}[[expect]]\nfrom = \"192.0.2.7\"\n{expect}\n");
        let only = |lines: Vec<String>| {
            assert!(matches!(&*lines, [line] if line.contains(words)), "{words}: {lines:?}");
        };
        let (errors, warnings) = told(&text, Mode::Start);
        assert!(errors.is_empty(), "it must not keep a host from serving: {errors:?}");
        only(warnings);
        for mode in [Mode::Reload, Mode::Host, Mode::Offline] {
            only(told(&text, mode).0);
        }
        assert_eq!(told(&text, Mode::Known), (Vec::new(), Vec::new()));
    }
}

#[test]
fn what_a_list_decides_is_not_verified_without_it() {
    let text = format!(
        "{SITE}[[listener.web.route]]\nserver_name = [\"@/nowhere/names.txt\"]\npool = \"b\"\n\
         {POOLS}[pool.b]\nendpoints = [\"192.0.2.2:80\"]\n\
         [[expect]]\nfrom = \"192.0.2.7\"\nserver_name = \"x.test\"\npool = \"b\"\n"
    );
    let (errors, warnings) = told(&text, Mode::Offline);
    assert!(errors.is_empty(), "{errors:?}");
    assert!(matches!(&*warnings, [line] if line.contains("not verified")), "{warnings:?}");
}

#[test]
fn there_are_not_too_many() {
    let one = "[[expect]]\nfrom = \"192.0.2.7\"\npool = \"a\"\n";
    let text = |count| format!("{SITE}{POOLS}{}", one.repeat(count));
    assert_eq!(told(&text(1_000), Mode::Offline), (Vec::new(), Vec::new()));
    let (errors, _) = told(&text(1_001), Mode::Offline);
    assert!(errors[0].contains("1001 expectations are too many"), "{errors:?}");
}

#[test]
fn the_port_and_the_server_name_are_those_that_the_listener_sees() {
    let routes = "[[listener.web.route]]\nport = 81\npool = \"b\"\n\
                  [[listener.web.route]]\nserver_name = \"*.test\"\npool = \"b\"\n";
    let pools = format!("{POOLS}[pool.b]\nendpoints = [\"192.0.2.2:80\"]\n");
    let looks = plan(&format!("{SITE}{routes}{pools}"));
    let route = |plan: &Plan, question: &Question| match explain(plan, question).unwrap().outcome {
        Outcome::Routed { route, .. } => route,
        other => panic!("{other:?}"),
    };
    assert_eq!(route(&looks, &from("192.0.2.7")), 2, "the first address has port 80");
    assert_eq!(route(&looks, &Question { port: Some(81), ..from("192.0.2.7") }), 0);
    let named = Question { server_name: Some("A.Test.".into()), ..from("192.0.2.7") };
    assert_eq!(route(&looks, &named), 1);
    // What the index leaves out is explained, in order.
    let routes: Vec<_> = explain(&looks, &from("192.0.2.7")).unwrap().routes;
    let shown: Vec<_> = routes.iter().map(|it| (it.route, it.evaluated, it.why.held)).collect();
    assert_eq!(shown, [(0, true, false), (1, false, false), (2, true, true)]);
    let blind = plan(&format!("{}{pools}", SITE.replace("\"tls\"", "\"none\"")));
    let explained = explain(&blind, &named).unwrap();
    assert_eq!(explained.server_name, None);
    assert!(explained.notes[0].contains("does not look at server names"), "{explained:?}");
}

#[test]
fn passthrough_and_server_names_of_hosts() {
    let text = format!(
        "[listener.web]\nlisten = [\"127.0.0.1:443\"]\npool = \"a\"\n\
         tls = {{ certificates = \"/a.pem\" }}\nhttp = {{ passthrough = [\"raw.test\"] }}\n{POOLS}"
    );
    let plan = plan(&text);
    let ask = |host: &str| {
        let (host, path) = (Some(host.to_owned()), Some("/".to_owned()));
        explain(&plan, &Question { host, path, ..from("192.0.2.7") }).unwrap()
    };
    let opened = ask("Shop.Test:443");
    assert_eq!(opened.server_name.as_deref(), Some("shop.test"));
    assert_eq!(opened.request.unwrap().host, "shop.test");
    let passed = ask("raw.test");
    assert!(passed.request.is_none() && passed.notes[1].contains("passthrough"), "{passed:?}");
    assert_eq!(ask("[::1]:443").server_name, None, "no server name is sent for an address");
    let question = Question { server_name: Some("raw.test".into()), ..from("192.0.2.7") };
    assert!(explain(&plan, &question).is_ok());
    let question = Question { server_name: Some("shop.test".into()), ..from("192.0.2.7") };
    let lacks = explain(&plan, &question).unwrap_err();
    assert_eq!(lacks, "listener web speaks HTTP: the host and the path are missing");
}
