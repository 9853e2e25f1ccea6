//! Manifests: why each dependency is there, the lints, and which crate may know which.

use super::{Problem, Tree};
use crate::tree::File;

/// The arrows between our crates: a folder, the name of its package, and the packages of ours that
/// it may depend on outside of its tests.
const ARROWS: [(&str, &[&str]); 14] = [
    ("crates/wire", &[]),
    ("crates/sys", &[]),
    ("crates/policy", &["eclusa-wire"]),
    ("crates/config", &["eclusa-policy"]),
    ("crates/proxy", &["eclusa-config", "eclusa-policy", "eclusa-sys", "eclusa-wire"]),
    (
        "crates/http",
        &["eclusa-config", "eclusa-policy", "eclusa-proxy", "eclusa-sys", "eclusa-wire"],
    ),
    (
        "crates/apiserver-lb",
        &["eclusa-config", "eclusa-haproxy-compare", "eclusa-policy", "eclusa-proxy"],
    ),
    (
        "crates/edge-lb",
        &[
            "eclusa-config",
            "eclusa-haproxy-compare",
            "eclusa-http",
            "eclusa-policy",
            "eclusa-proxy",
        ],
    ),
    ("crates/haproxy-import", &["eclusa-config", "eclusa-policy"]),
    ("crates/haproxy-compare", &["eclusa-config", "eclusa-haproxy-import", "eclusa-wire"]),
    (
        "crates/testkit",
        &["eclusa-config", "eclusa-http", "eclusa-policy", "eclusa-proxy", "eclusa-wire"],
    ),
    ("tests", &["eclusa-testkit"]),
    ("benches", &[]),
    ("xtask", &[]),
];

/// Packages that only run the binaries: not even their tests may know the product.
const OUTSIDE: [&str; 3] = ["tests", "benches", "xtask"];

/// Checks the manifests.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(root) = tree.file("Cargo.toml") {
        problems.extend(reasons(root));
    }
    for file in &tree.files {
        let Some(folder) = file.path.strip_suffix("/Cargo.toml") else { continue };
        if folder == "fuzz" {
            continue; // A workspace of its own.
        }
        problems.extend(lints(folder, file));
        problems.extend(arrows(folder, file));
        problems.extend(shared_versions(file));
    }
    problems
}

/// The dependencies of a section, with their lines. Both forms are known: a key of
/// `[dependencies]` and a table `[dependencies.NAME]`.
pub fn dependencies(text: &str, section: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            inside = header == section || header.ends_with(&format!(".{section}"));
            if let Some((_, name)) = header.split_once(&format!("{section}."))
                && header.starts_with(section)
            {
                found.push((name.to_owned(), index + 1));
            }
        } else if inside && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if !name.is_empty() && line.contains('=') {
                found.push((name.to_owned(), index + 1));
            }
        }
    }
    found
}

fn problem(
    file: &File,
    line: usize,
    what: String,
    why: &'static str,
    remedy: &'static str,
) -> Problem {
    Problem { path: file.path.clone(), line, what, why, remedy }
}

/// Shared dependencies and members of the workspace say what they are for.
fn reasons(root: &File) -> Vec<Problem> {
    let lines: Vec<_> = root.text.lines().collect();
    let mut problems = Vec::new();
    for (name, line) in dependencies(&root.text, "workspace.dependencies") {
        let text = lines[line - 1];
        let above = line.checked_sub(2).map_or("", |above| lines[above].trim());
        let is_ours = text.contains("path =");
        if !(is_ours || text.contains(" #") || above.starts_with('#')) {
            problems.push(problem(
                root,
                line,
                format!("`{name}` without a reason"),
                "each crate is code that somebody must trust and keep up to date",
                "say behind it, in one line, what it is for",
            ));
        }
    }
    let members = lines.iter().enumerate().skip_while(|(_, l)| !l.starts_with("members"));
    for (index, line) in members.skip(1).take_while(|(_, line)| !line.starts_with(']')) {
        if line.trim_start().starts_with('"') && !line.contains('#') {
            problems.push(problem(
                root,
                index + 1,
                format!("member {} without a word", line.trim().trim_end_matches(',')),
                "the list of members is the map of the workspace",
                "say behind it, in one line, what it is for",
            ));
        }
    }
    problems
}

fn lints(folder: &str, file: &File) -> Option<Problem> {
    let mut lines = file.text.lines().map(str::trim).skip_while(|line| *line != "[lints]");
    let inherits = lines.any(|line| line.replace(' ', "") == "workspace=true");
    // `sys` has all of them but the one that it exists to be free of.
    let keeps = ["unused_must_use", "missing_docs", "unwrap_used", "undocumented_unsafe_blocks"];
    let is_sys = folder == "crates/sys" && keeps.iter().all(|lint| file.text.contains(lint));
    (!inherits && !is_sys).then(|| {
        problem(
            file,
            1,
            "the workspace's lints are not inherited".into(),
            "a rule that one crate escapes is none",
            "add `[lints]` with `workspace = true`",
        )
    })
}

fn arrows(folder: &str, file: &File) -> Vec<Problem> {
    let Some((_, allowed)) = ARROWS.iter().find(|(of, _)| *of == folder) else {
        return vec![problem(
            file,
            1,
            format!("`{folder}` has no place among the crates"),
            "a crate stands only where the compiler must enforce something",
            "make it a module, or add it with its arrows to ARROWS in xtask/src/tidy/manifests.rs",
        )];
    };
    let mut problems = Vec::new();
    for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
        for (name, line) in dependencies(&file.text, section) {
            let is_ours = name.starts_with("eclusa-");
            let is_test = section == "dev-dependencies" && !OUTSIDE.contains(&folder);
            if is_ours && !is_test && !allowed.contains(&name.as_str()) {
                problems.push(problem(
                    file,
                    line,
                    format!("`{folder}` must not know `{name}`"),
                    "binaries -> http -> proxy -> {policy, config, wire, sys}; what tests and measures \
                     runs the binaries; testkit never ships",
                    "turn the arrow round: pass a value or a trait down instead",
                ));
            }
        }
    }
    problems
}

/// Versions stand in one place.
fn shared_versions(file: &File) -> Vec<Problem> {
    let lines: Vec<_> = file.text.lines().collect();
    let mut problems = Vec::new();
    for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
        for (name, line) in dependencies(&file.text, section) {
            let text = lines[line - 1].split('#').next().unwrap_or_default().replace(' ', "");
            let is_table = text.starts_with('[');
            // Ours have one version; a path also lets their default features be left out.
            let is_ours = name.starts_with("eclusa-") && text.contains("path=");
            if !is_table && !is_ours && !text.contains("workspace=true") {
                problems.push(problem(
                    file,
                    line,
                    format!("`{name}` with a version of its own"),
                    "two versions of one crate are two copies in the binary",
                    "move it to [workspace.dependencies] and say `workspace = true` here",
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn found(path: &str, text: &str) -> Vec<Problem> {
        check(&Tree::of(&[(path, text)]))
    }

    #[test]
    fn dependencies_want_reasons() {
        let head = "[workspace.dependencies]\neclusa-wire = { path = \"crates/wire\" }\n";
        assert_eq!(found("Cargo.toml", &format!("{head}a = \"1\" # why\n# why\nb = \"2\"\n")), []);
        only(&found("Cargo.toml", &format!("{head}a = \"1\"\n")), 3, "`a` without a reason");
    }

    #[test]
    fn members_want_words() {
        let text = "[workspace]\nmembers = [\n    \"a\", # why\n    \"b\",\n]\n";
        only(&found("Cargo.toml", text), 4, "member \"b\"");
    }

    #[test]
    fn lints_are_inherited() {
        assert_eq!(found("crates/wire/Cargo.toml", LINTS), []);
        only(&found("crates/wire/Cargo.toml", "[package]\n"), 1, "lints are not inherited");
        let sys = "unused_must_use missing_docs unwrap_used undocumented_unsafe_blocks";
        assert_eq!(found("crates/sys/Cargo.toml", sys), []);
        only(&found("crates/proxy/Cargo.toml", sys), 1, "lints are not inherited");
    }

    #[test]
    fn arrows_point_down() {
        let wire = format!("{LINTS}[dependencies]\neclusa-proxy.workspace = true\n");
        only(&found("crates/wire/Cargo.toml", &wire), 4, "must not know `eclusa-proxy`");
        let dev = wire.replace("[dep", "[dev-dep");
        assert_eq!(found("crates/wire/Cargo.toml", &dev), []);
        only(&found("benches/Cargo.toml", &dev), 4, "must not know `eclusa-proxy`");
        let proxy = format!("{LINTS}[dependencies]\neclusa-testkit = {{ workspace = true }}\n");
        only(&found("crates/proxy/Cargo.toml", &proxy), 4, "must not know `eclusa-testkit`");
        assert_eq!(found("tests/Cargo.toml", &proxy), []);
        let table = format!("{LINTS}[dependencies.eclusa-http]\nworkspace = true\n");
        only(&found("crates/apiserver-lb/Cargo.toml", &table), 3, "must not know `eclusa-http`");
        only(&found("crates/new/Cargo.toml", LINTS), 1, "no place");
    }

    #[test]
    fn versions_are_shared() {
        let text = format!("{LINTS}[dev-dependencies]\na = \"1\" # workspace = true\n");
        let ours =
            format!("{LINTS}[dependencies]\neclusa-testkit = {{ path = \"../crates/testkit\" }}\n");
        assert_eq!(found("tests/Cargo.toml", &ours), []);
        only(&found("crates/wire/Cargo.toml", &text), 4, "`a` with a version of its own");
    }
}
