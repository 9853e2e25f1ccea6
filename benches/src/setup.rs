//! What stands between generator and endpoint: nothing, or a candidate with one of its
//! configurations.

use crate::binaries::{Binary, Kind};
use crate::case::Case;
use crate::certificate;
use crate::failure::{Context, Failure, Outcome};
use crate::place::Place;
use crate::template::{Values, fill};
use std::fs;
use std::path::{Path, PathBuf};

/// The null test's name.
pub const DIRECT: &str = "direct";

/// Our own name among the candidates.
pub const OURS: &str = "eclusa";

/// A candidate with one configuration. `haproxy-tuned.splice-auto.cfg` is the candidate
/// `haproxy-tuned` in the setup `haproxy-tuned.splice-auto`; of several setups the better one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The template's file name without its extension, or `direct`.
    pub name: String,
    /// The candidate: the name up to the first dot.
    pub candidate: String,
    /// Program and template; `None` for the null test.
    pub template: Option<(Kind, PathBuf)>,
}

impl Setup {
    /// The null test.
    #[must_use]
    pub fn direct() -> Self {
        Self { name: DIRECT.into(), candidate: DIRECT.into(), template: None }
    }

    /// The setup that a template file makes; `None` when no kind of candidate has such files.
    #[must_use]
    pub fn of_template(path: &Path) -> Option<Self> {
        let file = path.file_name()?.to_str()?;
        let (name, extension) = file.rsplit_once('.')?;
        let candidate = name.split('.').next()?;
        let first = candidate.split('-').next()?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == first && kind.extension() == extension)?;
        Some(Self {
            name: name.to_owned(),
            candidate: candidate.to_owned(),
            template: Some((kind, path.to_owned())),
        })
    }

    /// All setups of a case: the null test, ours, then the peers by name. Endpoints speak neither TLS
    /// nor HTTP/2, so where the generator does there is no null test.
    ///
    /// # Errors
    /// A template that belongs to no candidate.
    pub fn of_case(case: &Case) -> Outcome<Vec<Self>> {
        let mut setups = Vec::new();
        if !case.http.is_some_and(|http| http.tls || http.streams > 0) {
            setups.push(Self::direct());
        }
        for path in &case.templates {
            setups.push(Self::of_template(path).ok_or_else(|| {
                Failure::new(format!("{}: no candidate has such a file", path.display()))
            })?);
        }
        setups.sort_by_key(|setup| (setup.rank(), setup.name.clone()));
        Ok(setups)
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
        candidates.is_empty()
            || candidates.iter().any(|name| *name == self.candidate || *name == self.name)
    }
}

/// What a configuration has to allow for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sessions at once.
    pub sessions: usize,
    /// Descriptors that a process may have here.
    pub descriptors: u64,
}

/// Writes the configuration of `template` for `place` into `directory` and returns its path.
///
/// # Errors
/// The template cannot be read or has an unknown placeholder.
pub fn write_configuration(
    template: &Path,
    binary: &Binary,
    place: &Place,
    limits: Limits,
    directory: &Path,
) -> Outcome<PathBuf> {
    let values = Values::from([
        ("listen", place.listen().to_string()),
        ("endpoint", place.endpoint().to_string()),
        // Apart, for who has no one word for both.
        ("listen_address", place.listen().ip().to_string()),
        ("listen_port", place.listen().port().to_string()),
        ("endpoint_address", place.endpoint().ip().to_string()),
        ("endpoint_port", place.endpoint().port().to_string()),
        ("directory", directory.display().to_string()),
        ("certificate", directory.join(certificate::FILE).display().to_string()),
        ("sessions_max", limits.sessions.to_string()),
        ("descriptors", limits.descriptors.to_string()),
        ("nginx_modules", binary.modules.clone()),
    ]);
    let shown = || template.display().to_string();
    let text = fs::read_to_string(template).context(shown)?;
    let file = directory.join(template.file_name().unwrap_or_default());
    fs::write(&file, fill(&text, &values).context(shown)?)
        .context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_says_which_candidate() {
        let setup = |name: &str| Setup::of_template(Path::new(name));
        let tuned = setup("x/haproxy-tuned.splice-auto.cfg").expect("HAProxy's");
        assert_eq!(tuned.name, "haproxy-tuned.splice-auto");
        assert_eq!(tuned.candidate, "haproxy-tuned");
        assert_eq!(tuned.template.map(|(kind, _)| kind), Some(Kind::Haproxy));
        assert_eq!(setup("eclusa.toml").map(|s| s.candidate), Some("eclusa".into()));
        assert_eq!(setup("nginx.conf").map(|s| s.candidate), Some("nginx".into()));
        assert_eq!(setup("nginx.cfg"), None);
        assert_eq!(setup("README.md"), None);
    }

    #[test]
    fn candidates_and_single_setups_can_be_wanted() {
        let setup =
            Setup::of_template(Path::new("haproxy-tuned.splice-auto.cfg")).expect("HAProxy's");
        let wanted = |names: &[&str]| {
            setup.wanted(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        assert!(
            wanted(&[]) && wanted(&["haproxy-tuned"]) && wanted(&["haproxy-tuned.splice-auto"])
        );
        assert!(!wanted(&["haproxy"]) && !wanted(&["nginx", "direct"]));
    }
}
