//! Licences and notices of the crates in a program: their authors want them to go where it goes.

use super::sbom::{Crate, Graph};
use crate::Outcome;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// How the names of such files begin, in lower case.
const NAMES: [&str; 6] = ["license", "licence", "copying", "notice", "copyright", "unlicense"];

/// The most that such a file has; anything larger is none.
const MOST: u64 = 1 << 20;

/// One text; where several crates have the same one it stands there once.
///
/// # Errors
/// The folder of a crate cannot be read.
pub fn render(graph: &Graph) -> Outcome<String> {
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut page = String::from(
        "Crates of others in this program, by the licences that their texts follow:\n\n",
    );
    for one in graph.crates.iter().filter(|one| !one.ours) {
        let texts = texts(&one.folder)?;
        let licence = one.licence.as_deref().unwrap_or("unknown");
        let without = if texts.is_empty() { " (its package has no text)" } else { "" };
        let _ = writeln!(page, "  {} {}: {licence}{without}", one.name, one.version);
        for text in texts {
            by_text.entry(text).or_default().push(label(one));
        }
    }
    // In the order of the list.
    let mut texts: Vec<_> = by_text.into_iter().collect();
    texts.sort_by(|a, b| a.1.cmp(&b.1));
    for (text, crates) in texts {
        let line = "=".repeat(78);
        let _ = write!(page, "\n{line}\n{}\n{line}\n\n{}\n", crates.join(", "), text.trim_end());
    }
    Ok(page)
}

fn label(one: &Crate) -> String {
    format!("{} {}", one.name, one.version)
}

/// The texts in the folder of a crate, and in those of what it brings along (C libraries).
fn texts(folder: &Path) -> Outcome<Vec<String>> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            let below = fs::read_dir(&path).map_err(failed)?;
            paths.extend(below.filter_map(|entry| Some(entry.ok()?.path())));
        } else {
            paths.push(path);
        }
    }
    paths.retain(|path| is_notice(path));
    paths.sort();
    let mut texts: Vec<_> = paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    texts.dedup();
    Ok(texts)
}

fn is_notice(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_code = path.extension().is_some_and(|extension| extension == "rs");
    let is_small = path.metadata().is_ok_and(|file| file.is_file() && file.len() <= MOST);
    !is_code && is_small && NAMES.iter().any(|begin| name.starts_with(begin))
}
