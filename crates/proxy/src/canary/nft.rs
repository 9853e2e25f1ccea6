//! Runs nft(8), and reads what it tells as JSON (libnftables-json(5)). No shell: its input goes to its standard
//! input.

use super::rule::{Share, Table, To, comment};
use eclusa_config::plan::Program;
use serde_json::Value;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where it is; nowhere else is looked, since root runs it.
const PLACES: [&str; 4] = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"];
/// The families that a canary has tables in.
const FAMILIES: [&str; 2] = ["ip", "ip6"];

/// How often a table is looked at that changes under the look.
const LOOKS: u32 = 5;

/// The program.
#[derive(Debug)]
pub(super) struct Nft(PathBuf);

/// A canary that stands in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) table: Table,
    pub(super) take: SocketAddr,
    pub(super) share: Share,
    pub(super) to: To,
    /// The name of our listener, where it could be noted.
    pub(super) listener: Option<String>,
    /// The set that switches it.
    pub(super) set: String,
    /// Seconds until it ends by itself; `None`: nothing is moved.
    pub(super) left: Option<u64>,
    /// New connections since this share was set, whoever got them.
    pub(super) seen: u64,
    /// Those that were moved, with those that came back.
    pub(super) moved: u64,
    /// Those that had no answer from us, and went where all go.
    pub(super) returned: u64,
}

impl Standing {
    /// The process that looks after it.
    pub(super) fn holder(&self) -> Option<u32> {
        Table::holder(&self.set)
    }
}

/// What a table is.
enum Current {
    Gone,
    /// No canary.
    Foreign,
    Stands(Box<Standing>),
}

/// All canaries of a program, and tables that have their name and are none.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) standing: Vec<Standing>,
    pub(super) foreign: Vec<Table>,
}

impl Nft {
    /// `None`: it is not installed.
    pub(super) fn find() -> Option<Self> {
        PLACES.iter().map(Path::new).find(|path| path.is_file()).map(|path| Self(path.to_owned()))
    }

    /// Puts a text in force, as a whole or not at all.
    pub(super) fn apply(&self, text: &str) -> Result<(), String> {
        self.run(&["-f", "-"], text).map(drop)
    }

    /// Whether it could be put in force. Loads what the kernel needs for it.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        self.run(&["-c", "-f", "-"], text).map(drop)
    }

    /// What stands.
    pub(super) fn found(&self, program: Program) -> Result<Found, String> {
        let mut found = Found::default();
        for table in self.tables(program)? {
            match self.current(program, &table)? {
                Current::Gone => {}
                Current::Foreign => found.foreign.push(table),
                Current::Stands(standing) => found.standing.push(*standing),
            }
        }
        Ok(found)
    }

    fn tables(&self, program: Program) -> Result<Vec<Table>, String> {
        Ok(tables(&self.json(&["list", "tables"])?, program))
    }

    /// A table that was there just now. Another command may end its canary between two questions, or put
    /// another set in its place.
    fn current(&self, program: Program, table: &Table) -> Result<Current, String> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.look(table) {
                Ok(current) => return Ok(current),
                Err(_) if !self.tables(program)?.contains(table) => return Ok(Current::Gone),
                Err(why) if tries == LOOKS => return Err(why),
                Err(_) => {}
            }
        }
    }

    fn look(&self, table: &Table) -> Result<Current, String> {
        // Without what the sets hold: one of them may hold very much.
        let name = ["table", table.family, &table.name];
        let whole = self.json(&[&["-t", "list"][..], &name].concat())?;
        let Some(mut standing) = standing(table, &whole) else { return Ok(Current::Foreign) };
        let set = ["list", "set", table.family, &table.name, &standing.set];
        standing.left = left(&self.json(&set)?);
        Ok(Current::Stands(Box::new(standing)))
    }

    fn json(&self, arguments: &[&str]) -> Result<Value, String> {
        let told = self.run(&[&["-j"][..], arguments].concat(), "")?;
        serde_json::from_slice(&told)
            .map_err(|error| format!("`nft -j {}` tells no JSON: {error}", arguments.join(" ")))
    }

    fn run(&self, arguments: &[&str], input: &str) -> Result<Vec<u8>, String> {
        let mut command = Command::new(&self.0);
        command.args(arguments).env_clear().env("LC_ALL", "C");
        let failed = |what: String| format!("{} {}: {what}", self.0.display(), arguments.join(" "));
        let output = complete(command, input).map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        // Behind its first line it shows the place in our text.
        Err(failed(words.lines().next().unwrap_or("it failed").trim().to_owned()))
    }
}

fn complete(mut command: Command, input: &str) -> std::io::Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it ended early, it says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

/// The objects of a kind in what nft tells.
fn objects<'a>(told: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = told["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(move |object| object.get(kind))
}

/// The tables that are called like those of a program.
fn tables(told: &Value, program: Program) -> Vec<Table> {
    let prefix = Table::prefix(program);
    let ours = |table: &Value| {
        let name = table["name"].as_str().filter(|name| name.starts_with(&prefix))?;
        let family = FAMILIES.into_iter().find(|family| table["family"] == **family)?;
        Some(Table { family, name: name.to_owned() })
    };
    objects(told, "table").filter_map(ours).collect()
}

/// The canary of this table; `None`: it is none.
fn standing(table: &Table, told: &Value) -> Option<Standing> {
    let rules: Vec<(&str, u64)> = objects(told, "rule")
        .filter_map(|rule| Some((rule["comment"].as_str()?, packets(rule)?)))
        .collect();
    let of = |word: &str| {
        rules.iter().find_map(|(said, packets)| Some((said.strip_prefix(word)?, *packets)))
    };
    let (take, seen) = of(comment::SEEN)?;
    let (moved_what, moved) = of(comment::MOVED)?;
    let (_, returned) = of(comment::RETURNED)?;
    let (listener, _) = of(comment::LISTENER)?;
    let (share, to) = moved_what.split_once(" to ")?;
    let mut names = objects(told, "set").filter_map(|set| set["name"].as_str());
    Some(Standing {
        table: table.clone(),
        take: take.parse().ok()?,
        share: share.parse().ok()?,
        to: to.parse().ok()?,
        listener: Some(listener.to_owned()).filter(|name| !name.is_empty()),
        set: names.find(|name| Table::is_switch(name))?.to_owned(),
        left: None,
        seen,
        moved,
        returned,
    })
}

/// What the counter of a rule says.
fn packets(rule: &Value) -> Option<u64> {
    let parts = rule["expr"].as_array()?;
    parts.iter().find_map(|part| part.get("counter")?["packets"].as_u64())
}

/// How long the element of a set still lasts, in seconds.
fn left(told: &Value) -> Option<u64> {
    let set = objects(told, "set").next()?;
    let element = set["elem"].as_array()?.first()?;
    // In its last second it is there, and has none left.
    Some(element["elem"]["expires"].as_u64().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_testkit::process::Scratch;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// As nft 1.0.6 of Debian 12 says it.
    const TABLE: &str = include_str!("golden/table.json");
    const SET: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"set": {"family": "ip",
        "name": "taken", "table": "t", "type": "inet_service", "handle": 3, "flags": ["timeout"],
        "elem": [{"elem": {"val": 6443, "timeout": 3600, "expires": 3597}}]}}]}"#;

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn table() -> Table {
        Table::of(Program::Apiserver, "10.0.0.5:6443".parse().unwrap())
    }

    #[test]
    fn what_stands_is_read() {
        let found = standing(&table(), &json(TABLE)).unwrap();
        assert_eq!((found.share.to_string(), found.to.to_string()), ("5%".into(), ":16443".into()));
        assert_eq!(found.take, "10.0.0.5:6443".parse().unwrap());
        assert_eq!((found.seen, found.moved, found.returned), (1204, 61, 2));
        assert_eq!((found.listener.as_deref(), &*found.set), (Some("apiserver"), "taken"));
        assert_eq!(left(&json(SET)), Some(3597));
        assert_eq!(left(&json(&SET.replace("\"elem\": [", "\"x\": ["))), None);
    }

    /// What is found with a program in nft's place that looks at what it was asked for in `$*`, and knows by
    /// the folder `$D` what was asked before.
    fn found(script: &str) -> Result<Found, String> {
        let scratch = Scratch::new("nft").unwrap();
        let folder = scratch.path();
        fs::write(folder.join("table"), TABLE).unwrap();
        fs::write(folder.join("set"), SET).unwrap();
        let table = table();
        let tables =
            serde_json::json!({"nftables": [{"table": {"family": "ip", "name": table.name}}]});
        fs::write(folder.join("tables"), tables.to_string()).unwrap();
        let nft = folder.join("nft");
        let folder = folder.display();
        fs::write(&nft, format!("#!/bin/sh\nD={folder}\n{script}\n")).unwrap();
        fs::set_permissions(&nft, fs::Permissions::from_mode(0o755)).unwrap();
        let nft = Nft(nft);
        // A test beside this one that starts a program has the script open for writing for a moment.
        let busy = |told: &Result<Found, String>| {
            told.as_ref().is_err_and(|why| why.contains("Text file busy"))
        };
        let mut tries = std::iter::repeat_with(|| nft.found(Program::Apiserver)).take(1000);
        tries.find(|told| !busy(told)).expect("it can be run")
    }

    #[test]
    fn what_changes_under_the_look_is_looked_at_again_and_what_has_gone_is_gone() {
        let rest = "case $* in *tables) cat $D/tables;; *-t*) cat $D/table;; *) cat $D/set;; esac";
        assert_eq!(found(rest).unwrap().standing.len(), 1);
        let once =
            format!("case $*$(ls $D) in *taken*seen*) ;; *taken*) >$D/seen; exit 1;; esac; {rest}");
        assert_eq!(found(&once).unwrap().standing.len(), 1, "another set, for a moment");
        let ends = format!(
            "case $* in *taken) echo '{{}}' >$D/tables; echo gone >&2; exit 1;; esac; {rest}"
        );
        assert_eq!(found(&ends).unwrap().standing.len(), 0, "off in the midst");
        let never = found(&format!("case $* in *taken) echo no >&2; exit 1;; esac; {rest}"));
        assert!(never.is_err_and(|why| why.ends_with(": no")));
    }

    #[test]
    fn a_table_that_is_none_of_ours_is_told_apart() {
        for (from, to) in [
            ("new 10.0.0.5:6443", "new x"),
            ("moved 5% to :16443", "moved"),
            ("\"returned\"", "\"other\""),
            ("\"taken\"", "\"other\""),
            ("\"counter\"", "\"quota\""),
        ] {
            assert!(TABLE.contains(from), "{from}");
            assert_eq!(standing(&table(), &json(&TABLE.replace(from, to))), None, "{from}");
        }
        assert_eq!(standing(&table(), &json("{}")), None);
    }

    #[test]
    fn tables_are_found_by_name_and_family() {
        let told = json(
            r#"{"nftables": [{"metainfo": {}},
                {"table": {"family": "ip", "name": "eclusa_canary_edge_192.168.1.2_443"}},
                {"table": {"family": "inet", "name": "eclusa_canary_edge_192.168.1.2_443"}},
                {"table": {"family": "ip", "name": "nat"}},
                {"table": {"family": "ip6", "name": "eclusa_canary_edge_2001-db8--5_443"}}]}"#,
        );
        let names: Vec<_> = tables(&told, Program::Edge).iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["ip eclusa_canary_edge_192.168.1.2_443", "ip6 eclusa_canary_edge_2001-db8--5_443"]
        );
        assert!(tables(&told, Program::Apiserver).is_empty());
    }

    #[test]
    fn a_program_that_fails_is_told_with_its_first_line() {
        let nft = Nft(PathBuf::from("/bin/ls"));
        let why = nft.run(&["/nowhere"], "").unwrap_err();
        assert!(why.starts_with("/bin/ls /nowhere: ") && !why.contains('\n'), "{why}");
        assert!(Nft(PathBuf::from("/nowhere/nft")).apply("").unwrap_err().contains("/nowhere/nft"));
    }
}
