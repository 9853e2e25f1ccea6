//! Whether what is in force is what the file says, and the whole of it in one line.

use super::Engine;
use crate::observe::Event;
use eclusa_policy::verdict::Tier;
use std::sync::Arc;

impl Engine {
    /// How it is, for `systemctl status`.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let pools = self.shared.pools();
        let endpoints: Vec<_> = pools.iter().flat_map(|pool| pool.endpoints().to_vec()).collect();
        let tiers = endpoints.iter().map(|endpoint| endpoint.report().tier);
        let ready = tiers.filter(|tier| *tier <= Tier::Unprobed).count();
        let refused = match self.refused_file() {
            Some(_) => "; the configuration file is refused, the one before goes on",
            None if self.gone_back.load().is_some() => {
                "; gone back: not the configuration file is in force, but the one before"
            }
            None if self.shared.metrics.is_reload_refused() => "; the last reload was refused",
            None => "",
        };
        let unconfirmed = self.unconfirmed.load();
        let unconfirmed = unconfirmed.as_ref().map_or("", |words| words.as_str());
        let (all, sessions) = (endpoints.len(), self.count());
        format!("{ready}/{all} endpoints ready, {sessions} sessions{refused}{unconfirmed}")
    }

    /// This engine runs what was in force before it, because the file is refused.
    pub(crate) fn file_refused(&self, why: &str) {
        let why = why.trim_end();
        self.file_refused.store(Some(Arc::new(why.to_owned())));
        self.shared.metrics.set_file_refused();
        let message = format!(
            "the configuration file is refused, the configuration that was in force before goes on; \
             correct the file and reload: {why}"
        );
        self.event(Event::new("last_good_config", message));
    }

    /// What is wrong with the file, where not the file is in force.
    pub(crate) fn refused_file(&self) -> Option<Arc<String>> {
        self.file_refused.load_full()
    }

    /// What is in force is what was so before the file, for this reason. A reload ends that.
    pub(crate) fn set_gone_back(&self, why: Option<String>) {
        self.gone_back.store(why.map(Arc::new));
    }

    /// Why what is in force is what was so before the file.
    pub(crate) fn gone_back(&self) -> Option<Arc<String>> {
        self.gone_back.load_full()
    }

    /// What is in force must be confirmed, in words for [`Self::in_one_line`]; `None`: no more.
    pub(crate) fn set_unconfirmed(&self, words: Option<String>) {
        self.shared.metrics.set_unconfirmed(words.is_some());
        self.unconfirmed.store(words.map(Arc::new));
    }
}
