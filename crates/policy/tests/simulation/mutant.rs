//! Deliberate mistakes around the real engine. Each names the invariant that must catch it.

use eclusa_policy::verdict::Settings;

/// A mistake at one of the seams between the engine and its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// None: the engine as it is.
    None,
    /// Bytes of traffic are not told to the judge.
    VetoIgnored,
    /// One silent dial is enough.
    OneSilenceSuffices,
    /// The judge believes that there are many healthy endpoints more.
    CorrelationOff,
    /// Endpoints that are draining stay in the first tier.
    DrainingTakesSessions,
    /// Endpoints that are dead stay in the first tier.
    DeadTakesSessions,
    /// A void result is reported as a refusal.
    VoidCountsAsFailure,
    /// Timers of a process that did not run count.
    LateTimersCount,
    /// A failed dial keeps its lease.
    LeaseLeaked,
    /// Every late first flight is replayed.
    BudgetIgnored,
    /// All sessions are reset in the moment of the verdict.
    Unpaced,
    /// Sessions of refusing endpoints are reset, too.
    ResetOnRefused,
    /// A sign of life does not stop the resets.
    StopIgnored,
    /// A second refusal is taken for an answer.
    RefusalHeals,
    /// A failed dial of a session is reported as two refused probes.
    PassiveKills,
    /// Silence is not reported.
    SilenceUnreported,
    /// An endpoint that answered may be replayed all the same.
    AnsweredReplayed,
    /// Whoever fell stays out.
    NeverRises,
    /// The queue lets everybody in.
    QueueUnbounded,
}

impl Mutant {
    /// Every mutant with the invariant that catches it.
    pub const ALL: [(Self, &'static str); 18] = [
        (Self::VetoIgnored, "silence is two dials and no byte"),
        (Self::OneSilenceSuffices, "silence is two dials and no byte"),
        (Self::CorrelationOff, "no reset without silence of its own"),
        (Self::DrainingTakesSessions, "new sessions go to who can serve"),
        (Self::DeadTakesSessions, "new sessions go to who can serve"),
        (Self::VoidCountsAsFailure, "void changes nothing"),
        (Self::LateTimersCount, "void changes nothing"),
        (Self::LeaseLeaked, "every lease is returned"),
        (Self::BudgetIgnored, "the replay budget is kept"),
        (Self::Unpaced, "resets are paced"),
        (Self::ResetOnRefused, "no reset without silence of its own"),
        (Self::StopIgnored, "no reset after a sign of life"),
        (Self::RefusalHeals, "verdicts are monotone in evidence"),
        (Self::PassiveKills, "traffic alone never kills"),
        (Self::SilenceUnreported, "silence is noticed in time"),
        (Self::AnsweredReplayed, "only unanswered flights are replayed"),
        (Self::NeverRises, "everybody recovers"),
        (Self::QueueUnbounded, "the queue is bounded"),
    ];

    /// The settings under this mutant.
    pub fn settings(self, mut settings: Settings) -> Settings {
        match self {
            Self::OneSilenceSuffices => {
                settings.confirm = 1;
                settings.silent_for = std::time::Duration::ZERO;
            }
            Self::NeverRises => settings.rise = u32::MAX,
            _ => {}
        }
        settings
    }
}
