//! Purity of `wire` and `policy`, and unsafe code in its one place.

use super::rust::{Token, closing, find};
use super::{Problem, Tree, is_test};

/// Crates without input, output, clock and threads, with all the crates that they may depend on.
const PURE: [(&str, &[&str]); 2] =
    [("wire", &[]), ("policy", &["eclusa-wire", "fastrand", "ipnet", "prefix-trie", "regex"])];

/// Modules of `std` that reach out into the world.
const MODULES: [&str; 5] = ["fs", "env", "thread", "process", "os"];

/// Types and crates that do.
const NAMES: [&str; 10] = [
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "ToSocketAddrs",
    "tokio",
    "rustix",
    "libc",
];

const WHY: &str = "what decides or parses must give the same answer for the same input: it is \
                   fuzzed, simulated and explained that way";

/// Checks sources and manifests.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = unsafe_code(tree);
    for (name, allowed) in PURE {
        let folder = format!("crates/{name}/src/");
        for (file, source) in &tree.sources {
            if !file.path.starts_with(&folder) || is_test(&file.path) {
                continue;
            }
            for (line, what) in impure(source.product_tokens()) {
                problems.push(Problem {
                    path: file.path.clone(),
                    line,
                    what: format!("`{what}` in the pure crate `{name}`"),
                    why: WHY,
                    remedy: "take it as an argument, or move this to `proxy` or `sys`",
                });
            }
        }
        problems.extend(dependencies(tree, name, allowed));
    }
    problems
}

/// What reaches out into the world, and where.
fn impure(tokens: &[Token]) -> Vec<(usize, String)> {
    let mut found: Vec<_> = modules_of_std(tokens)
        .into_iter()
        .filter(|token| MODULES.contains(&token.text.as_str()))
        .map(|token| (token.line, format!("std::{}", token.text)))
        .collect();
    let names = tokens.iter().filter(|token| NAMES.contains(&token.text.as_str()));
    found.extend(names.map(|token| (token.line, token.text.clone())));
    for clock in ["Instant", "SystemTime"] {
        let call = [clock, ":", ":", "now"];
        let calls = find(tokens, &call);
        found.extend(calls.map(|at| (tokens[at].line, format!("{clock}::now"))));
    }
    // Chance comes from a generator that the caller has seeded.
    let seeded_by_itself = find(tokens, &["Rng", ":", ":", "new"]);
    found.extend(seeded_by_itself.map(|at| (tokens[at].line, "Rng::new".to_owned())));
    for at in find(tokens, &["fastrand", ":", ":"]) {
        let name = tokens.get(at + 3).map_or("", |token| token.text.as_str());
        if name.starts_with(char::is_lowercase) {
            found.push((tokens[at].line, format!("fastrand::{name}")));
        }
    }
    found
}

/// The first names after `std::`, also those in a group: `std::{fs, net::{IpAddr}}`.
fn modules_of_std(tokens: &[Token]) -> Vec<&Token> {
    let mut modules = Vec::new();
    for at in find(tokens, &["std", ":", ":"]) {
        let Some(next) = tokens.get(at + 3) else { continue };
        if next.text != "{" {
            modules.push(next);
            continue;
        }
        let end = closing(tokens, at + 3).unwrap_or(tokens.len());
        let mut depth = 0;
        for index in at + 3..end {
            let token = &tokens[index];
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ if depth == 1 && matches!(tokens[index - 1].text.as_str(), "{" | ",") => {
                    modules.push(token);
                }
                _ => {}
            }
        }
    }
    modules
}

/// Dependencies that nobody has found pure.
fn dependencies(tree: &Tree, name: &str, allowed: &[&str]) -> Vec<Problem> {
    let path = format!("crates/{name}/Cargo.toml");
    let Some(file) = tree.file(&path) else { return Vec::new() };
    super::manifests::dependencies(&file.text, "dependencies")
        .into_iter()
        .filter(|(dependency, _)| !allowed.contains(&dependency.as_str()))
        .map(|(dependency, line)| Problem {
            path: path.clone(),
            line,
            what: format!("the pure crate `{name}` depends on `{dependency}`"),
            why: WHY,
            remedy: "do without, or add it to PURE in xtask/src/tidy/purity.rs if it does no I/O and \
                     reads no clock",
        })
        .collect()
}

fn unsafe_code(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, source) in &tree.sources {
        if file.path.starts_with("crates/sys/") {
            continue;
        }
        for token in source.tokens.iter().filter(|token| token.text == "unsafe") {
            problems.push(Problem {
                path: file.path.clone(),
                line: token.line,
                what: "`unsafe` outside of crates/sys".into(),
                why: "soundness is reviewed in one place",
                remedy: "put the call into crates/sys behind a safe function",
            });
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;

    fn found(text: &str) -> Vec<Problem> {
        check(&Tree::of(&[("crates/policy/src/a.rs", text), ("crates/proxy/src/a.rs", text)]))
    }

    #[test]
    fn reaching_out_is_found() {
        only(&found("use std::fs::File;"), 1, "`std::fs`");
        only(&found("use std::{\n    collections::HashMap,\n    thread,\n};"), 3, "`std::thread`");
        only(&found("let a = std::env::var(\"A\");"), 1, "`std::env`");
        only(&found("use std::net::{IpAddr, TcpStream};"), 1, "`TcpStream`");
        only(&found("let a = Instant::now();"), 1, "`Instant::now`");
        only(&found("let a = std::time::SystemTime::now();"), 1, "`SystemTime::now`");
        only(&found("let a = fastrand::u32(..);"), 1, "`fastrand::u32`");
        only(&found("let a = fastrand::Rng::new();"), 1, "`Rng::new`");
        only(&found("async fn a() { tokio::task::yield_now().await }"), 1, "`tokio`");
    }

    #[test]
    fn thinking_is_fine() {
        assert_eq!(found("use std::{fmt, net::{IpAddr, SocketAddr}, time::Duration};"), []);
        assert_eq!(found("use std::time::Instant; fn a(now: Instant) {} // std::fs"), []);
        assert_eq!(found("use fastrand::Rng; fn a(chance: &mut Rng) { chance.u32(..); }"), []);
        assert_eq!(found("#[cfg(test)]\nmod tests { use std::fs; }"), []);
    }

    #[test]
    fn dependencies_are_reviewed() {
        let manifest = "[dependencies]\nipnet.workspace = true\ntokio.workspace = true\n\n\
                        [dev-dependencies]\nproptest.workspace = true\n";
        let tree = Tree::of(&[("crates/policy/Cargo.toml", manifest)]);
        only(&check(&tree), 3, "depends on `tokio`");
    }

    #[test]
    fn unsafe_has_its_place() {
        let text = "fn a() { unsafe { b() } }";
        let tree = Tree::of(&[("crates/sys/src/a.rs", text), ("xtask/src/a.rs", text)]);
        only(&check(&tree), 1, "`unsafe`");
    }
}
