//! What stands between generator and endpoint: nothing, or a candidate with one of its
//! configurations.

use crate::binaries::Kind;
use crate::case::{Case, Of};
use crate::failure::{Context, Failure, Outcome};
use crate::template;
use std::fs;
use std::path::{Path, PathBuf};

/// The null test's name.
pub const DIRECT: &str = "direct";

/// Our own name among the candidates.
pub const OURS: &str = "eclusa";

/// A candidate with one configuration. A template `haproxy-tuned.cfg` makes the setup `haproxy-tuned`,
/// and one more for each name in its first line (`haproxy-tuned.splice`); of several setups of a
/// candidate the better one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// What it is called, with `@` and its count in a case of several steps.
    pub name: String,
    /// The candidate.
    pub candidate: String,
    /// The name from the template's first line, if it is not the plain setup.
    pub flavour: Option<String>,
    /// Program and template; `None` for the null test.
    pub template: Option<(Kind, PathBuf)>,
    /// The count of the step.
    pub step: Option<usize>,
}

impl Setup {
    /// The null test.
    #[must_use]
    pub fn direct() -> Self {
        let name = DIRECT.to_owned();
        Self { candidate: name.clone(), name, flavour: None, template: None, step: None }
    }

    /// The plain setup that a template file makes; `None` when no kind of candidate has such files.
    #[must_use]
    pub fn of_template(path: &Path) -> Option<Self> {
        let (candidate, extension) = path.file_name()?.to_str()?.rsplit_once('.')?;
        let first = candidate.split('-').next()?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == first && kind.extension() == extension)?;
        Some(Self {
            name: candidate.to_owned(),
            candidate: candidate.to_owned(),
            flavour: None,
            template: Some((kind, path.to_owned())),
            step: None,
        })
    }

    /// The same with a name from the template's first line.
    #[must_use]
    pub fn flavoured(&self, flavour: &str) -> Self {
        let name = format!("{}.{flavour}", self.candidate);
        Self { name, flavour: Some(flavour.to_owned()), ..self.clone() }
    }

    /// The same with a count of a case of several steps.
    #[must_use]
    pub fn at_step(&self, count: usize) -> Self {
        Self { name: format!("{}@{count}", self.name), step: Some(count), ..self.clone() }
    }

    /// The name without the count.
    #[must_use]
    pub fn name_without_step(&self) -> &str {
        self.name.split('@').next().unwrap_or_default()
    }

    /// All setups of a case: the null test, ours, then the peers by name; each with each count.
    ///
    /// # Errors
    /// A template that belongs to no candidate, or cannot be read.
    pub fn of_case(case: &Case) -> Outcome<Vec<Self>> {
        let mut setups = vec![Self::direct()];
        for path in &case.templates {
            let shown = || path.display().to_string();
            let plain = Self::of_template(path).ok_or_else(|| {
                Failure::new(format!("{}: no candidate has such a file", shown()))
            })?;
            let text = fs::read_to_string(path).context(shown)?;
            let named = template::setups(&text).into_iter();
            let wanted = named.filter(|name| case.setups.iter().any(|setup| setup == name));
            setups.extend(wanted.map(|name| plain.flavoured(name)));
            setups.push(plain);
        }
        setups.retain(|setup| case.without.is_empty() || !setup.wanted(&case.without));
        setups.sort_by_key(|setup| (setup.rank(), setup.name.clone()));
        let Some(steps) = &case.steps else { return Ok(setups) };
        let with_counts = |setup: Self| match setup.template {
            None => vec![setup],
            Some(_) => steps.counts.iter().map(|&count| setup.at_step(count)).collect(),
        };
        Ok(setups.into_iter().flat_map(with_counts).collect())
    }

    fn rank(&self) -> usize {
        match &self.template {
            None => 0,
            Some((Kind::Eclusa, _)) => 1,
            Some(_) => 2,
        }
    }

    /// Whether it is one of the wanted candidates (or setups); none wanted means all.
    #[must_use]
    pub fn wanted(&self, candidates: &[String]) -> bool {
        let own = self.name_without_step();
        candidates.is_empty()
            || candidates.iter().any(|name| *name == self.candidate || *name == own)
    }

    /// The count of this setup, where the case has several of that.
    #[must_use]
    pub fn count(&self, case: &Case, of: Of) -> Option<usize> {
        self.step.filter(|_| case.steps.as_ref().is_some_and(|steps| steps.of == of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(name: &str) -> Option<Setup> {
        Setup::of_template(Path::new(name))
    }

    #[test]
    fn a_file_name_says_which_candidate() {
        let tuned = setup("x/haproxy-tuned.cfg").expect("HAProxy's");
        assert_eq!(tuned.name, "haproxy-tuned");
        let spliced = tuned.flavoured("splice-auto");
        assert_eq!(spliced.name, "haproxy-tuned.splice-auto");
        assert_eq!(spliced.candidate, "haproxy-tuned");
        assert_eq!(spliced.at_step(100).name, "haproxy-tuned.splice-auto@100");
        assert_eq!(tuned.template.map(|(kind, _)| kind), Some(Kind::Haproxy));
        assert_eq!(setup("eclusa.toml").map(|s| s.candidate), Some("eclusa".into()));
        assert_eq!(setup("nginx.conf").map(|s| s.candidate), Some("nginx".into()));
        assert_eq!((setup("nginx.cfg"), setup("README.md")), (None, None));
    }

    #[test]
    fn candidates_and_single_setups_can_be_wanted() {
        let setup = setup("haproxy-tuned.cfg").expect("HAProxy's").flavoured("splice").at_step(2);
        let wanted = |names: &[&str]| {
            setup.wanted(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        assert!(wanted(&[]) && wanted(&["haproxy-tuned"]) && wanted(&["haproxy-tuned.splice"]));
        assert!(!wanted(&["haproxy"]) && !wanted(&["nginx", "direct"]));
    }
}
