//! What must hold in a row.

use crate::seen::Seen;
use std::time::Duration;

/// How long after the verdict the last reset may come (HEALTH section 4: pace), and what looking
/// and logging cost.
const LAST_RESET: Duration = Duration::from_millis(2300);

/// One thing that must hold in each run.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// No new session fails that began after the fault, and none before.
    NoneFails,
    /// No new session takes longer than 1.5 s.
    NoneSlow,
    /// Lasting requests fail only in flight on a victim.
    OnlyInFlight,
    /// The wanted verdict comes within so many milliseconds.
    VerdictWithin(u64),
    /// No watch is cut by anybody but its master.
    WatchesUntouched,
    /// Each watch on the victim is cut, with the verdict.
    WatchesReset,
    /// Nobody else falls.
    NoOtherFalls,
    /// No session cut, no request failed (error statuses of a master are answers).
    ScoreZero,
    /// At the end, this master (of so many) has 0.5 to 1.5 times an equal share.
    Share(&'static str, u64),
    /// At the end, so many masters take new sessions.
    AllServe(usize),
    /// So many seconds at most until the first answer.
    AnswerWithin(f64),
}

impl Bound {
    pub fn words(self) -> String {
        match self {
            Self::NoneFails => "0 new failed".into(),
            Self::NoneSlow => "no new slower than 1.5 s".into(),
            Self::OnlyInFlight => "lasting fail only in flight on the victim".into(),
            Self::VerdictWithin(ms) => format!("verdict within {:.1} s", ms as f64 / 1e3),
            Self::WatchesUntouched => "no watch cut by the balancer".into(),
            Self::WatchesReset => "watches on the victim reset with the verdict".into(),
            Self::NoOtherFalls => "nobody else falls".into(),
            Self::ScoreZero => "0 cut, 0 failed".into(),
            Self::Share(master, _) => format!("{master} has 0.5-1.5 of its share in the end"),
            Self::AllServe(masters) => format!("{masters} masters serve in the end"),
            Self::AnswerWithin(most) => format!("first answer within {most} s"),
        }
    }

    pub fn holds(self, seen: &Seen) -> bool {
        match self {
            Self::NoneFails => seen.new_failed == 0,
            Self::NoneSlow => seen.new_slow == 0,
            Self::OnlyInFlight => seen.lasting_elsewhere == 0,
            Self::VerdictWithin(ms) => {
                seen.verdict.is_some_and(|after| after <= Duration::from_millis(ms))
            }
            Self::WatchesUntouched => seen.watches_cut + seen.watches_cut_elsewhere == 0,
            Self::WatchesReset => {
                let all = seen.watches_cut == seen.watches_on_victim;
                let (cuts, verdict) = (seen.watch_cuts, seen.verdict);
                all && (seen.watches_on_victim == 0
                    || cuts
                        .zip(verdict)
                        .is_some_and(|((_, last), verdict)| last <= verdict + LAST_RESET))
            }
            Self::NoOtherFalls => seen.falls.is_empty(),
            Self::ScoreZero => seen.score() == 0,
            Self::Share(master, of) => (0.5..=1.5).contains(&seen.share_after(master, of)),
            Self::AllServe(masters) => seen.after.len() == masters,
            Self::AnswerWithin(most) => seen.first_answer.is_some_and(|after| after <= most),
        }
    }
}
