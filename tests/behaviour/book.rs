//! The operator's book: alerts have rules, pages and figures that exist; translations have the commands
//! of what they translate; units, examples and events that a page names are there.

use e2e::client;
use eclusa_testkit::book::{self, Page};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const RULES: &str = "packaging/prometheus/eclusa.rules.yml";
const RULES_TEST: &str = "packaging/prometheus/eclusa.rules.test.yml";

/// An alert as its rule has it.
struct Alert {
    name: String,
    /// The lines of its rule.
    text: String,
}

fn alerts() -> Vec<Alert> {
    let rules = read(RULES);
    let of_rule = |text: &str| {
        let (name, text) = text.split_once('\n')?;
        Some(Alert { name: name.trim().into(), text: text.into() })
    };
    rules.split("- alert: ").skip(1).filter_map(of_rule).collect()
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let names: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    assert!(names.len() >= 12, "{names:?}");
    for alert in alerts() {
        let named = format!("runbook: docs/alerts/{}.md\n", alert.name);
        assert!(alert.text.contains(&named), "{} does not say `{named}`", alert.name);
    }
    let pages = book::pages();
    for (folder, parts) in [
        ("docs/alerts/", ["## First", "## Remedy"]),
        ("docs/pt-BR/alerts/", ["## Primeiro", "## Solução"]),
    ] {
        let pages: Vec<&Page> = pages.iter().filter(|page| page.path.starts_with(folder)).collect();
        let name = |page: &Page| page.path[folder.len()..].trim_end_matches(".md").to_owned();
        let found: BTreeSet<String> =
            pages.iter().map(|page| name(page)).filter(|name| name != "README").collect();
        assert_eq!(found, names, "{folder}");
        let index = read(&format!("{folder}README.md"));
        for page in pages.into_iter().filter(|page| name(page) != "README") {
            let name = name(page);
            assert!(page.text.starts_with(&format!("# {name}\n")), "{}", page.path);
            let at = parts.map(|part| page.text.find(part));
            assert!(at[0].is_some() && at[0] < at[1], "{} lacks {parts:?}", page.path);
            let between = &page.text[at[0].unwrap()..at[1].unwrap()];
            assert!(between.contains("\n```sh\n"), "{}: no first command", page.path);
            assert!(index.contains(&format!("]({name}.md)")), "{folder}README.md lacks {name}");
        }
    }
}

#[test]
fn alerts_ask_figures_that_exist_and_each_is_tested() {
    let metrics = read("docs/metrics.md");
    let tests = read(RULES_TEST);
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    for alert in alerts() {
        let asked =
            alert.text.split(|char| !is_part(char)).filter(|word| word.starts_with("eclusa_"));
        let asked: BTreeSet<_> = asked.collect();
        let is_up = alert.text.contains("expr: up{");
        assert!(!asked.is_empty() || is_up, "{} asks nothing of ours", alert.name);
        for metric in asked {
            assert!(metrics.contains(&format!("| `{metric}` |")), "{}: {metric}", alert.name);
            // One that fires and one that is quiet: `all is well` is for all.
            assert!(tests.contains(&format!("'{metric}{{")), "{RULES_TEST} lacks {metric}");
        }
        let fires = format!("ALERTS{{alertname=\"{}\", alertstate=\"firing\"", alert.name);
        assert!(tests.contains(&fires), "{RULES_TEST}: {} never fires", alert.name);
    }
}

#[test]
fn promtool_takes_the_rules_and_their_test() {
    if client::missing("promtool_takes_the_rules_and_their_test", "promtool") {
        return;
    }
    for arguments in [["check", "rules", RULES], ["test", "rules", RULES_TEST]] {
        let mut promtool = Command::new("promtool");
        let output = promtool.args(arguments).current_dir(repository()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.contains("SUCCESS"), "{arguments:?}: {said}");
        assert!(!said.contains("FAILED") && !said.contains("warning"), "{said}");
    }
}

/// The English page of a translation.
fn original(path: &str) -> Option<String> {
    if path == "README.pt-BR.md" {
        return Some("README.md".into());
    }
    path.strip_prefix("docs/pt-BR/").map(|name| format!("docs/{name}"))
}

/// The digits in a page's tables, in order: 1.5 s is 1,5 s elsewhere.
fn figures(page: &Page) -> Vec<&str> {
    let rows = page.text.lines().filter(|line| line.starts_with('|'));
    let digits = rows.flat_map(|row| row.split(|char: char| !char.is_ascii_digit()));
    digits.filter(|digits| !digits.is_empty()).collect()
}

#[test]
fn translations_have_the_blocks_and_parts_of_their_originals() {
    let pages = book::pages();
    let translations: Vec<_> =
        pages.iter().filter_map(|page| Some((page, original(&page.path)?))).collect();
    for (page, original) in &translations {
        let english = pages.iter().find(|page| page.path == *original);
        let english = english.unwrap_or_else(|| panic!("{}: there is no {original}", page.path));
        let [there, here] = [english, *page].map(Page::blocks);
        for (one, other) in there.iter().zip(&here) {
            assert_eq!(
                (&one.info, &one.text),
                (&other.info, &other.text),
                "{}: {}",
                one.place,
                other.place
            );
        }
        assert_eq!(there.len(), here.len(), "blocks of {original} and {}", page.path);
        let parts = |page: &Page| page.text.lines().filter(|line| line.starts_with('#')).count();
        assert_eq!(parts(english), parts(page), "headings of {original} and {}", page.path);
        assert_eq!(figures(english), figures(page), "tables of {original} and {}", page.path);
        assert_ne!(english.text, page.text, "{} is not translated", page.path);
    }
    let translated: BTreeSet<&str> = translations.iter().map(|(_, name)| name.as_str()).collect();
    let wanted = |page: &&Page| {
        page.path.starts_with("docs/alerts/")
            || ["README.md", "docs/start.md", "docs/coming-from-haproxy.md"].contains(&&*page.path)
    };
    for page in pages.iter().filter(wanted) {
        assert!(translated.contains(&*page.path), "{} has no translation", page.path);
    }
}

#[test]
fn the_table_of_contents_has_every_page() {
    let contents = read("docs/README.md");
    for page in book::pages() {
        let Some(name) = page.path.strip_prefix("docs/") else { continue };
        let listed = contents.contains(&format!("]({name})"));
        assert!(listed || name.contains('/') || name == "README.md", "docs/README.md lacks {name}");
    }
}

/// Paths of this repository in the text, and what units are called.
#[test]
fn files_and_units_that_pages_name_are_there() {
    let (mut paths, mut units) = (0, 0);
    for page in book::pages() {
        let spans = page.spans();
        let here = ["systemd/", "config/", "packaging/", "crates/", "docs/", "xtask/"];
        for (place, span) in &spans {
            if here.iter().any(|folder| span.starts_with(folder)) && !span.contains(['*', ' ']) {
                paths += 1;
                assert!(repository().join(span).exists(), "{place}: no {span}");
            }
        }
        let typed = page.blocks().into_iter().map(|block| (block.place, block.text));
        let named = spans.iter().map(|(place, span)| (place.clone(), (*span).to_owned()));
        for (place, text) in typed.chain(named) {
            for line in text.lines().filter(|line| line.contains("systemctl ")) {
                let is_end = |char: char| char.is_whitespace() || "'\"/;".contains(char);
                for word in line.split(is_end).filter(|word| word.starts_with("eclusa-")) {
                    units += 1;
                    let name = word.trim_end_matches(".service");
                    let unit = repository().join(format!("systemd/{name}.service"));
                    assert!(unit.exists(), "{place}: no unit {word}");
                }
            }
        }
    }
    assert!(paths >= 10 && units >= 10, "only {paths} paths and {units} units in the book");
}
