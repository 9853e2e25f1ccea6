//! Steps made of tests that cannot write items themselves, because their package knows nothing of
//! this one: each run is an item, and what it prints is read.

use super::Yield;
use super::work::BUILD;
use crate::step::{self, Ran, cargo, typed};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// One run of tests, which is one item.
pub struct Check {
    pub item: &'static str,
    /// Its limit of time is added.
    pub bound: &'static str,
    /// Which tests.
    pub filter: &'static str,
    /// Set for the run.
    pub environment: &'static [(&'static str, &'static str)],
    /// The most that it may take, without building.
    pub seconds: u64,
    /// What is counted in what it prints.
    pub counted: Counted,
    /// At least so many.
    pub least: u64,
}

/// What is counted; lines are as the tests print them.
#[derive(Clone, Copy, Debug)]
pub enum Counted {
    /// `5000 seeds: ...`: the number.
    Seeds,
    /// ``Name: caught by `invariant`, seed 5``
    Mutants,
    /// Lines of the story of a seed.
    Story,
    /// `test name ... ok`
    Tests,
    /// Rows of a table, which is shown; and the line that sums it up.
    Table,
    /// The line that has this text in it is told.
    Said(&'static str),
}

/// Runs the tests of a package: `targets` are options of cargo that choose among its targets.
pub fn run(package: &str, targets: &[&str], checks: &[Check]) -> Yield {
    let mut build = command(package, targets);
    build.arg("--no-run");
    if let Some(trouble) = step::run(&mut build, BUILD).trouble {
        let trouble = Some(format!("the tests do not build: {trouble}"));
        return Yield { trouble, ..Yield::default() };
    }
    let mut yielded = Yield::default();
    let mut commands = Vec::new();
    for check in checks {
        let mut command = command(package, targets);
        command.args(["--", check.filter]).envs(check.environment.iter().copied());
        if !matches!(check.counted, Counted::Tests) {
            command.arg("--nocapture");
        }
        let set = check.environment.iter().map(|(name, value)| format!("{name}={value} "));
        commands.push(set.collect::<String>() + &typed(&command));
        // Far over its limit there is nothing left to be measured.
        let ran = step::run(&mut command, Duration::from_secs(check.seconds * 3));
        let found = found(check.counted, &ran.lines);
        yielded.items.push(item(check, &ran, &found));
        yielded.tables += &found.table;
        if step::interrupted() {
            break;
        }
    }
    yielded.command = commands.join("; ");
    yielded
}

fn command(package: &str, targets: &[&str]) -> Command {
    let mut command = cargo();
    command.args(["test", "--release", "--locked", "-p", package]).args(targets);
    command
}

fn item(check: &Check, ran: &Ran, found: &Found) -> Value {
    let tally = ran.tally();
    let good = ran.trouble.is_none() && tally.passed > 0 && tally.failed == 0;
    let took = ran.took.as_secs_f64();
    let in_time = ran.took <= Duration::from_secs(check.seconds);
    json!({
        "item": check.item,
        "figure": format!("{took:.0} s: {}", found.words),
        "bound": format!("{}, within {} s", check.bound, check.seconds),
        "n": found.count,
        "passed": good && in_time && found.count >= check.least,
        "note": ran.trouble,
    })
}

/// What was counted.
#[derive(Debug)]
struct Found {
    count: u64,
    words: String,
    /// Markdown, or nothing.
    table: String,
}

fn found(counted: Counted, lines: &[String]) -> Found {
    // The runner's own beginning of a line may stand before what the test prints.
    let printed = lines.iter().map(|line| line.rsplit(" ... ").next().unwrap_or(line).trim());
    match counted {
        Counted::Seeds => {
            let mut told = printed.filter_map(|line| {
                let (count, rest) = line.split_once(" seeds: ")?;
                Some((count.parse().ok()?, rest))
            });
            let (count, rest) = told.next().unwrap_or((0, "nothing told"));
            // Numbers come as Rust shows a struct.
            let rest = rest.split_once('{').map_or(rest, |(_, fields)| fields);
            let rest = rest.trim_matches([' ', '}']);
            Found { count, words: format!("{count} seeds: {rest}"), table: String::new() }
        }
        Counted::Mutants => mutants(printed),
        Counted::Story => {
            let count = printed.filter(|line| !line.is_empty()).count() as u64;
            Found { count, words: format!("{count} lines"), table: String::new() }
        }
        Counted::Table => table(printed),
        Counted::Said(text) => {
            let mut told = printed.filter(|line| line.contains(text));
            let words = told.next().map(str::to_owned);
            let count = u64::from(words.is_some());
            let words = words.unwrap_or_else(|| "nothing told".to_owned());
            Found { count, words, table: String::new() }
        }
        Counted::Tests => {
            let names: Vec<_> = lines
                .iter()
                .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... ok"))
                .collect();
            let rows: String = names.iter().map(|name| format!("- `{name}`\n")).collect();
            let count = names.len() as u64;
            // A single one has its name from the item.
            let table = if count > 1 { format!("\n{rows}") } else { String::new() };
            Found { count, words: format!("{count} passed"), table }
        }
    }
}

/// Lines that begin with `|`: a head, a rule, rows. The first line behind them says what they come to.
fn table<'a>(printed: impl Iterator<Item = &'a str>) -> Found {
    let (mut table, mut rows, mut words) = (String::from("\n"), 0_u64, String::new());
    for line in printed {
        if line.starts_with('|') {
            table += &format!("{line}\n");
            rows += 1;
        } else if rows > 0 && words.is_empty() && !line.is_empty() {
            line.clone_into(&mut words);
        }
    }
    Found { count: rows.saturating_sub(2), words, table }
}

fn mutants<'a>(lines: impl Iterator<Item = &'a str>) -> Found {
    let mut table = String::from("\n| mutant | caught by | first seed |\n|---|---|---|\n");
    let mut count = 0;
    for line in lines {
        if let Some((name, rest)) = line.split_once(": caught by `")
            && let Some((invariant, seed)) = rest.split_once("`, seed ")
        {
            table += &format!("| {name} | {invariant} | {seed} |\n");
            count += 1;
        }
    }
    Found { count, words: format!("{count} caught"), table }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_tests_print_is_counted() {
        let text =
            "running 1 test\ntest every_seed ... 5000 seeds: Statistics { sessions: 7 }\nok\n";
        let seeds = found(Counted::Seeds, &lines(text));
        assert_eq!(seeds.count, 5000);
        assert_eq!(seeds.words, "5000 seeds: sessions: 7");
        assert_eq!(found(Counted::Seeds, &lines("test every_seed ... ok")).count, 0);
        let text = "Leak: caught by `leases`, seed 3\nno mutant\n";
        let mutants = found(Counted::Mutants, &lines(text));
        assert_eq!(mutants.count, 1);
        assert!(mutants.table.ends_with("| Leak | leases | 3 |\n"));
        let text = "test x ... | a |\n|---|\n| 1 |\n| 2 |\n\n2 of 2\nok\n";
        let table = found(Counted::Table, &lines(text));
        assert_eq!((table.count, table.words.as_str()), (2, "2 of 2"));
        assert_eq!(table.table, "\n| a |\n|---|\n| 1 |\n| 2 |\n");
        let said = found(Counted::Said(" lines: "), &lines("test x ... 9 lines: 1s\nok\n"));
        assert_eq!((said.count, said.words.as_str()), (1, "9 lines: 1s"));
        assert_eq!(found(Counted::Said(" lines: "), &lines("ok")).count, 0);
        let text = "test a ... ok\ntest b ... FAILED\ntest c ... ok\ntest result: ok. 1 passed\n";
        let tests = found(Counted::Tests, &lines(text));
        assert_eq!((tests.count, tests.table.as_str()), (2, "\n- `a`\n- `c`\n"));
    }

    #[test]
    fn an_item_needs_success_time_and_number() {
        let check = |least| Check {
            item: "5 seeds",
            bound: "clean",
            filter: "",
            environment: &[],
            seconds: 10,
            counted: Counted::Seeds,
            least,
        };
        let ran = |seconds, failed: u64| Ran {
            lines: lines(&format!("9 seeds: x\ntest result: ok. 1 passed; {failed} failed;")),
            took: Duration::from_secs(seconds),
            trouble: None,
        };
        let passed = |least, ran: &Ran| {
            let found = found(Counted::Seeds, &ran.lines);
            item(&check(least), ran, &found)["passed"] == true
        };
        assert!(passed(9, &ran(10, 0)));
        assert!(!passed(10, &ran(10, 0)));
        assert!(!passed(9, &ran(11, 0)));
        assert!(!passed(9, &ran(10, 1)));
    }
}
