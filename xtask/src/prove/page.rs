//! The page of a topic, from the results of its steps.

use super::facts::Fact;
use super::{Step, Topic};
use serde_json::Value;
use std::fmt::Write as _;

/// A page and what it comes to.
pub struct Page {
    /// Markdown.
    pub text: String,
    /// In one line.
    pub verdict: String,
    /// Whether everything ran and everything held.
    pub complete: bool,
}

/// What came of the items.
#[derive(Default)]
pub struct Counts {
    /// Promises that were kept.
    pub passed: usize,
    /// What was not, in words.
    pub short: Vec<String>,
    missing: Vec<String>,
    stale: usize,
}

/// Renders the page; `commit` is the one of now, everything else is stale.
pub fn render(
    topic: &Topic,
    results: &[(&Step, Option<Value>)],
    facts: &[Fact],
    commit: &str,
) -> Page {
    let mut counts = Counts::default();
    let mut sections = String::new();
    for (step, result) in results {
        section(&mut sections, topic, step, result.as_ref(), commit, &mut counts);
    }
    let mut verdict = format!("{} passed, {} FELL SHORT", counts.passed, counts.short.len());
    if !counts.missing.is_empty() {
        verdict += &format!(", not run: {}", counts.missing.join(", "));
    }
    if counts.stale > 0 {
        verdict += &format!(", {} of another commit", counts.stale);
    }
    let mut text = format!(
        "# Proof: {}\n\n{}\n\nWritten by `cargo xtask prove {}`; do not edit. **{verdict}.**\n\n",
        topic.name, topic.about, topic.name
    );
    for name in &counts.short {
        let _ = writeln!(text, "- FELL SHORT: {name}");
    }
    if !counts.short.is_empty() {
        text.push('\n');
    }
    text += &in_short(topic, results);
    text += "| where and with what | |\n|---|---|\n";
    for (name, value) in facts {
        let _ = writeln!(text, "| {name} | {} |", cell(value));
    }
    text += &sections;
    let complete = counts.short.is_empty()
        && counts.missing.is_empty()
        && counts.stale == 0
        && counts.passed > 0;
    Page { text: tidy(&text), verdict, complete }
}

/// The tables of the topic in short.
fn in_short(topic: &Topic, results: &[(&Step, Option<Value>)]) -> String {
    let items = results.iter().filter_map(|(_, result)| result.as_ref()?["items"].as_array());
    let items: Vec<Value> = items.flatten().cloned().collect();
    topic.grids.iter().map(|grid| grid.in_short(&items)).collect()
}

fn section(
    out: &mut String,
    topic: &Topic,
    step: &Step,
    result: Option<&Value>,
    commit: &str,
    counts: &mut Counts,
) {
    let _ = write!(out, "\n## {}\n\n", step.title);
    let again = format!("cargo xtask prove {} --only {}", topic.name, step.name);
    let Some(result) = result else {
        counts.missing.push(step.name.into());
        let _ = writeln!(out, "**Not run.** `{again}`");
        return;
    };
    let items = result["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    for grid in topic.grids {
        *out += &grid.full(items, commit, counts);
    }
    let in_a_grid = |item: &&Value| topic.grids.iter().any(|grid| grid.has(item));
    let plain: Vec<_> = items.iter().filter(|item| !in_a_grid(item)).collect();
    if !plain.is_empty() {
        *out += "| item | figure | bound | n | worst | median | result |\n|---|---|---|---|---|---|---|\n";
    }
    for item in plain {
        row(out, item, commit, counts);
    }
    if let Some(trouble) = result["trouble"].as_str() {
        counts.short.push(format!("{}: {trouble}", step.name));
        let _ = writeln!(out, "\n**FELL SHORT:** the step is not complete: {}", cell(trouble));
    }
    let notes = items.iter().filter_map(|item| {
        let note = item["note"].as_str().filter(|note| !note.is_empty())?;
        Some(format!("- {}: {}\n", text(&item["item"]), cell(note)))
    });
    let notes: String = notes.collect();
    if !notes.is_empty() {
        let _ = write!(out, "\n{notes}");
    }
    let date = text(&result["date"]);
    let _ = write!(
        out,
        "\n{date}, commit {}: `{}`  \n",
        text(&result["commit"]),
        text(&result["command"])
    );
    let _ = writeln!(out, "Repeat: `{again}`");
    let tables = result["tables"].as_str().unwrap_or_default().trim();
    if !tables.is_empty() {
        // Its headings belong under this one.
        let tables = tables.lines().map(|line| match line.strip_prefix('#') {
            Some(_) => format!("##{line}\n"),
            None => format!("{line}\n"),
        });
        let _ = write!(out, "\n{}", tables.collect::<String>());
    }
}

fn row(out: &mut String, item: &Value, commit: &str, counts: &mut Counts) {
    let name = text(&item["item"]);
    let verdict = judge(item, commit, counts);
    let columns = ["figure", "bound", "n", "worst", "median"].map(|key| text(&item[key]));
    let _ = writeln!(out, "| {name} | {} | {verdict} |", columns.join(" | "));
}

/// What an item comes to, in words; counts it. A line of a table without a bound stands beside
/// those that have one: it can fail to be measured, and promises nothing.
pub fn judge(item: &Value, commit: &str, counts: &mut Counts) -> String {
    let beside = item["line"].is_object() && text(&item["bound"]).is_empty();
    let mut verdict = if item["passed"] != true {
        let [name, figure, bound] = ["item", "figure", "bound"].map(|key| text(&item[key]));
        counts.short.push(format!("{name}: {figure}, bound {bound}"));
        "**FELL SHORT**".to_owned()
    } else if beside {
        "beside".to_owned()
    } else {
        counts.passed += 1;
        "passed".to_owned()
    };
    if item["commit"] != *commit {
        counts.stale += 1;
        verdict += &format!(" at {}", text(&item["commit"]));
    }
    verdict
}

/// A value as text of a cell.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => cell(text),
        other => other.to_string(),
    }
}

/// Text on one line, without what would end a cell.
pub fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

/// No blanks at ends of lines, no two blank lines.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for line in text.lines() {
        if !(line.trim().is_empty() && tidy.ends_with("\n\n")) {
            tidy += line.trim_end();
            tidy.push('\n');
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::super::work::Work;
    use super::*;
    use serde_json::json;

    const WORK: Work = Work::Fuzz { item: "7", targets: &[], seconds: 1 };
    const TOPIC: Topic = Topic {
        name: "flying",
        about: "Pigs fly.",
        grids: &[],
        steps: &[
            Step { name: "take-off", title: "Taking off", work: WORK },
            Step { name: "land", title: "Landing", work: WORK },
        ],
    };

    fn page(first: Value, second: Option<Value>) -> Page {
        let results = [(&TOPIC.steps[0], Some(first)), (&TOPIC.steps[1], second)];
        render(&TOPIC, &results, &[("kernel", "6 | 1".into())], "abc")
    }

    fn result(passed: bool, commit: &str, trouble: Option<&str>) -> Value {
        json!({"commit": commit, "date": "today", "command": "fly", "trouble": trouble,
               "tables": "# Table\n| a |\n", "items": [{"item": "1 height", "figure": "3 m",
               "bound": "2 m", "n": 5, "worst": "2.5 m", "passed": passed, "commit": commit,
               "note": "wind"}]})
    }

    #[test]
    fn a_page_tells_everything() {
        let page = page(result(true, "abc", None), Some(result(true, "abc", None)));
        assert!(page.complete);
        assert_eq!(page.verdict, "2 passed, 0 FELL SHORT");
        for line in [
            "| kernel | 6 \\| 1 |",
            "| 1 height | 3 m | 2 m | 5 | 2.5 m |  | passed |",
            "- 1 height: wind",
            "today, commit abc: `fly`",
            "Repeat: `cargo xtask prove flying --only take-off`",
            "### Table",
        ] {
            assert!(page.text.lines().any(|found| found == line), "{line}\n{}", page.text);
        }
        assert!(!page.text.contains(" \n") && !page.text.contains("\n\n\n"));
    }

    #[test]
    fn what_fell_short_or_is_missing_is_told_first() {
        let page = page(result(false, "abc", Some("the pig slept")), None);
        assert!(!page.complete);
        assert_eq!(page.verdict, "0 passed, 2 FELL SHORT, not run: land");
        assert!(page.text.contains("- FELL SHORT: 1 height: 3 m, bound 2 m\n"));
        assert!(page.text.contains("- FELL SHORT: take-off: the pig slept\n"));
        assert!(page.text.contains("**Not run.** `cargo xtask prove flying --only land`"));
    }

    #[test]
    fn what_is_of_another_commit_is_marked() {
        let page = page(result(true, "old", None), Some(result(true, "abc", None)));
        assert!(!page.complete);
        assert_eq!(page.verdict, "2 passed, 0 FELL SHORT, 1 of another commit");
        assert!(page.text.contains("| passed at old |"));
    }
}
