//! Cases: folders under `cases/`, each with a `case.toml` and, where the case needs its own, the
//! candidates' configuration templates.

use crate::failure::{Context, Failure, Outcome};
pub use crate::work::{Form, Http, Key, Of, Steps, Unit, Work};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where generator, candidate and endpoint stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// Generator – candidate – endpoint, one of each.
    Chain,
}

/// One load of a case, in one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Connections (streams, lanes) at once.
    pub connections: usize,
    /// What candidates have beside it.
    pub form: Form,
}

/// A load as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    connections: usize,
}

/// `case.toml` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    description: String,
    topology: Topology,
    work: Work,
    unit: Unit,
    /// Folders of `templates/`, for candidates whose file the case does not bring itself; of two
    /// files for the same the first counts.
    templates: Vec<String>,
    /// Each load is measured in each; the first is meant where a name says none.
    forms: Vec<Form>,
    /// Which of the setups that templates name in their first line are measured beside the plain ones.
    #[serde(default)]
    setups: Vec<String>,
    /// Candidates that are left out.
    #[serde(default)]
    without: Vec<String>,
    /// Of the HTTP work.
    http: Option<Http>,
    steps: Option<Steps>,
    /// Seconds from one reload of the candidate to the next.
    reload_every: Option<f64>,
    #[serde(rename = "variant")]
    variants: Vec<Load>,
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
    /// What there are several counts of.
    pub steps: Option<Steps>,
    /// From one reload of the candidate to the next; `None`: there is none.
    pub reload_every: Option<Duration>,
    /// Which of the setups that templates name in their first line are measured beside the plain ones.
    pub setups: Vec<String>,
    /// Candidates that are left out.
    pub without: Vec<String>,
    /// The loads in their forms, in the order written.
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
        for shared in &document.templates {
            for path in templates_in(&root.join("templates").join(shared))? {
                if !templates.iter().any(|own| own.file_name() == path.file_name()) {
                    templates.push(path);
                }
            }
        }
        templates.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        Ok(Self {
            name: name.to_owned(),
            variants: document.loads(),
            reload_every: document.reload_every.map(Duration::from_secs_f64),
            description: document.description,
            topology: document.topology,
            work: document.work,
            unit: document.unit,
            http: document.http,
            steps: document.steps,
            setups: document.setups,
            without: document.without,
            templates,
        })
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

    /// Whether the endpoint has more to do where there is no candidate: it then speaks TLS or HTTP/2
    /// itself.
    #[must_use]
    pub fn is_null_test_dearer(&self) -> bool {
        self.http.is_some_and(|http| {
            let behind = http.behind();
            (http.tls, http.streams) != (behind.tls, behind.streams)
        })
    }

    /// The name of one of its loads, as the command line takes it: the form that the case names
    /// first is meant where none is said.
    #[must_use]
    pub fn variant_name(&self, variant: &Variant) -> String {
        let name = format!("{}/{}", self.name, variant.connections);
        match self.variants.first() {
            Some(first) if first.form != variant.form => format!("{name}/{}", variant.form.name()),
            _ => name,
        }
    }
}

impl Document {
    fn loads(&self) -> Vec<Variant> {
        let of = |load: &Load| {
            let connections = load.connections;
            self.forms.iter().map(move |&form| Variant { connections, form })
        };
        self.variants.iter().flat_map(of).collect()
    }

    /// What is wrong with it, if anything.
    fn mistake(&self) -> Option<&'static str> {
        if self.variants.is_empty() || self.variants.iter().any(|load| load.connections == 0) {
            return Some("a case needs a [[variant]], each with at least one connection");
        }
        if self.forms.is_empty() {
            return Some("a case needs `forms`: \"bare\", \"dressed\" or both");
        }
        match self.work {
            Work::Http if self.http.is_none() => {
                return Some("the work `http` needs a table [http]");
            }
            Work::Http | Work::Idle => {}
            _ if self.http.is_some() => return Some("this work has no table [http]"),
            _ => {}
        }
        if self.steps.as_ref().is_some_and(|s| s.counts.is_empty() || s.counts.contains(&0)) {
            return Some("`counts` of steps are at least one, and none is 0");
        }
        if self.reload_every.is_some_and(|seconds| !(0.05..=60.0).contains(&seconds)) {
            return Some("`reload_every` lies between 0.05 and 60 seconds");
        }
        self.http.and_then(Http::mistake)
    }
}

/// Chooses cases by what stands on the command line: `name` for all loads in all forms, `name/16` or
/// `name/16/bare` for one. With nothing there: all.
///
/// # Errors
/// A name that fits nothing; the message says which there are.
pub fn choose(cases: &[Case], wanted: &[String]) -> Outcome<Vec<(Case, Variant)>> {
    let mut all = Vec::new();
    for case in cases {
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
    match document.mistake() {
        Some(mistake) => Err(Failure::new(mistake)),
        None => Ok(document),
    }
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
        templates = ["tcp"]
        forms = ["bare", "dressed"]
        [[variant]]
        connections = 16
    "#;

    fn case(name: &str, loads: &[usize], forms: &[Form]) -> Case {
        let of = |&connections: &usize| {
            forms.iter().map(move |&form| Variant { connections, form }).collect::<Vec<_>>()
        };
        Case {
            name: name.to_owned(),
            description: String::new(),
            topology: Topology::Chain,
            work: Work::PingPong,
            unit: Unit::RoundTrip,
            http: None,
            steps: None,
            reload_every: None,
            setups: Vec::new(),
            without: Vec::new(),
            variants: loads.iter().flat_map(of).collect(),
            templates: Vec::new(),
        }
    }

    #[test]
    fn a_case_is_read() {
        let document = parse(CASE).expect("a good case");
        assert_eq!((document.work, document.unit), (Work::BulkDown, Unit::Gigabyte));
        let forms: Vec<_> = document.loads().iter().map(|v| (v.connections, v.form)).collect();
        assert_eq!(forms, [(16, Form::Bare), (16, Form::Dressed)]);
    }

    #[test]
    fn what_is_not_known_or_missing_is_a_mistake() {
        assert!(parse(&CASE.replace("work =", "wrok =")).is_err());
        assert!(parse(&CASE.replace("GB", "furlong")).is_err());
        assert!(parse(&CASE.replace("16", "0")).is_err());
        assert!(parse(&CASE.replace("[[variant]]", "[[variant]]\nspeed = 1")).is_err());
        assert!(parse(&CASE.replace("bulk-down", "http")).is_err());
        assert!(parse(&CASE.replace("\"bare\", \"dressed\"", "")).is_err());
        assert!(parse(&format!("{CASE}[http]\nfields = 4\nbody = 9")).is_err());
        assert!(parse(&format!("{CASE}[steps]\nof = \"workers\"\ncounts = [1, 0]")).is_err());
        assert!(parse(&CASE.replace("unit", "reload_every = 0\nunit")).is_err());
    }

    #[test]
    fn messages_of_http_pass_the_command_line() {
        let text = CASE.replace("bulk-down", "http") + "[http]\nfields = 4\nbody = 9\ntls = true";
        let http = parse(&text).expect("a good case").http.expect("its messages");
        assert_eq!(http, Http { body: 9, tls: true, ..Http::SMALL });
        assert_eq!(Http::from_word(&http.to_word()), Ok(http));
    }

    #[test]
    fn cases_are_chosen_by_name_load_and_form() {
        let cases =
            [case("a", &[1, 100], &[Form::Dressed, Form::Bare]), case("b", &[1], &[Form::Bare])];
        let names = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|&w| w.to_owned()).collect();
            let chosen = choose(&cases, &wanted).map_err(|e| e.to_string())?;
            Ok::<_, String>(chosen.iter().map(|(c, v)| c.variant_name(v)).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).map(|all| all.len()), Ok(5));
        assert_eq!(names(&["b", "a/100"]), Ok(vec!["b/1".into(), "a/100".into()]));
        assert_eq!(names(&["a/1/bare"]), Ok(vec!["a/1/bare".into()]));
        assert_eq!(
            names(&["c"]),
            Err("no case c; there are: a/1, a/1/bare, a/100, a/100/bare, b/1".into())
        );
    }

    #[test]
    fn the_cases_of_the_tree_are_good() {
        let cases = Case::read_all(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("good cases");
        assert!(cases.len() >= 25);
        for case in &cases {
            assert!(case.templates.len() >= 3, "{} lacks templates", case.name);
            assert!(!case.description.is_empty());
            let setups = crate::setup::Setup::of_case(case).expect("good templates");
            for wanted in &case.setups {
                let is_there = setups.iter().any(|s| s.flavour.as_ref() == Some(wanted));
                assert!(is_there, "{}: no template has a setup {wanted}", case.name);
            }
        }
    }
}
