//! Notices renewed certificates and swaps the store.
//!
//! By looking, twice a second, not by inotify: an unprivileged engine may not watch directories
//! that only root may read; a link of certbot's leads through directories that would have to be
//! watched as well; and network file systems tell nobody. A look costs one listing a directory and
//! one `stat` a file.
//!
//! What has changed is loaded when two looks in a row see the same, so that a renewal may write its
//! files one after the other; that is less than a second after the last change. Where chain and key
//! do not fit then, the old certificate goes on, the others are renewed all the same, and after
//! [`PATIENCE`] the mistake is told, once. A certificate that has gone from a directory goes from
//! the store; the last one stays.

use super::files::{Files, Stamp};
use super::layout::{self, Survey};
use super::mistake::Mistake;
use super::store::{Live, Settings, Store};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How often [`Watcher::look`] is to be called; see [`Watcher::interval`].
pub const INTERVAL: Duration = Duration::from_millis(500);

/// So many files may be looked at in each interval: some 30 ms of one processor.
const FILES_PER_INTERVAL: usize = 2_000;

/// How long something may be wrong before it is told: a renewal by hand takes its time.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How often what is wrong is tried again although no file has changed: dates come, disks recover.
const RETRY: Duration = Duration::from_secs(10);

type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// Watches the files of one listener.
pub struct Watcher {
    files: Arc<dyn Files>,
    settings: Settings,
    live: Live,
    /// What the last look saw.
    seen: Stamps,
    /// What the files were when they were loaded last.
    loaded: Stamps,
    /// What was wrong then, and since when; empty: nothing.
    wrong: Vec<Mistake>,
    wrong_since: Instant,
    tried: Instant,
    told: Vec<Mistake>,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What a look has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Other certificates are served now.
    Swapped {
        /// The files of those that are new.
        renewed: Vec<PathBuf>,
        /// The files of those that are gone.
        gone: Vec<PathBuf>,
        /// What is odd about them.
        warnings: Vec<Mistake>,
    },
    /// Something has been wrong for a while; the old certificates are served in its place.
    Wrong(Vec<Mistake>),
    /// What was told to be wrong is right again.
    Right,
}

impl Watcher {
    /// Watches what `live` was loaded from by these settings. What has changed since is found by
    /// the first looks.
    pub fn new(files: Arc<dyn Files>, settings: Settings, live: Live, now: Instant) -> Self {
        let (seen, loaded, wrong, told) = Default::default();
        Self { files, settings, live, seen, loaded, wrong, wrong_since: now, tried: now, told }
    }

    /// Looks once, and swaps the store if it is time. Blocks while files are read: not for workers.
    /// `today`: what certificates are valid at.
    pub fn look(&mut self, now: Instant, today: SystemTime) -> Option<Change> {
        let mut survey = layout::survey(&*self.files, &self.settings.certificates);
        let stamps = std::mem::take(&mut survey.stamps);
        if stamps != self.seen {
            self.seen = stamps;
            return None;
        }
        let again = !self.wrong.is_empty() && now.saturating_duration_since(self.tried) >= RETRY;
        if stamps != self.loaded || again {
            self.tried = now;
            self.loaded = stamps;
            if let Some(change) = self.load(&survey, now, today) {
                return Some(change);
            }
        }
        self.tell(now)
    }

    /// When the next look is to come: [`INTERVAL`] after this one; sooner where it saw something that
    /// is not loaded yet, and later where there are so many files that a look costs. Counted, not
    /// timed: a look that took long because this host is busy is no reason to look away.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let turns = u32::try_from(self.seen.len() / FILES_PER_INTERVAL).unwrap_or(u32::MAX);
        let one = if self.seen == self.loaded { INTERVAL } else { INTERVAL / 2 };
        one.saturating_mul(turns.saturating_add(1))
    }

    fn load(&mut self, survey: &Survey, now: Instant, today: SystemTime) -> Option<Change> {
        let old = self.live.load_full();
        let files = &*self.files;
        let new = Store::refresh_from(files, &self.settings, &old, today, survey);
        if new.mistakes != self.wrong {
            self.wrong = new.mistakes;
            self.wrong_since = now;
        }
        let renewed = missing(&new.store, &old);
        let gone = missing(&old, &new.store);
        let gone: Vec<_> = gone.into_iter().filter(|file| !renewed.contains(file)).collect();
        if renewed.is_empty() && gone.is_empty() {
            return None;
        }
        self.live.store(Arc::new(new.store));
        Some(Change::Swapped { renewed, gone, warnings: new.warnings })
    }

    fn tell(&mut self, now: Instant) -> Option<Change> {
        if self.wrong == self.told {
            return None;
        }
        if self.wrong.is_empty() {
            self.told.clear();
            return Some(Change::Right);
        }
        if now.saturating_duration_since(self.wrong_since) < PATIENCE {
            return None;
        }
        self.told.clone_from(&self.wrong);
        Some(Change::Wrong(self.told.clone()))
    }
}

/// The files of certificates that are in `of` and not in `other`.
fn missing(of: &Store, other: &Store) -> Vec<PathBuf> {
    let known = |fingerprint: &[u8; 32]| {
        other.certificates().iter().any(|certificate| certificate.fingerprint() == fingerprint)
    };
    let new = of.certificates().iter().filter(|certificate| !known(certificate.fingerprint()));
    new.map(|certificate| certificate.file().to_owned()).collect()
}
