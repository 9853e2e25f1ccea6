//! Rise and fall: so many results in a row before a verdict changes.

use super::Verdict;

/// Counts the results of one endpoint's probes.
#[derive(Clone, Debug)]
pub struct RiseFall {
    rise: u32,
    fall: u32,
    verdict: Verdict,
    /// Results in a row that speak against the verdict.
    against: u32,
}

impl RiseFall {
    /// Starts without a verdict. `rise` successes in a row make a dead endpoint `up`, `fall`
    /// failures in a row make it `dead`; the first verdict takes one result.
    #[must_use]
    pub fn new(rise: u32, fall: u32) -> Self {
        Self { rise, fall, verdict: Verdict::Unknown, against: 0 }
    }

    /// The verdict as it stands.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether results speak against the verdict, which is yet to change.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        self.against > 0
    }

    /// Takes in one result; returns the verdict when it changed.
    pub fn observe(&mut self, success: bool) -> Option<Verdict> {
        let (target, needed) = match (self.verdict, success) {
            (Verdict::Unknown, true) => (Verdict::Up, 1),
            (Verdict::Unknown, false) => (Verdict::Dead, 1),
            (Verdict::Up, false) => (Verdict::Dead, self.fall),
            (Verdict::Dead, true) => (Verdict::Up, self.rise),
            // The result confirms the verdict.
            _ => {
                self.against = 0;
                return None;
            }
        };
        self.against += 1;
        if self.against < needed {
            return None;
        }
        self.against = 0;
        self.verdict = target;
        Some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_verdict_takes_one_result_and_later_ones_a_row() {
        let mut counter = RiseFall::new(3, 2);
        assert_eq!(counter.observe(true), Some(Verdict::Up));
        assert_eq!(counter.observe(false), None);
        assert!(counter.is_changing());
        assert_eq!(counter.observe(true), None, "a success in between starts the row anew");
        assert_eq!(counter.observe(false), None);
        assert_eq!(counter.observe(false), Some(Verdict::Dead));
        assert_eq!(counter.observe(true), None);
        assert_eq!(counter.observe(true), None);
        assert_eq!(counter.observe(true), Some(Verdict::Up));
        assert_eq!(RiseFall::new(3, 2).observe(false), Some(Verdict::Dead));
    }
}
