//! What HAProxy 2.6 does was tried on it, each case by itself: an import does the same, or its report says that it
//! does not.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::Program;
use eclusa_haproxy_import::{Elsewhere, File, Imported, Kind, Options, import};

/// A frontend and a backend with these lines, below defaults with these.
fn imported(defaults: &str, front: &str, back: &str) -> Imported {
    let lines = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let text = format!(
        "defaults\n    mode http\n{}frontend web\n    bind :80\n{}    default_backend app\n\
         backend app\n{}    server a 10.0.0.1:80\n",
        lines(defaults),
        lines(front),
        lines(back),
    );
    let files = [File { name: "a.cfg".to_owned(), text }];
    let imported = import(Program::Edge, &files, &Options::default(), &Elsewhere);
    assert_eq!(imported.mistakes, None, "{}", imported.toml);
    imported
}

/// The rules, without the comments that they come with, and `http.compress`.
fn rules(imported: &Imported) -> String {
    let mut kept = Vec::new();
    let mut within = false;
    for line in imported.toml.lines() {
        within = if line.starts_with('[') { line.ends_with(".rule]]") } else { within };
        if (within && line.contains(" = ")) || line.starts_with("compress = ") {
            kept.push(line);
        }
    }
    kept.join("\n")
}

fn told(imported: &Imported, line: &str) -> (Kind, String) {
    let told = imported.report.lines.iter().find(|told| told.text == line).unwrap();
    (told.kind, told.notes.join("; "))
}

fn kind(imported: &Imported, line: &str) -> Kind {
    told(imported, line).0
}

const CLIENT: &str = "set_header = { X-Forwarded-For = \"{client}\" }";
const NOT_THERE: &str = "when = { not = { header = { X-Forwarded-For = true } } }";

#[test]
fn the_name_of_forwardfor_is_that_of_the_backend() {
    for (defaults, front, back, expected) in [
        ("", "option forwardfor header X-Front", "option forwardfor", CLIENT),
        ("option forwardfor", "option forwardfor header X-Front", "", CLIENT),
        (
            "",
            "option forwardfor",
            "option forwardfor header X-Back",
            "set_header = { X-Back = \"{client}\" }",
        ),
        ("", "option forwardfor header X-Front", "", "set_header = { X-Front = \"{client}\" }"),
        ("option forwardfor header X-All", "", "option forwardfor", CLIENT),
    ] {
        assert_eq!(rules(&imported(defaults, front, back)), expected, "{front}: {back}");
    }
}

#[test]
fn if_none_holds_where_both_say_it() {
    let both = format!("{CLIENT}\n{NOT_THERE}");
    let (once, none) = ("option forwardfor", "option forwardfor if-none");
    for (front, back, expected) in [
        (none, once, CLIENT),
        (once, none, CLIENT),
        (none, none, both.as_str()),
        (none, "", both.as_str()),
        ("", none, both.as_str()),
    ] {
        let imported = imported("", front, back);
        assert_eq!(rules(&imported), expected, "{front}: {back}");
        let line = if front.is_empty() { back } else { front };
        let wanted = if expected == CLIENT { Kind::Improved } else { Kind::Same };
        assert_eq!(kind(&imported, line), wanted, "{front}: {back}");
    }
    // HAProxy asks what a rule has left there.
    let imported =
        imported("", "http-request del-header X-Forwarded-For\noption forwardfor if-none", "");
    assert_eq!(rules(&imported), "remove_header = [\"X-Forwarded-For\"]");
    let (kind, note) = told(&imported, "option forwardfor if-none");
    assert_eq!(kind, Kind::Unsupported);
    assert!(note.contains("now what clients claim there passes: `if-none` means"), "{note}");
}

#[test]
fn whom_either_side_excepts_is_not_told_of() {
    let (front, back) =
        ("option forwardfor except 10.0.0.0/8", "option forwardfor except 192.0.2.1");
    let not = |network: &str| format!("{{ not = {{ source = [\"{network}\"] }} }}");
    for (front, back, expected) in [
        (front, "option forwardfor", format!("{CLIENT}\nwhen = {}", not("10.0.0.0/8"))),
        ("option forwardfor", back, format!("{CLIENT}\nwhen = {}", not("192.0.2.1"))),
        (
            front,
            back,
            format!("{CLIENT}\nwhen = {{ all = [{}, {}] }}", not("192.0.2.1"), not("10.0.0.0/8")),
        ),
        (
            "option forwardfor except 10.0.0.0/8 except 192.0.2.1",
            "",
            format!("{CLIENT}\nwhen = {}", not("192.0.2.1")),
        ),
    ] {
        assert_eq!(rules(&imported("", front, back)), expected, "{front}: {back}");
    }
    let named = "option forwardfor except localhost";
    let imported = imported("", named, "");
    assert_eq!(rules(&imported), CLIENT);
    let (kind, note) = told(&imported, named);
    assert_eq!(kind, Kind::Unsupported);
    assert!(note.contains("`except localhost` is no network that can be asked"), "{note}");
}

#[test]
fn a_field_that_cannot_be_set_is_told() {
    for line in ["option forwardfor header Host", "option forwardfor header X-A:"] {
        let imported = imported("", line, "");
        assert_eq!(rules(&imported), "", "{line}");
        assert_eq!(kind(&imported, line), Kind::Unsupported, "{line}");
    }
}

#[test]
fn sections_that_differ_in_forwardfor_are_told_apart() {
    let text = "\
defaults
    mode http
frontend web
    bind :80
    option forwardfor header X-Front
    use_backend a if { path_beg /a }
    default_backend b
backend a
    option forwardfor
    server a 10.0.0.1:80
backend b
    server b 10.0.0.2:80
";
    let files = [File { name: "a.cfg".to_owned(), text: text.to_owned() }];
    let imported = import(Program::Edge, &files, &Options::default(), &Elsewhere);
    let front = CLIENT.replace("Forwarded-For", "Front");
    let asked = "path_regex = [\"^/a\"]";
    let expected = format!("{CLIENT}\n{asked}\n{front}\nwhen = {{ not = {{ {asked} }} }}");
    assert_eq!(rules(&imported), expected);
}

#[test]
fn values_that_rules_before_have_changed_are_told() {
    for (before, rule) in [
        ("http-request set-header X-A new", "http-request set-header X-B %[req.hdr(X-A)]"),
        ("http-request add-header X-A new", "http-request set-header X-B %[req.hdr(x-a)]"),
        ("http-request del-header X-A", "http-request add-header X-B a-%[req.fhdr(X-A)]"),
        ("http-request replace-header X-A a b", "http-request set-header X-B %[req.hdr(X-A)]"),
        ("http-request set-header Host b", "http-request set-header X-Host %[hdr(host)]"),
        ("http-request set-path /p", "http-request set-header X-Path %[path]"),
        ("http-request replace-path /a /b", "http-request set-header X-Path %[path]"),
        ("http-request set-header X-A new", "http-request set-header Host %[req.hdr(X-A)]"),
    ] {
        let imported = imported("", &format!("{before}\n{rule}"), "");
        let (kind, note) = told(&imported, rule);
        assert_eq!(kind, Kind::Unsupported, "{before}: {rule}");
        assert!(
            note.contains("which a rule before it changes") && note.contains("left out"),
            "{note}"
        );
        assert_eq!(rules(&imported).lines().count(), 1, "{}", rules(&imported));
        // In the section that it is led to as well, and not the other way round.
        let apart = self::imported("", before, rule);
        assert_eq!(self::kind(&apart, rule), Kind::Unsupported, "{before}: {rule}");
        let first = self::imported("", &format!("{rule}\n{before}"), "");
        assert_ne!(self::kind(&first, rule), Kind::Unsupported, "{rule}: {before}");
    }
    for (before, redirect) in [
        (
            "http-request set-header Host b",
            "http-request redirect scheme https if { src 10.0.0.1 }",
        ),
        ("http-request set-path /p", "redirect prefix https://b.test"),
        ("http-request set-path /p", "redirect location https://b.test%[url]"),
    ] {
        let imported = imported("", &format!("{before}\n{redirect}"), "");
        assert_eq!(kind(&imported, redirect), Kind::Unsupported, "{redirect}");
        assert!(rules(&imported).contains("redirect = "), "{redirect}");
    }
    // These are of the request as it came, with HAProxy, too.
    for (before, rule) in [
        ("http-request set-path /p", "http-request set-header X-Path %HPO"),
        ("http-request set-path /p", "redirect location https://b.test%[capture.req.uri]"),
        (
            "http-request set-var(txn.a) req.hdr(X-A)\nhttp-request set-header X-A b",
            "http-request set-header X-B %[var(txn.a)]",
        ),
    ] {
        let imported = imported("", &format!("{before}\n{rule}"), "");
        assert_ne!(kind(&imported, rule), Kind::Unsupported, "{before}: {rule}");
    }
    let cookie = "http-request deny if { req.cook(a) b }";
    let cookies = imported("", &format!("http-request del-header Cookie\n{cookie}"), "");
    assert_eq!(kind(&cookies, cookie), Kind::Unsupported);
}

#[test]
fn what_a_pattern_matches_is_a_group() {
    let imported = imported(
        "",
        "http-request replace-header X-A n(.)t [\\\\0-\\\\1]\nhttp-request replace-path /b <\\\\0>",
        "",
    );
    let expected = "replace_header = { name = \"X-A\", regex = \"^.*?(n(.)t).*$\", with = \"[${1}-${2}]\" }\n\
                    rewrite_path = { regex = \"^.*?(/b).*$\", with = \"<${1}>\" }";
    assert_eq!(rules(&imported), expected);
}

#[test]
fn algorithms_and_types_of_compression_come_each_from_its_section() {
    let html = "compress = { types = [\"text/html\"] }";
    let css = "compress = { types = [\"text/css\"] }";
    let (gzip, front) =
        ("compression algo gzip", "compression algo gzip\ncompression type text/html");
    for (front, back, expected) in [
        (front, "", html),
        (front, "compression type text/css", css),
        (gzip, "compression type text/css", css),
        ("compression type text/html", gzip, html),
        ("compression algo deflate\ncompression type text/html", gzip, html),
        (front, "compression algo identity", ""),
        ("compression type text/html", "", ""),
    ] {
        assert_eq!(rules(&imported("", front, back)), expected, "{front}: {back}");
    }
}

#[test]
fn who_is_allowed_before_is_not_counted() {
    let table = "stick-table type ip size 1k expire 1m store http_req_rate(10s)";
    let deny = "http-request deny if { sc_http_req_rate(0) gt 5 }";
    let track = "http-request track-sc0 src";
    let front = format!("{table}\nhttp-request allow if {{ src 10.0.0.1 }}\n{track}\n");
    // In the section that all are led to rules hold for those who were allowed as well.
    let imported = imported("", &front, deny);
    let not = "{ not = { source = [\"10.0.0.1\"] } }";
    let expected = format!(
        "count = \"web\"\nwhen = {not}\ndeny = true\nwhen = {{ all = [{not}, {{ counted_over = {{ web = 5 }} }}] }}"
    );
    assert_eq!(rules(&imported), expected);
    // Whom it lets through nobody can tell: then nobody is counted, and that is told.
    let front = format!("{table}\nhttp-request allow if {{ ssl_c_used }}\n{track}\n");
    assert_eq!(kind(&self::imported("", &front, deny), track), Kind::Unsupported);
}
