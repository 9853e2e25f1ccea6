//! Cases: folders under `cases/`, each with a `case.toml` and, where the case needs its own, the
//! candidates' configuration templates.

use crate::failure::{Context, Failure, Outcome};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// What the generator does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// The endpoint sends without end, the generator receives.
    BulkDown,
    /// The generator sends without end, the endpoint receives.
    BulkUp,
    /// 64 bytes there, 64 bytes back, again and again: a closed loop per connection.
    PingPong,
    /// Connect, 64 bytes there, 64 bytes back, close; a closed loop in each of N lanes.
    ConnectClose,
    /// Some bytes both ways, then silence with the connection open.
    Idle,
    /// HTTP requests and their answers: a closed loop per connection, as [`Http`] says.
    Http,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Unit {
    /// 10^9 bytes that arrived at the receiving end.
    #[serde(rename = "GB")]
    Gigabyte,
    /// A request with its answer.
    #[serde(rename = "round trip")]
    RoundTrip,
    /// A connection from connect to close.
    #[serde(rename = "connection")]
    Connection,
    /// An HTTP request with its answer.
    #[serde(rename = "request")]
    Request,
}

/// The messages of [`Work::Http`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Header fields of a request, and of its answer.
    pub fields: usize,
    /// Bytes of the answer's body.
    pub body: usize,
    /// Whether each request has a connection of its own, which the candidate is asked to close.
    #[serde(default)]
    pub fresh: bool,
    /// Whether the generator speaks TLS with the candidate.
    #[serde(default)]
    pub tls: bool,
    /// Streams of a connection at once, by HTTP/2; 0: HTTP/1.1.
    #[serde(default)]
    pub streams: usize,
}

impl Http {
    /// As the traffic processes take it on their command line.
    ///
    /// # Panics
    /// Never: numbers and truth values always have a form.
    #[must_use]
    pub fn to_word(self) -> String {
        #[allow(clippy::expect_used, reason = "numbers and truth values always have a form")]
        serde_json::to_string(&self).expect("plain values")
    }

    /// What [`Self::to_word`] wrote.
    ///
    /// # Errors
    /// It is something else.
    pub fn from_word(word: &str) -> Result<Self, String> {
        serde_json::from_str(word).map_err(|error| error.to_string())
    }
}

impl Unit {
    /// How many of what the traffic processes count (bytes, or operations) make one unit.
    #[must_use]
    pub fn size(self) -> f64 {
        match self {
            Self::Gigabyte => 1e9,
            Self::RoundTrip | Self::Connection | Self::Request => 1.0,
        }
    }
}

/// Where generator, candidate and endpoint stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// Generator – candidate – endpoint, one of each.
    Chain,
}

/// One load of a case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Connections (streams, lanes) at once.
    pub connections: usize,
}

/// `case.toml` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    description: String,
    topology: Topology,
    work: Work,
    unit: Unit,
    /// A folder of `templates/`, for candidates whose file the case does not bring itself.
    templates: Option<String>,
    /// Of the HTTP work.
    http: Option<Http>,
    #[serde(rename = "variant")]
    variants: Vec<Variant>,
}

/// A case as it is run.
#[derive(Clone, Debug)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// What is measured and why.
    pub description: String,
    /// Who stands where.
    pub topology: Topology,
    /// What the generator does.
    pub work: Work,
    /// What is counted.
    pub unit: Unit,
    /// The messages of the HTTP work.
    pub http: Option<Http>,
    /// The loads, in the order written.
    pub variants: Vec<Variant>,
    /// The candidates' configuration templates: the case's own, then the shared ones that it does
    /// not replace; sorted by file name.
    pub templates: Vec<PathBuf>,
}

impl Case {
    /// Reads the case in the folder `root/cases/name`.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be.
    pub fn read(root: &Path, name: &str) -> Outcome<Self> {
        let folder = root.join("cases").join(name);
        let file = folder.join("case.toml");
        let text = fs::read_to_string(&file).context(|| format!("cannot read {}", shown(&file)))?;
        let document = parse(&text).context(|| shown(&file))?;
        let mut templates = templates_in(&folder)?;
        if let Some(shared) = &document.templates {
            for path in templates_in(&root.join("templates").join(shared))? {
                if !templates.iter().any(|own| own.file_name() == path.file_name()) {
                    templates.push(path);
                }
            }
        }
        templates.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        let Document { description, topology, work, unit, http, variants, .. } = document;
        let name = name.to_owned();
        Ok(Self { name, description, topology, work, unit, http, variants, templates })
    }

    /// Reads all cases under `root/cases`, by name.
    ///
    /// # Errors
    /// The folder or a case cannot be read.
    pub fn read_all(root: &Path) -> Outcome<Vec<Self>> {
        let mut names: Vec<_> = entries(&root.join("cases"))?
            .into_iter()
            .filter(|path| path.join("case.toml").is_file())
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        names.sort();
        names.iter().map(|name| Self::read(root, name)).collect()
    }

    /// The name of one of its loads, as the command line takes it.
    #[must_use]
    pub fn variant_name(&self, variant: &Variant) -> String {
        format!("{}/{}", self.name, variant.connections)
    }
}

/// Chooses cases by what stands on the command line: `name` for all loads, `name/16` for one. With
/// nothing there: all but the idle case, which has its own command.
///
/// # Errors
/// A name that fits nothing; the message says which there are.
pub fn choose(cases: &[Case], wanted: &[String]) -> Outcome<Vec<(Case, Variant)>> {
    let mut all = Vec::new();
    for case in cases.iter().filter(|case| case.work != Work::Idle) {
        all.extend(case.variants.iter().map(|variant| (case.clone(), variant.clone())));
    }
    if wanted.is_empty() {
        return Ok(all);
    }
    let mut chosen = Vec::new();
    for name in wanted {
        let fits = |(case, variant): &&(Case, Variant)| {
            case.name == *name || case.variant_name(variant) == *name
        };
        let before = chosen.len();
        chosen.extend(all.iter().filter(fits).cloned());
        if chosen.len() == before {
            let names: Vec<_> = all.iter().map(|(c, v)| c.variant_name(v)).collect();
            return Err(Failure::new(format!("no case {name}; there are: {}", names.join(", "))));
        }
    }
    Ok(chosen)
}

fn parse(text: &str) -> Outcome<Document> {
    let document: Document = toml::from_str(text).context(|| "not a case".into())?;
    if document.variants.is_empty() || document.variants.iter().any(|v| v.connections == 0) {
        return Err(Failure::new("a case needs a [[variant]], each with at least one connection"));
    }
    if (document.work == Work::Http) != document.http.is_some() {
        return Err(Failure::new("the work `http`, and no other, needs a table [http]"));
    }
    if document.http.is_some_and(|http| http.fresh && http.streams > 0) {
        return Err(Failure::new("`streams` share a connection: they cannot be `fresh`"));
    }
    Ok(document)
}

fn templates_in(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let not_a_template = |path: &PathBuf| path.file_name().is_some_and(|n| n == "case.toml");
    Ok(entries(folder)?.into_iter().filter(|path| !not_a_template(path)).collect())
}

fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let cannot = || format!("cannot list {}", shown(folder));
    let entries = fs::read_dir(folder).context(cannot)?;
    entries.map(|entry| Ok(entry.context(cannot)?.path())).collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = r#"
        description = "d"
        topology = "chain"
        work = "bulk-down"
        unit = "GB"
        [[variant]]
        connections = 16
    "#;

    fn case(name: &str, work: Work, loads: &[usize]) -> Case {
        Case {
            name: name.to_owned(),
            description: String::new(),
            topology: Topology::Chain,
            work,
            unit: Unit::RoundTrip,
            http: None,
            variants: loads.iter().map(|&connections| Variant { connections }).collect(),
            templates: Vec::new(),
        }
    }

    #[test]
    fn a_case_is_read() {
        let document = parse(CASE).expect("a good case");
        assert_eq!(document.work, Work::BulkDown);
        assert_eq!(document.unit, Unit::Gigabyte);
        assert_eq!(document.variants, [Variant { connections: 16 }]);
    }

    #[test]
    fn what_is_not_known_or_missing_is_a_mistake() {
        assert!(parse(&CASE.replace("work =", "wrok =")).is_err());
        assert!(parse(&CASE.replace("GB", "furlong")).is_err());
        assert!(parse(&CASE.replace("16", "0")).is_err());
        assert!(parse(&CASE.replace("[[variant]]", "[[variant]]\nspeed = 1")).is_err());
        assert!(parse(&CASE.replace("bulk-down", "http")).is_err());
        assert!(parse(&format!("{CASE}[http]\nfields = 4\nbody = 9")).is_err());
    }

    #[test]
    fn messages_of_http_pass_the_command_line() {
        let text = CASE.replace("bulk-down", "http") + "[http]\nfields = 4\nbody = 9\ntls = true";
        let http = parse(&text).expect("a good case").http.expect("its messages");
        assert_eq!(http, Http { fields: 4, body: 9, fresh: false, tls: true, streams: 0 });
        assert_eq!(Http::from_word(&http.to_word()), Ok(http));
    }

    #[test]
    fn cases_are_chosen_by_name_and_load() {
        let cases = [
            case("a", Work::PingPong, &[1, 100]),
            case("b", Work::BulkUp, &[1]),
            case("idle", Work::Idle, &[5]),
        ];
        let names = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|&w| w.to_owned()).collect();
            let chosen = choose(&cases, &wanted).map_err(|e| e.to_string())?;
            Ok::<_, String>(chosen.iter().map(|(c, v)| c.variant_name(v)).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]), Ok(vec!["a/1".into(), "a/100".into(), "b/1".into()]));
        assert_eq!(names(&["b", "a/100"]), Ok(vec!["b/1".into(), "a/100".into()]));
        assert_eq!(names(&["c"]), Err("no case c; there are: a/1, a/100, b/1".into()));
    }

    #[test]
    fn the_cases_of_the_tree_are_good() {
        let cases = Case::read_all(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("good cases");
        assert!(cases.len() >= 5);
        for case in &cases {
            assert!(case.templates.len() >= 4, "{} lacks templates", case.name);
            assert!(!case.description.is_empty());
        }
    }
}
