//! What an unattended run does by itself, so that it shows something.

use super::masters::Action;
use std::time::Duration;

/// When in the run, in hundredths of it, and what: each fault and its end.
const STORY: [(u32, Action); 8] = [
    (8, Action::Kill),
    (24, Action::Kill),
    (34, Action::Slow),
    (42, Action::Slow),
    (46, Action::Freeze),
    (70, Action::Freeze),
    (76, Action::Drain),
    (94, Action::Drain),
];

/// Actions still to come, the last first.
pub(crate) struct Script(Vec<(Duration, Action)>);

impl Script {
    /// Nothing: somebody is at the keys.
    pub(crate) fn empty() -> Self {
        Self(Vec::new())
    }

    /// The story, told over so long.
    pub(crate) fn over(limit: Duration) -> Self {
        Self(STORY.iter().rev().map(|(part, action)| (limit * *part / 100, *action)).collect())
    }

    /// The action whose time has come, if any.
    pub(crate) fn due(&mut self, elapsed: Duration) -> Option<Action> {
        self.0.pop_if(|(at, _)| *at <= elapsed).map(|(_, action)| action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_ends_within_the_run_and_in_order() {
        let limit = Duration::from_secs(100);
        let mut script = Script::over(limit);
        let mut seen = Vec::new();
        for second in 0..100 {
            while let Some(action) = script.due(Duration::from_secs(second)) {
                seen.push(action);
            }
        }
        assert_eq!(seen.len(), STORY.len());
        assert!(seen.chunks(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
        assert_eq!(Script::empty().due(limit), None);
    }
}
