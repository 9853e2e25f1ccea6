//! Our own link: an endpoint that is not heard while our cable is out has given no evidence.

use eclusa_sys::interface::has_carrier;
use std::cell::Cell;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// What was seen holds for so long: endpoints that fall silent together must not ask the kernel
/// for all addresses of this host one after the other.
const FRESH: Duration = Duration::from_millis(100);
/// So long after the link was seen down silence goes on saying nothing: what was sent before it
/// came back was never on its way.
const SETTLES: Duration = Duration::from_secs(2);

/// The link that a pool is reached over, as it was last seen.
#[derive(Debug, Default)]
pub(super) struct Link {
    seen: Cell<Option<(Instant, IpAddr)>>,
    down: Cell<Option<Instant>>,
}

impl Link {
    /// Whether the link behind `local`, an address of ours, is down, or was a moment ago. To be
    /// asked after silence only. What cannot be found out is no excuse for the endpoint.
    pub(super) fn is_down(&self, local: IpAddr) -> bool {
        let known = |(at, address): (Instant, IpAddr)| address == local && at.elapsed() < FRESH;
        if !self.seen.get().is_some_and(known) {
            self.seen.set(Some((Instant::now(), local)));
            if has_carrier(local).is_ok_and(|carrier| carrier == Some(false)) {
                self.down.set(Some(Instant::now()));
            }
        }
        self.down.get().is_some_and(|at| at.elapsed() < SETTLES)
    }
}
