//! All certificates of a listener: loaded, checked, found by server name.
//!
//! What is found: the certificates for exactly this name, and those whose wildcard stands for its
//! first label; among them the first whose key can make a signature that the client understands,
//! ECDSA before Ed25519 before RSA. Where there is none: the default, unless the settings are
//! strict.
//!
//! # Expired certificates
//! One that has expired (or is not valid yet) is loaded with a warning when the program starts, and
//! when it was served before: a client that does not care is served, and a restart never makes it
//! worse. As a new one it is refused: nobody puts an expired certificate in place on purpose.

use super::certificate::Certificate;
use super::files::Files;
use super::layout::{self, Survey};
use super::mistake::Mistake;
use super::names::folded;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// Which certificates a listener has, as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Files and directories: see [`Store::load`].
    pub certificates: Vec<PathBuf>,
    /// The name whose certificate is shown to clients that name no host. `None`: that of the first
    /// certificate, unless strict.
    pub default: Option<String>,
    /// Clients that ask for a name without a certificate are refused with the alert
    /// `unrecognized_name`, and so are those that name none where no default is named. Otherwise
    /// they see the default.
    pub strict: bool,
}

/// The certificates that a listener serves. Never changed: replaced whole, see [`Live`].
#[derive(Debug, Default)]
pub struct Store {
    certificates: Vec<Arc<Certificate>>,
    exact: HashMap<Box<str>, Choices>,
    wildcard: HashMap<Box<str>, Choices>,
    default: Choices,
    strict: bool,
    named_default: bool,
}

/// Certificates for one name, one for each type of key, in the order of their preference.
pub(super) type Choices = Vec<Arc<Certificate>>;

/// The store of a listener: read by every handshake, swapped by a reload and by the watcher.
pub type Live = Arc<ArcSwap<Store>>;

/// What came of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The certificates.
    pub store: Store,
    /// What is odd, and does not hinder.
    pub warnings: Vec<Mistake>,
}

/// What came of loading what has changed, see [`Store::refresh`].
#[derive(Debug)]
pub struct Refreshed {
    /// The certificates, new ones where they are right, and the old ones elsewhere.
    pub store: Store,
    /// What is odd, and does not hinder.
    pub warnings: Vec<Mistake>,
    /// What is wrong: there the old certificates were kept.
    pub mistakes: Vec<Mistake>,
}

impl Store {
    /// Loads and checks all certificates. `previous`: what is served so far, `None` at the start of
    /// the program.
    ///
    /// A path is a file with the chain, whose key is in it or beside it (`NAME.pem.key`,
    /// `NAME.key`; `privkey.pem` for `fullchain.pem`), or a directory of such files, or certbot's
    /// `live`, `live/NAME` or `archive/NAME`.
    ///
    /// # Errors
    /// Everything that is wrong, at once; then nothing is to be changed.
    pub fn load(
        files: &dyn Files,
        settings: &Settings,
        previous: Option<&Self>,
        now: SystemTime,
    ) -> Result<Loaded, Vec<Mistake>> {
        let survey = layout::survey(files, &settings.certificates);
        let mut loading = Loading::read(files, &survey, previous, now);
        loading.mistakes.extend(survey.mistakes.into_iter().map(|(_, mistake)| mistake));
        let (store, mut more) = Self::assemble(settings, loading.certificates);
        loading.mistakes.append(&mut more);
        if loading.mistakes.is_empty() {
            return Ok(Loaded { store, warnings: loading.warnings });
        }
        loading.mistakes.sort();
        loading.mistakes.dedup();
        Err(loading.mistakes)
    }

    /// Loads what has changed. One broken certificate does not hold up the renewal of the others:
    /// in its place the one that was served so far stays.
    #[must_use]
    pub fn refresh(
        files: &dyn Files,
        settings: &Settings,
        previous: &Self,
        now: SystemTime,
    ) -> Refreshed {
        let survey = layout::survey(files, &settings.certificates);
        Self::refresh_from(files, settings, previous, now, &survey)
    }

    pub(super) fn refresh_from(
        files: &dyn Files,
        settings: &Settings,
        previous: &Self,
        now: SystemTime,
        survey: &Survey,
    ) -> Refreshed {
        let mut loading = Loading::read(files, survey, Some(previous), now);
        let lost: Vec<usize> = survey.mistakes.iter().map(|(root, _)| *root).collect();
        let kept = previous.certificates.iter().filter(|old| {
            lost.contains(&old.root) || loading.broken.iter().any(|file| *file == old.file())
        });
        // Old ones first: where two claim one name, the newcomer is the one that has to wait.
        let served = |new: &Arc<Certificate>| !previous.serves_from(new);
        let mut certificates: Vec<_> = kept.cloned().collect();
        certificates.append(&mut loading.certificates);
        certificates.sort_by_key(served);
        let (mut store, mut mistakes) = Self::assemble(settings, certificates);
        mistakes.extend(survey.mistakes.iter().map(|(_, mistake)| mistake.clone()));
        mistakes.append(&mut loading.mistakes);
        mistakes.sort();
        mistakes.dedup();
        if store.certificates.is_empty() {
            store = previous.copy();
        } else if store.default.is_empty() {
            store.default.clone_from(&previous.default);
        }
        Refreshed { store, warnings: loading.warnings, mistakes }
    }

    /// Puts certificates in their places. Of two for one name and type of key the first stays, and
    /// that is a mistake.
    fn assemble(settings: &Settings, certificates: Vec<Arc<Certificate>>) -> (Self, Vec<Mistake>) {
        let mut store = Self { strict: settings.strict, ..Self::default() };
        let mut mistakes = Vec::new();
        for certificate in certificates {
            // Found twice: in a directory and by its own name.
            if store
                .certificates
                .iter()
                .any(|other| other.fingerprint() == certificate.fingerprint())
            {
                continue;
            }
            let names = certificate.names();
            let rival = names.exact().map(|name| (name.to_owned(), store.exact.get(name)));
            let wildcard = |suffix: &str| (format!("*.{suffix}"), store.wildcard.get(suffix));
            let rival = rival.chain(names.wildcards().map(wildcard)).find_map(|(name, others)| {
                let same = |other: &&Arc<Certificate>| other.key_type() == certificate.key_type();
                Some((name, others?.iter().find(same)?))
            });
            if let Some((name, other)) = rival {
                mistakes.push(twice(&certificate, &name, other));
                continue;
            }
            for (place, name) in names
                .exact()
                .map(|name| (true, name))
                .chain(names.wildcards().map(|name| (false, name)))
            {
                let map = if place { &mut store.exact } else { &mut store.wildcard };
                let choices = map.entry(name.into()).or_default();
                choices.push(certificate.clone());
                choices.sort_by_key(|choice| choice.key_type());
            }
            store.certificates.push(certificate);
        }
        mistakes.extend(store.set_default(settings));
        (store, mistakes)
    }

    fn set_default(&mut self, settings: &Settings) -> Option<Mistake> {
        self.named_default = settings.default.is_some();
        let Some(name) = &settings.default else {
            let first = self.certificates.first()?;
            // All types of key that there are for its first name.
            let same = first.names().exact().next().and_then(|name| self.exact.get(name));
            self.default = same.cloned().unwrap_or_else(|| vec![first.clone()]);
            return None;
        };
        self.default = self.named(&folded(name)).cloned().collect();
        self.default.is_empty().then(|| {
            let file = settings.certificates.first().cloned().unwrap_or_default();
            let what = format!("the default is {name}, and no certificate is for that name");
            Mistake::new(&file, what, "name one that is there, or add its certificate")
        })
    }

    /// Certificates for `name`, in lower case; best first, those for the exact name before
    /// wildcards.
    fn named(&self, name: &str) -> impl Iterator<Item = &Arc<Certificate>> {
        let suffix = name.split_once('.').filter(|(label, _)| !label.is_empty());
        let wildcard = suffix.and_then(|(_, suffix)| self.wildcard.get(suffix));
        self.exact.get(name).into_iter().chain(wildcard).flatten()
    }

    /// The certificates for a server name as the client wrote it; empty: it is to be refused.
    pub(super) fn choices(&self, name: Option<&str>) -> impl Iterator<Item = &Arc<Certificate>> {
        let folded = name.map(folded);
        let named: Vec<_> = folded.iter().flat_map(|name| self.named(name)).collect();
        let may_default = match name {
            Some(_) => !self.strict,
            None => !self.strict || self.named_default,
        };
        let default = (named.is_empty() && may_default).then_some(&self.default);
        named.into_iter().chain(default.into_iter().flatten())
    }

    /// Whether a client that asks for `name` is served.
    #[must_use]
    pub fn serves(&self, name: Option<&str>) -> bool {
        self.choices(name).next().is_some()
    }

    /// All certificates, each once: for metrics and `status`.
    #[must_use]
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// A cell for it.
    #[must_use]
    pub fn live(self) -> Live {
        Arc::new(ArcSwap::from_pointee(self))
    }

    fn serves_from(&self, new: &Certificate) -> bool {
        self.certificates.iter().any(|old| old.file() == new.file())
    }

    fn copy(&self) -> Self {
        Self {
            certificates: self.certificates.clone(),
            exact: self.exact.clone(),
            wildcard: self.wildcard.clone(),
            default: self.default.clone(),
            strict: self.strict,
            named_default: self.named_default,
        }
    }
}

fn twice(certificate: &Certificate, name: &str, other: &Certificate) -> Mistake {
    let what = format!(
        "there are two {} certificates for {name}: this one and {}",
        certificate.key_type(),
        other.file().display()
    );
    Mistake::new(certificate.file(), what, "remove one of them")
}

/// Certificates that are being loaded.
#[derive(Default)]
struct Loading {
    certificates: Vec<Arc<Certificate>>,
    warnings: Vec<Mistake>,
    mistakes: Vec<Mistake>,
    /// The files of those that are wrong.
    broken: Vec<PathBuf>,
}

impl Loading {
    fn read(files: &dyn Files, survey: &Survey, previous: Option<&Store>, now: SystemTime) -> Self {
        let mut loading = Self::default();
        for pair in &survey.pairs {
            let (certificate, odd) = match Certificate::read(files, pair) {
                Ok(read) => read,
                Err(mistake) => {
                    loading.mistakes.push(mistake);
                    loading.broken.push(pair.chain.clone());
                    continue;
                }
            };
            loading.warnings.extend(odd);
            if let Some(mistake) = certificate.untimely(now) {
                let is_same =
                    |old: &Arc<Certificate>| old.fingerprint() == certificate.fingerprint();
                if previous.is_none_or(|previous| previous.certificates.iter().any(is_same)) {
                    loading.warnings.push(mistake);
                } else {
                    loading.mistakes.push(mistake);
                    loading.broken.push(pair.chain.clone());
                    continue;
                }
            }
            loading.certificates.push(Arc::new(certificate));
        }
        loading
    }
}
