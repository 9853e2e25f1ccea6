//! The three fake masters, and what can be done to them.

use eclusa_testkit::apiserver::{ApiServer, Settings};
use eclusa_testkit::ca::Ca;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How many; odd, as etcd wants it.
const COUNT: usize = 3;
/// How long a draining master goes on accepting.
const SHUTDOWN_DELAY: Duration = Duration::from_secs(3);
/// By how much each byte of a slow master is late.
const SLOW: Duration = Duration::from_millis(400);

/// Something done to a master. Each undoes itself when done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The process is gone at once, as with `kill -9`.
    Kill,
    /// It accepts and says nothing, as with SIGSTOP.
    Freeze,
    /// Every byte is late.
    Slow,
    /// It ends in order, as with SIGTERM.
    Drain,
}

impl Action {
    /// What a key stands for.
    pub(crate) fn of_key(key: char) -> Option<Self> {
        match key.to_ascii_lowercase() {
            'k' => Some(Self::Kill),
            'f' => Some(Self::Freeze),
            's' => Some(Self::Slow),
            'd' => Some(Self::Drain),
            _ => None,
        }
    }

    /// Which master it is done to: one each, so that several faults can be seen together; but
    /// never all three.
    fn target(self) -> usize {
        match self {
            Self::Kill | Self::Drain => 1,
            Self::Freeze | Self::Slow => 2,
        }
    }
}

/// The masters, in order.
pub(crate) struct Masters(Vec<Master>);

struct Master {
    address: SocketAddr,
    settings: Settings,
    /// `None`: killed.
    running: Option<ApiServer>,
    draining: bool,
}

impl Masters {
    /// Starts them on free ports of the loopback.
    pub(crate) fn start(ca: &Ca) -> io::Result<Self> {
        let leaf = ca.leaf(&["kubernetes", "kubernetes.default.svc"]);
        let start = |number| {
            let mut settings = Settings::new(&format!("master{number}"), &leaf);
            settings.shutdown_delay = SHUTDOWN_DELAY;
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let running = ApiServer::start(any, settings.clone())?;
            let address = running.address();
            Ok(Master { address, settings, running: Some(running), draining: false })
        };
        (1..=COUNT).map(start).collect::<io::Result<_>>().map(Self)
    }

    /// Name and address of each.
    pub(crate) fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.0.iter().map(|master| (master.settings.name.clone(), master.address)).collect()
    }

    /// Does it, and says what was done.
    pub(crate) fn apply(&mut self, action: Action) -> String {
        let Some(master) = self.0.get_mut(action.target()) else {
            return "there is no such master".into();
        };
        let done = master.apply(action);
        format!("{} {done}", master.settings.name)
    }
}

impl Master {
    fn apply(&mut self, action: Action) -> String {
        let down = self.running.is_none() || self.draining;
        match (action, &self.running) {
            // Gone, or going: each of both keys brings it back.
            (Action::Kill | Action::Drain, _) if down => self.revive(),
            (Action::Kill, _) => {
                self.running = None;
                "is killed (k again: revive)".into()
            }
            (Action::Drain, Some(running)) => {
                running.terminate();
                self.draining = true;
                format!(
                    "got SIGTERM: its /readyz is 500, it accepts for {SHUTDOWN_DELAY:?} more, \
                     then its listener closes (d again: revive)"
                )
            }
            (Action::Freeze, Some(running)) => {
                let mut frozen = false;
                running.fault(|faults| {
                    faults.silent = !faults.silent;
                    frozen = faults.silent;
                });
                told(
                    frozen,
                    "is frozen: it accepts and says nothing; who has reached it waits in vain (f again: thaw)",
                    "is thawed",
                )
            }
            (Action::Slow, Some(running)) => {
                let mut slow = false;
                running.fault(|faults| {
                    slow = faults.every_byte_late.is_zero();
                    faults.every_byte_late = if slow { SLOW } else { Duration::ZERO };
                });
                told(slow, "is slow: every byte comes 400 ms late (s again: not)", "is quick again")
            }
            (_, None) => "is down".into(),
        }
    }

    fn revive(&mut self) -> String {
        // First, or it would still hold the address.
        self.running = None;
        self.draining = false;
        match ApiServer::start(self.address, self.settings.clone()) {
            Ok(running) => {
                self.running = Some(running);
                "is back".into()
            }
            Err(error) => format!("cannot come back: {error} (once more)"),
        }
    }
}

fn told(is: bool, on: &str, off: &str) -> String {
    (if is { on } else { off }).to_owned()
}
