//! Links between the files of the repository lead somewhere.

use super::{Problem, Tree};
use std::path::{Component, Path, PathBuf};

/// Checks all Markdown files.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let root = crate::tree::root();
    // Files that are not text are not in the tree, but may be linked.
    let exists = |path: &Path| {
        let name = path.to_string_lossy();
        let folder = format!("{name}/");
        tree.files.iter().any(|file| file.path == name || file.path.starts_with(&folder))
            || path == Path::new("")
            || (!name.starts_with("target/") && root.join(path).is_file())
    };
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|file| file.has_extension("md")) {
        for (line, target) in targets(&file.text) {
            let path = target.split('#').next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if is_elsewhere || path.is_empty() {
                continue;
            }
            if !resolve(&file.path, path).is_some_and(|path| exists(&path)) {
                problems.push(Problem {
                    path: file.path.clone(),
                    line,
                    what: format!("the link to `{target}` leads nowhere"),
                    why: "a reader who follows it is lost",
                    remedy: "mend the path, which is relative to this file, or write what it names",
                });
            }
        }
    }
    problems
}

/// The path of a link, relative to the root; `None` when it leaves the repository.
fn resolve(from: &str, link: &str) -> Option<PathBuf> {
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    let mut path = PathBuf::new();
    for part in folder.join(link).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => path.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// The targets of `[text](target)` and `[name]: target` outside of code, with their lines.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut targets = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        let line = without_code(line);
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            targets.push((index + 1, target.to_owned()));
        }
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            targets.push((index + 1, target.trim().to_owned()));
        }
    }
    targets
}

/// A line without `what stands between backticks`; the text of a link may have them.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;

    fn found(text: &str) -> Vec<Problem> {
        check(&Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("src/c.rs", "")]))
    }

    #[test]
    fn links_lead_somewhere() {
        let fine = "[b](b.md) [`c`](../src/c.rs#L3) [folder](../src) [docs](../docs/) [root](..)\n\
                    [web](https://example.com/x.md) [part](#part) [b]: b.md\n[r]: b.md\n";
        assert_eq!(found(fine), []);
        only(&found("a\n[b](c.md)\n"), 2, "`c.md`");
        only(&found("[`c`](../../out.md)\n"), 1, "`../../out.md`");
        only(&found("[r]: nowhere.md\n"), 1, "`nowhere.md`");
        only(&found("[r](/etc/passwd)\n"), 1, "`/etc/passwd`");
    }

    #[test]
    fn code_has_no_links() {
        assert_eq!(found("`a[0](x.md)`\n```\n[b](x.md)\n```\n"), []);
    }
}
