//! `cargo xtask prove TOPIC`: runs what a topic promises, in full, and writes `docs/proof/TOPIC.md`.
//!
//! A topic is a file beside this one: a list of steps. A step runs a command of the project and
//! yields items, the rows of the page. They are kept in `target/proof/TOPIC/STEP.json`, so that a
//! step can be repeated alone; the page is made from all of them, and what is from another commit
//! is marked.

mod benched;
mod carry;
mod checks;
mod edge;
mod facts;
mod grid;
mod h2;
mod life;
mod measured;
mod migrate;
mod operate;
mod packages;
mod page;
mod speed;
mod start;
mod verdicts;
mod work;

use crate::{Outcome, step, tree};
use benched::Asked;
use grid::Grid;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;
use work::Work;

/// `cargo xtask prove`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What to prove: `carry`, `edge`, `h2`, `life`, `migrate`, `operate`, `speed`, `verdicts`.
    topic: String,
    /// Only these steps; the others keep the results they have.
    #[arg(long, value_delimiter = ',', value_name = "STEPS")]
    only: Vec<String>,
    /// Only tests whose names contain this, in steps that run tests; other items are kept.
    #[arg(long, value_name = "TEXT", requires = "only")]
    filter: Option<String>,
    /// Take what the bench measures from the figures of a whole run (`report.json` of `cargo xtask bench
    /// --tuned --out`); what they lack is measured.
    #[arg(long, value_name = "FILE")]
    figures: Option<PathBuf>,
    /// Run nothing; write the page again from the results there are.
    #[arg(long, conflicts_with_all = ["only", "filter", "figures"])]
    render: bool,
}

/// Something that is promised.
pub struct Topic {
    /// The word of the command line and the name of the page.
    pub name: &'static str,
    /// The first sentence of the page.
    pub about: &'static str,
    /// Tables that some of its items make.
    pub grids: &'static [Grid],
    /// In the order of the page.
    pub steps: &'static [Step],
}

/// One command and what it shows.
pub struct Step {
    /// The word of `--only`.
    pub name: &'static str,
    /// The heading.
    pub title: &'static str,
    /// What runs.
    pub work: Work,
}

const TOPICS: [&Topic; 8] = [
    &carry::CARRY,
    &edge::EDGE,
    &h2::H2,
    &life::LIFE,
    &migrate::MIGRATE,
    &operate::OPERATE,
    &speed::SPEED,
    &verdicts::VERDICTS,
];

/// What one run of a step yielded.
#[derive(Debug, Default)]
pub struct Yield {
    /// Objects with `item`, `figure`, `bound`, `n`, `worst`, `median`, `passed`, `note`.
    pub items: Vec<Value>,
    /// Tables to show below them, Markdown.
    pub tables: String,
    /// The command as typed.
    pub command: String,
    /// Why it is not complete.
    pub trouble: Option<String>,
    /// The commit and the date that it is of, where those are not of now.
    pub of: Option<(String, String)>,
}

/// Runs the steps and writes the page.
///
/// # Errors
/// A promise is not kept, or a step did not run. The page is written all the same.
pub fn run(options: &Options) -> Outcome {
    let topic = TOPICS.iter().find(|topic| topic.name == options.topic).ok_or_else(|| {
        let names: Vec<_> = TOPICS.iter().map(|topic| topic.name).collect();
        format!("there is no topic `{}`; there are: {}", options.topic, names.join(", "))
    })?;
    let unknown = |name: &&String| !topic.steps.iter().any(|step| step.name == **name);
    if let Some(name) = options.only.iter().find(unknown) {
        let names: Vec<_> = topic.steps.iter().map(|step| step.name).collect();
        return Err(format!("{} has no step `{name}`; it has: {}", topic.name, names.join(", ")));
    }
    let folder = step::target_directory().join("proof").join(topic.name);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let figures = options.figures.as_deref().map(benched::value).transpose()?;
    let wanted = |step: &&Step| {
        !options.render
            && (options.only.is_empty() || options.only.iter().any(|name| name == step.name))
    };
    for step in topic.steps.iter().filter(wanted) {
        eprintln!("\n== prove {} {}", topic.name, step.name);
        let old = kept(&folder, step).filter(|_| options.filter.is_some());
        let asked = Asked { step: step.name, figures: figures.as_ref() };
        let found = step.work.run(&folder, options.filter.as_deref(), &asked);
        keep(&folder, step, found, old)?;
        if step::interrupted() {
            return Err(
                "stopped by a signal; what is done is kept (--render writes the page)".into()
            );
        }
    }
    let results: Vec<_> = topic.steps.iter().map(|step| (step, kept(&folder, step))).collect();
    let commit = facts::commit();
    let page = page::render(topic, &results, &facts::all(), &commit);
    let path = tree::root().join(format!("docs/proof/{}.md", topic.name));
    fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(|error| error.to_string())?;
    fs::write(&path, &page.text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("prove: docs/proof/{}.md: {}", topic.name, page.verdict);
    if page.complete { Ok(()) } else { Err(format!("{} is not proved", topic.name)) }
}

fn file(folder: &std::path::Path, step: &Step) -> PathBuf {
    folder.join(format!("{}.json", step.name))
}

/// What an earlier run yielded.
fn kept(folder: &std::path::Path, step: &Step) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(file(folder, step)).ok()?).ok()
}

/// Writes down what a run yielded; of `old` what was not repeated stays.
fn keep(folder: &std::path::Path, step: &Step, found: Yield, old: Option<Value>) -> Outcome {
    let mut found = found;
    let (commit, date) = found.of.take().unwrap_or_else(|| (facts::commit(), now()));
    let value = merge(found, old, &commit, &date);
    let path = file(folder, step);
    let text = serde_json::to_string_pretty(&value).map_err(|error| error.to_string())?;
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Date and time, UTC, to the second.
fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

fn merge(found: Yield, old: Option<Value>, commit: &str, date: &str) -> Value {
    let mut items = found.items;
    for item in &mut items {
        if let Some(object) = item.as_object_mut() {
            object.insert("commit".into(), commit.into());
            object.insert("date".into(), date.into());
        }
    }
    let old_items = old.as_ref().and_then(|old| old["items"].as_array()).cloned();
    let mut all = old_items.unwrap_or_default();
    all.retain(|old| !items.iter().any(|new| new["item"] == old["item"]));
    all.extend(items);
    // Stays in the order of the promises: "3.2" after "3.1" and before "3.10".
    all.sort_by_key(|item| order(item["item"].as_str().unwrap_or_default()));
    json!({
        "commit": commit,
        "date": date,
        "command": found.command,
        "items": all,
        "tables": found.tables,
        "trouble": found.trouble,
    })
}

/// The number at the beginning of an item's name, then the name.
fn order(name: &str) -> (Vec<u64>, String) {
    let number = name.split(' ').next().unwrap_or_default();
    (number.split('.').map_while(|part| part.parse().ok()).collect(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_replaces_and_the_rest_stays() {
        let yielded = |names: &[&str], figure: &str| Yield {
            items: names.iter().map(|n| json!({"item": n, "figure": figure})).collect(),
            ..Yield::default()
        };
        let old = merge(yielded(&["3.10 c", "3.2 b", "2 a"], "old"), None, "1", "then");
        let new = merge(yielded(&["3.2 b"], "new"), Some(old), "2", "now");
        let rows: Vec<_> = new["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                ["item", "figure", "commit"]
                    .map(|key| item[key].as_str().unwrap().to_owned())
                    .join(" ")
            })
            .collect();
        assert_eq!(rows, ["2 a old 1", "3.2 b new 2", "3.10 c old 1"]);
    }

    #[test]
    fn topics_and_steps_have_names_of_their_own() {
        for topic in TOPICS {
            let mut names: Vec<_> = topic.steps.iter().map(|step| step.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
