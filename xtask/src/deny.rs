//! `cargo xtask deny`: licences, banned crates, sources, and how much the daemons pull in. The data
//! is deny.toml, a subset of what cargo-deny reads.

mod licence;

use crate::{Outcome, step, tree};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The daemons: what ships.
pub(crate) const DAEMONS: [&str; 2] = ["eclusa-apiserver", "eclusa-edge"];
/// The most crates that one may consist of, itself and ours included.
const MOST_CRATES: usize = 150;

/// `cargo xtask deny`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Also list the crates of the daemons.
    #[arg(long)]
    list: bool,
}

impl Options {
    /// Without the list.
    pub fn brief() -> Self {
        Self { list: false }
    }
}

/// What deny.toml says.
#[derive(Debug, Default)]
struct Rules {
    target: String,
    licences: BTreeSet<String>,
    /// Crate and reason.
    banned: BTreeMap<String, String>,
    sources: BTreeSet<String>,
}

/// Checks the dependency graph of the workspace, tests and tools included.
///
/// # Errors
/// Something is not as deny.toml wants it; everything is told.
pub fn run(options: &Options) -> Outcome {
    let rules = Rules::read(
        &fs::read_to_string(tree::root().join("deny.toml"))
            .map_err(|error| format!("cannot read deny.toml: {error}"))?,
    )?;
    let target = ["--target", rules.target.as_str()];
    let text = cargo(&["metadata", "--format-version=1", "--filter-platform", &rules.target])?;
    let metadata =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    // The metadata also lists what no feature switches on; the tree does not.
    let tree = [&["tree", "--workspace", "-e", "all", "--prefix=none"], &target[..]].concat();
    let packages = packages(&metadata, &crates(&cargo(&tree)?));
    let mut problems = problems(&packages, &rules);
    for daemon in DAEMONS {
        let tree = [&["tree", "-p", daemon, "-e", "normal", "--prefix=none"], &target[..]].concat();
        let crates = crates(&cargo(&tree)?);
        println!("deny: {daemon} consists of {} crates, at most {MOST_CRATES}", crates.len());
        if options.list {
            crates.iter().for_each(|name| println!("    {name}"));
        }
        if crates.len() > MOST_CRATES {
            problems.push(format!(
                "{daemon} consists of {} crates, more than {MOST_CRATES}: each is code that runs \
                 with our rights. Do without one, or leave out its features; `cargo tree -p {daemon} \
                 -e normal` shows who wants what",
                crates.len()
            ));
        }
    }
    if problems.is_empty() {
        println!("deny: {} crates, nothing to object to", packages.len());
        return Ok(());
    }
    problems.iter().for_each(|problem| println!("deny: {problem}"));
    Err(format!(
        "deny: {} objections; the rules and their reasons are in deny.toml",
        problems.len()
    ))
}

/// What cargo says to a question about the dependencies as they are locked.
pub(crate) fn cargo(arguments: &[&str]) -> Outcome<String> {
    let mut command = step::cargo();
    command.args(arguments).arg("--locked");
    let output = command.output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        let trouble = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", step::typed(&command), trouble.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Rules {
    fn read(text: &str) -> Outcome<Self> {
        let document: toml::Table = text.parse().map_err(|error| format!("deny.toml: {error}"))?;
        let at = |section: &str, key: &str| {
            let value = document.get(section).and_then(|section| section.get(key));
            value.and_then(toml::Value::as_array).cloned().unwrap_or_default()
        };
        let texts = |section: &str, key: &str| -> BTreeSet<String> {
            at(section, key).iter().filter_map(|v| v.as_str().map(ToOwned::to_owned)).collect()
        };
        let mut banned = BTreeMap::new();
        for entry in at("bans", "deny") {
            let text = |key| entry.get(key).and_then(toml::Value::as_str).map(ToOwned::to_owned);
            let name = text("crate").ok_or("deny.toml: an entry of bans.deny without `crate`")?;
            let reason = text("reason")
                .ok_or_else(|| format!("deny.toml: `{name}` is banned without a `reason`"))?;
            banned.insert(name, reason);
        }
        let target = texts("graph", "targets").into_iter().next();
        let rules = Self {
            target: target.ok_or("deny.toml: graph.targets is empty")?,
            licences: texts("licenses", "allow"),
            banned,
            sources: texts("sources", "allow-registry")
                .into_iter()
                .map(|url| format!("registry+{url}"))
                .collect(),
        };
        Ok(rules)
    }
}

/// A crate of the graph.
#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    /// `None` for ours.
    source: Option<String>,
}

/// The packages that cargo knows, reduced to those of `tree`.
fn packages(metadata: &Value, tree: &BTreeSet<String>) -> Vec<Package> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let list = metadata["packages"].as_array().into_iter().flatten();
    let packages = list.map(|package| Package {
        name: text(&package["name"]).unwrap_or_default(),
        version: text(&package["version"]).unwrap_or_default(),
        licence: text(&package["license"]),
        source: text(&package["source"]),
    });
    packages
        .filter(|package| tree.contains(&format!("{} {}", package.name, package.version)))
        .collect()
}

/// What deny.toml objects to.
fn problems(packages: &[Package], rules: &Rules) -> Vec<String> {
    let mut problems = Vec::new();
    for Package { name, version, licence, source } in packages {
        if let Some(reason) = rules.banned.get(name) {
            problems.push(format!(
                "{name} {version} is banned: {reason}. `cargo tree --workspace -i {name}` shows who \
                 wants it"
            ));
        }
        match licence {
            Some(licence) if licence::satisfied(licence, &rules.licences) => {}
            Some(licence) => problems.push(format!(
                "{name} {version} is under `{licence}`, which is not on the list. Read it, then add \
                 it to deny.toml or do without the crate"
            )),
            None => problems.push(format!("{name} {version} names no licence")),
        }
        if let Some(source) = source.as_ref().filter(|source| !rules.sources.contains(*source)) {
            problems.push(format!(
                "{name} {version} comes from {source}. Only what crates.io has published can be \
                 built by everybody"
            ));
        }
    }
    problems
}

/// `NAME VERSION` of each line of `cargo tree` without its drawing: `a v1.0.0 (proc-macro)`.
pub(crate) fn crates(lines: &str) -> BTreeSet<String> {
    let name_and_version = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        Some(format!("{name} {}", rest.split(' ').next()?))
    };
    lines.lines().filter_map(name_and_version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

    #[test]
    fn crates_of_a_tree_are_read() {
        let lines =
            "daemon v0.1.0 (path)\na v1.0.0 (proc-macro)\n\na v1.0.0 (*)\n[dev-dependencies]\n";
        assert_eq!(crates(lines).into_iter().collect::<Vec<_>>(), ["a 1.0.0", "daemon 0.1.0"]);
    }

    #[test]
    fn objections_are_told() {
        let package = |name: &str, licence: Option<&str>, source: Option<&str>| json!({"name": name, "version": "1.0.0", "license": licence, "source": source});
        let metadata = json!({"packages": [
            package("daemon", Some("Apache-2.0"), None),
            package("a", Some("MIT OR Apache-2.0"), Some(CRATES_IO)),
            package("b", Some("AGPL-3.0"), Some(CRATES_IO)),
            package("openssl", None, Some("git+https://example.com/x")),
            package("other-target", Some("Unknown"), Some(CRATES_IO)),
        ]});
        let tree = ["daemon", "a", "b", "openssl"].map(|name| format!("{name} 1.0.0")).into();
        let rules = Rules::read(&format!(
            "[graph]\ntargets = [\"t\"]\n[licenses]\nallow = [\"Apache-2.0\", \"MIT\"]\n[bans]\n\
             deny = [{{ crate = \"openssl\", reason = \"a second TLS\" }}]\n\
             [sources]\nallow-registry = [\"{}\"]\n",
            CRATES_IO.trim_start_matches("registry+")
        ));
        let problems = problems(&packages(&metadata, &tree), &rules.unwrap());
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].starts_with("b 1.0.0 is under `AGPL-3.0`"));
        assert!(problems[1].starts_with("openssl 1.0.0 is banned: a second TLS."));
        assert_eq!(problems[2], "openssl 1.0.0 names no licence");
        assert!(problems[3].contains("comes from git+https://example.com/x"));
    }

    #[test]
    fn bans_have_reasons() {
        let text = "[graph]\ntargets = [\"t\"]\n[bans]\ndeny = [{ crate = \"a\" }]\n";
        assert!(Rules::read(text).is_err_and(|error| error.contains("`a` is banned without")));
        assert!(Rules::read("").is_err_and(|error| error.contains("graph.targets")));
    }
}
