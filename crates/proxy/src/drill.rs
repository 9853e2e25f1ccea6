//! A drill: for some seconds everything here that connects to an endpoint is treated as if the endpoint were
//! gone, refused, or slow: sessions, exchanges, probes. The endpoint itself knows nothing of it, and no byte of
//! a session that stands is held back.
//!
//! Who connects asks the endpoint whether there is one: a load of a flag that nobody writes. All else here is
//! run during a drill alone, and never where bytes move.

mod tally;

pub(crate) use tally::{Counted, Met};

use eclusa_policy::verdict::{Reason, Report, Verdict};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

/// Changes of its endpoint's verdict that a drill keeps.
const CHANGES: usize = 64;

/// As what an endpoint is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fault {
    /// Nothing comes back: as if its host had lost its power or its network.
    Freeze,
    /// It refuses connections: as if its program had ended.
    Refuse,
    /// Connections, and answers to probes, come later.
    Slow,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Freeze, Self::Refuse, Self::Slow];

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Refuse => "refuse",
            Self::Slow => "slow",
        }
    }
}

/// What is held of the endpoint from a moment of the drill on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// Since the drill began.
    pub(crate) after: Duration,
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
}

/// A drill that is on, or over.
#[derive(Debug)]
pub(crate) struct Drill {
    fault: Fault,
    /// How much later, where it is slow.
    delay: Duration,
    began: Instant,
    /// It is over then, whatever becomes of whoever is to end it.
    until: Instant,
    ended: watch::Sender<bool>,
    tally: tally::Tally,
    changes: Mutex<Vec<Change>>,
}

impl Drill {
    /// One that begins now; `report`: what is held of its endpoint.
    pub(crate) fn begin(
        fault: Fault,
        delay: Duration,
        length: Duration,
        report: &Report,
    ) -> Arc<Self> {
        let began = Instant::now();
        let drill = Self {
            fault,
            delay,
            began,
            until: began + length,
            ended: watch::Sender::new(false),
            tally: tally::Tally::default(),
            changes: Mutex::default(),
        };
        drill.saw(report);
        Arc::new(drill)
    }

    /// As what the endpoint is treated.
    pub(crate) fn fault(&self) -> Fault {
        self.fault
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        *self.ended.borrow() || Instant::now() >= self.until
    }

    /// Ends it: whoever waits goes on at once.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// For how long it has gone on.
    pub(crate) fn lasts(&self) -> Duration {
        self.began.elapsed().min(self.until - self.began)
    }

    /// What a connection that begins now meets: an error, or, at some time, leave to connect.
    pub(crate) async fn meet(self: Arc<Self>) -> io::Result<()> {
        match self.fault {
            Fault::Refuse => Err(rustix::io::Errno::CONNREFUSED.into()),
            Fault::Freeze => {
                self.over().await;
                Ok(())
            }
            Fault::Slow => {
                // Over sooner: what would have been late is so no more.
                let _ = timeout(self.delay, self.over()).await;
                Ok(())
            }
        }
    }

    async fn over(&self) {
        let mut ended = self.ended.subscribe();
        let _ = timeout_at(self.until.into(), ended.wait_for(|ended| *ended)).await;
    }

    /// Notes what is held of the endpoint from now on.
    pub(crate) fn saw(&self, report: &Report) {
        let Report { verdict, reason, .. } = *report;
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = changes.last().is_some_and(|it| (it.verdict, it.reason) == (verdict, reason));
        if !known && changes.len() < CHANGES {
            changes.push(Change { after: self.began.elapsed(), verdict, reason });
        }
    }

    /// What was held of the endpoint, from the beginning on.
    pub(crate) fn changes(&self) -> Vec<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What became of those who met it, so far.
    pub(crate) fn counted(&self) -> Counted {
        self.tally.counted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::first_report;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    const LONG: Duration = Duration::from_secs(60);

    fn drill(fault: Fault, delay: Duration, length: Duration) -> Arc<Drill> {
        Drill::begin(fault, delay, length, &first_report(true))
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn who_is_refused_hears_it_at_once_and_who_is_frozen_when_it_is_over() {
        run(async {
            let refused = drill(Fault::Refuse, Duration::ZERO, LONG).meet().await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            let frozen = drill(Fault::Freeze, Duration::ZERO, LONG);
            let mut met = pin!(frozen.clone().meet());
            assert!(met.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            frozen.end();
            assert!(timeout(LONG, met).await.unwrap().is_ok() && frozen.is_over());
        });
    }

    #[test]
    fn it_is_over_by_itself_and_slow_is_no_longer_than_it() {
        run(async {
            let short = Duration::from_millis(20);
            for (fault, delay) in [(Fault::Freeze, Duration::ZERO), (Fault::Slow, LONG)] {
                let drill = drill(fault, delay, short);
                timeout(LONG / 2, drill.clone().meet()).await.unwrap().unwrap();
                assert!(drill.is_over() && drill.lasts() == short, "{fault:?}");
            }
            let slow = drill(Fault::Slow, short, LONG);
            let began = Instant::now();
            timeout(LONG / 2, slow.clone().meet()).await.unwrap().unwrap();
            assert!(began.elapsed() >= short && !slow.is_over());
        });
    }

    #[test]
    fn verdicts_are_noted_when_they_change() {
        let drill = drill(Fault::Freeze, Duration::ZERO, LONG);
        for _ in 0..3 {
            drill.saw(&first_report(true));
        }
        for _ in 0..3 {
            drill.saw(&first_report(false));
        }
        let verdicts: Vec<_> = drill.changes().iter().map(|change| change.verdict).collect();
        assert_eq!(verdicts, [Verdict::Unknown, Verdict::Up]);
        for n in 0..2 * CHANGES {
            drill.saw(&first_report(n % 2 == 0));
        }
        assert_eq!(drill.changes().len(), CHANGES);
    }
}
