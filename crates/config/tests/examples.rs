//! The files in `config/`, the template of the bench, and the printed reference.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::{Peek, Plan, Program};
use eclusa_config::{Mode, reference};
use eclusa_policy::route::Target;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn program_of(name: &str) -> Program {
    if name.starts_with("edge") { Program::Edge } else { Program::Apiserver }
}

/// The plan of an example, which must not even have a warning.
fn plan(name: &str) -> Plan {
    let path = repository().join("config").join(name);
    let loaded = eclusa_config::load(program_of(name), &path, Mode::Offline)
        .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    loaded.plan
}

#[test]
fn every_example_is_right() {
    let mut count = 0;
    for entry in fs::read_dir(repository().join("config")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        println!("{name}");
        plan(&name);
        count += 1;
    }
    assert!(count >= 6, "only {count} examples");
}

#[test]
fn full_examples_say_what_minimal_ones_leave_out() {
    for program in ["apiserver", "edge"] {
        let [full, minimal] = ["full", "minimal"]
            .map(|kind| format!("{:#?}", plan(&format!("{program}-{kind}.toml"))));
        assert_eq!(full, minimal, "{program}");
    }
}

#[test]
fn full_examples_have_every_key() {
    for (file, program) in
        [("apiserver-full.toml", Program::Apiserver), ("edge-full.toml", Program::Edge)]
    {
        let text = fs::read_to_string(repository().join("config").join(file)).unwrap();
        let words: BTreeSet<&str> =
            text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
        let mut missing = Vec::new();
        reference::walk(program, &mut |path, section| {
            let unwritten = section.keys.iter().filter(|key| !words.contains(key.name));
            missing.extend(unwritten.map(|key| format!("{path} {}", key.name)));
        });
        assert!(missing.is_empty(), "{file} does not show {missing:?}");
    }
}

#[test]
fn commented_keys_of_full_examples_are_right_too() {
    for name in ["apiserver-full.toml", "edge-full.toml"] {
        let text = fs::read_to_string(repository().join("config").join(name)).unwrap();
        // Comments have a space behind `#`, keys have none.
        let shown: Vec<_> = text
            .lines()
            .map(|line| line.strip_prefix('#').filter(|key| !key.starts_with(' ')).unwrap_or(line))
            .collect();
        let shown = shown.join("\n").replace("kind = \"tcp\"", "kind = \"https\"");
        let shown = shown.replace("peek = \"none\"", "peek = \"tls\"");
        let loaded = eclusa_config::parse(program_of(name), name, &shown, Mode::Offline);
        let warnings = loaded.unwrap_or_else(|errors| panic!("{errors}")).warnings;
        // A condition that only shows its form.
        let strangers = |line: &String| line.contains("`strangers`");
        assert!(warnings.lines().iter().all(strangers), "{warnings}");
    }
}

#[test]
fn scenarios_mean_what_they_say() {
    let sni = plan("edge-sni.toml");
    assert_eq!(sni.listeners[0].peek, Peek::Tls);
    assert_eq!(sni.listeners[0].routes.len(), 2);
    assert!(sni.pools.iter().all(|pool| pool.within.is_some() && pool.send_proxy.is_some()));
    let tcp = plan("edge-tcp.toml");
    assert_eq!(tcp.listeners[0].peek, Peek::None);
    assert!(tcp.pools[0].endpoints[1].backup);
}

#[test]
fn two_ports_are_two_listeners_and_pools() {
    let text = "masters = [\"10.0.0.11\", \"m2.example\", \"[fd00::1]\"]\nports = [6443, 9345]\n";
    let loaded = eclusa_config::parse(Program::Apiserver, "two", text, Mode::Offline).unwrap();
    let (listeners, pools) = (&loaded.plan.listeners, &loaded.plan.pools);
    let names: Vec<_> = listeners.iter().map(|listener| &*listener.name).collect();
    assert_eq!(names, ["apiserver", "apiserver-9345"]);
    for (index, port) in [6443, 9345].into_iter().enumerate() {
        assert_eq!(listeners[index].routes[0].target, Target::Pool(index));
        assert!(listeners[index].addresses.iter().all(|one| one.address.port() == port));
        let optional: Vec<_> = listeners[index].addresses.iter().map(|one| one.optional).collect();
        assert_eq!(optional, [false, true]);
        let shown = format!("{:?}", pools[index].endpoints);
        assert_eq!(shown.matches(&format!("{port}")).count(), 3, "{shown}");
    }
}

#[test]
fn the_template_of_the_bench_is_right() {
    let path = repository().join("benches/templates/tcp/eclusa.toml");
    let text = bare(&fs::read_to_string(path).unwrap());
    let filled = [
        ("{workers}", "1"),
        ("{sessions_max}", "1000"),
        ("{directory}", "/tmp/bench"),
        ("{listen}", "127.0.0.1:10000"),
        ("{endpoint}", "127.0.0.1:10001"),
    ];
    let text = filled.iter().fold(text, |text, (from, to)| text.replace(from, to));
    let loaded = eclusa_config::parse(Program::Edge, "bench", &text, Mode::Offline);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.plan.listeners[0].peek, Peek::None);
    assert_eq!(loaded.plan.workers, Some(1));
    assert!(!loaded.plan.log.sessions());
}

/// A template of the bench with nothing on that it may have.
fn bare(template: &str) -> String {
    let (mut stands, mut out) = (Vec::new(), String::new());
    for line in template.lines() {
        match line.trim() {
            "{end}" => drop(stands.pop()),
            "{for endpoint}" => stands.push(true),
            begin if begin.starts_with("{if not ") => stands.push(true),
            begin if begin.starts_with("{if ") || begin.starts_with("{for ") => stands.push(false),
            _ if stands.iter().all(|stands| *stands) => out.extend([line, "\n"]),
            _ => {}
        }
    }
    out
}

#[test]
fn what_is_printed_from_the_table_is_up_to_date() {
    let mut pages = vec![("docs/configuration.md".to_owned(), reference::render())];
    for (short, program) in [("apiserver", Program::Apiserver), ("edge", Program::Edge)] {
        let man = reference::man(program, env!("CARGO_PKG_VERSION"));
        pages.push((format!("packaging/man/{}.toml.5", program.name()), man));
        pages.push((format!("docs/{short}.schema.json"), reference::schema(program)));
    }
    for (path, page) in pages {
        let path = repository().join(path);
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, page).unwrap();
        } else {
            let written = fs::read_to_string(&path).unwrap_or_default();
            assert!(written == page, "{}: BLESS=1 cargo test -p eclusa-config", path.display());
        }
    }
}
