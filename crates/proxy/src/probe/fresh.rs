//! A fresh connection: its silence, its hello, its set-up, and what each failure means.

use super::Kind;
use super::connect::{Connection, evidence_of, set_up};
use super::drive::Probing;
use super::first_byte::FirstByte;
use super::kept;
use eclusa_policy::verdict::{Check, Evidence, VoidCause};
use eclusa_sys::socket::reset_on_close;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep_until, timeout};

/// How long a TLS connection may take to be closed in order.
const CLOSING: Duration = Duration::from_millis(500);

/// Probes over a fresh connection.
pub(super) async fn probe(probing: Probing) {
    let first = Rc::new(FirstByte::default());
    let mut dial = Dial {
        probing: probing.clone(),
        began: Instant::now(),
        first: first.clone(),
        missed: false,
        greeted: false,
        stalled: false,
    };
    let endpoint = probing.member.endpoint.clone();
    let setting_up = set_up(&probing.watch, &endpoint, first);
    let Some(connection) = dial.watch(setting_up).await else { return };
    dial.set_up(&connection);
    let kind = probing.watch.kind();
    match (&*kind, connection) {
        (Kind::Http(_), connection) => kept::begin(probing, connection, dial.first.local()).await,
        // Closed with a reset: the endpoint's program, which has nothing to read, is not bothered
        // with a session, and no TIME_WAIT stays behind.
        (_, Connection::Plain(stream)) => reset_on_close(stream.stream().as_fd()),
        // Closed in order, so that the endpoint's log stays clean.
        (_, mut connection @ Connection::Tls(_)) => {
            // It has shown what was asked of it; how it takes the end is not.
            let _ = timeout(CLOSING, connection.shutdown()).await;
        }
    }
}

/// A fresh dial under way.
struct Dial {
    probing: Probing,
    /// When the SYN was sent.
    began: Instant,
    first: Rc<FirstByte>,
    /// Its silence was told.
    missed: bool,
    /// Its hello was told.
    greeted: bool,
    /// This process did not run meanwhile, or its link was down: what its clock says of the hello
    /// is void.
    stalled: bool,
}

impl Dial {
    /// Follows the set-up; a connection that stands, or nothing when it failed or takes too long.
    async fn watch(
        &mut self,
        setting_up: impl Future<Output = io::Result<Connection>>,
    ) -> Option<Connection> {
        let settings = self.probing.watch.settings();
        let (hello_within, late_after) = (settings.hello_within, settings.late_after);
        let mut setting_up = pin!(setting_up);
        let first = self.first.clone();
        let mut over = false;
        loop {
            let waits_for_hello = !self.missed && !self.greeted;
            let until = if waits_for_hello { hello_within } else { late_after };
            let until = self.began + until;
            tokio::select! {
                biased;
                result = &mut setting_up, if !over => match result {
                    Ok(connection) => return Some(connection),
                    Err(error) => match self.failure(&error) {
                        Some(evidence) => {
                            self.probing.see(evidence);
                            return None;
                        }
                        // Silence has its own time.
                        None => over = true,
                    }
                },
                () = first.arrival(), if !self.greeted => self.greet(),
                () = sleep_until(until) => {
                    let timer_late = until.elapsed();
                    if waits_for_hello {
                        self.miss(timer_late);
                    } else {
                        self.give_up(timer_late);
                        return None;
                    }
                }
            }
        }
    }

    /// What a failed set-up shows, where its silence has not been told already.
    fn failure(&mut self, error: &io::Error) -> Option<Evidence> {
        if self.first.at().is_some() {
            self.greet();
        }
        evidence_of(error)
    }

    /// Nothing came in time.
    fn miss(&mut self, timer_late: Duration) {
        self.missed = true;
        self.stalled |= timer_late > self.probing.watch.settings().timer_slack;
        if self.probing.is_cut_off(self.first.local()) {
            self.stalled = true;
            return self.probing.see(Evidence::Void(VoidCause::NoRoute));
        }
        let since = self.probing.watch.shared.time_of(self.began.into_std());
        self.probing.see(Evidence::Silent { since, timer_late });
    }

    /// The set-up takes longer than an answer may. After silence nothing is left to tell; a
    /// connection that greeted and then stands still is slow.
    fn give_up(&self, timer_late: Duration) {
        if !self.greeted {
            return;
        }
        let since = self.probing.watch.shared.time_of(self.began.into_std());
        let check = Check::Connect;
        self.probing.see(match self.probing.is_cut_off(self.first.local()) {
            true => Evidence::Void(VoidCause::NoRoute),
            false => Evidence::Late { check, since, timer_late },
        });
    }

    /// The first byte came; without TLS: the connection stands.
    fn greet(&mut self) {
        if std::mem::replace(&mut self.greeted, true) {
            return;
        }
        match self.took() {
            Some(took) => self.probing.see(Evidence::Hello { took }),
            None => self.probing.see(Evidence::Byte),
        }
    }

    /// How long the hello took since the SYN; `None`: this process did not run, nobody knows.
    fn took(&mut self) -> Option<Duration> {
        let settings = self.probing.watch.settings();
        let took =
            self.first.at().unwrap_or_else(Instant::now).saturating_duration_since(self.began);
        if self.stalled {
            return None;
        }
        if self.missed {
            return Some(took);
        }
        // Our own timer, which was due before, has not fired: the time is ours, not the endpoint's.
        let late = took.saturating_sub(settings.hello_within);
        if late > settings.timer_slack {
            self.stalled = true;
            self.probing.see(Evidence::Void(VoidCause::Stalled));
            return None;
        }
        Some(took.min(settings.hello_within))
    }

    fn set_up(&mut self, connection: &Connection) {
        if let Some(facts) = connection.facts(&self.probing.watch) {
            self.greet();
            self.probing.see(Evidence::Handshake(facts));
        } else {
            match self.took() {
                Some(took) => self.probing.see(Evidence::Connected { took }),
                None => self.probing.see(Evidence::Byte),
            }
        }
    }
}
