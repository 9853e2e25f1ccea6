//! Client networks that are kept out for a while: too many of their connections were cut.

use super::ClientNetwork;
use crate::time::Time;
use std::time::Duration;

/// Within this time so many cuts are too many, and for so long is a network kept out.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Networks that are remembered at most. One more takes the place of the one whose last cut is the oldest:
/// whoever is forgotten begins anew.
const NETWORKS: usize = 1024;

/// Cuts of the last while, by client network.
#[derive(Clone, Debug)]
pub struct Outcasts {
    most: u32,
    known: Vec<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    network: ClientNetwork,
    cuts: u32,
    /// When the first of these was.
    since: Time,
    last: Time,
    /// Kept out from the last on.
    out: bool,
}

impl Outcasts {
    /// With `most` cuts in [`WINDOW`] a network is kept out; at least 1.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most: most.max(1), known: Vec::new() }
    }

    /// A connection of the network was cut.
    pub fn cut(&mut self, network: ClientNetwork, now: Time) {
        let fresh = Known { network, cuts: 0, since: now, last: now, out: false };
        let place = match self.known.iter().position(|known| known.network == network) {
            Some(place) => place,
            None if self.known.len() < NETWORKS => {
                self.known.push(fresh);
                self.known.len() - 1
            }
            None => {
                let ages = self.known.iter().enumerate();
                let oldest = ages.min_by_key(|(_, known)| known.last).map_or(0, |(place, _)| place);
                self.known[oldest] = fresh;
                oldest
            }
        };
        let known = &mut self.known[place];
        if now.since(known.since) >= WINDOW && !known.is_out(now) {
            *known = fresh;
        }
        known.cuts = known.cuts.saturating_add(1);
        known.last = now;
        known.out |= known.cuts >= self.most;
    }

    /// Whether a new connection of the network comes while it is kept out. To come does not make it longer.
    #[must_use]
    pub fn is_out(&self, network: ClientNetwork, now: Time) -> bool {
        self.known.iter().any(|known| known.network == network && known.is_out(now))
    }

    /// Whether nobody is remembered, so that nobody need be looked up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

impl Known {
    fn is_out(&self, now: Time) -> bool {
        self.out && now.since(self.last) < WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn network(number: u32) -> ClientNetwork {
        IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    fn at(seconds: u64) -> Time {
        Time::from_millis(1_000 * seconds)
    }

    #[test]
    fn some_cuts_in_a_while_and_it_is_out_for_a_while() {
        let mut outcasts = Outcasts::new(3);
        assert!(outcasts.is_empty() && !outcasts.is_out(network(1), at(1)));
        for second in [1, 2] {
            outcasts.cut(network(1), at(second));
        }
        assert!(!outcasts.is_out(network(1), at(2)));
        outcasts.cut(network(1), at(30));
        assert!(outcasts.is_out(network(1), at(30)) && outcasts.is_out(network(1), at(89)));
        assert!(!outcasts.is_out(network(2), at(30)), "each network for itself");
        assert!(!outcasts.is_out(network(1), at(90)));
        outcasts.cut(network(1), at(91));
        assert!(!outcasts.is_out(network(1), at(91)), "it begins anew");
    }

    #[test]
    fn cuts_that_are_far_apart_keep_nobody_out() {
        let mut outcasts = Outcasts::new(3);
        for second in (0..6_000).step_by(31) {
            outcasts.cut(network(1), at(second));
            assert!(!outcasts.is_out(network(1), at(second)), "{second}");
        }
    }

    #[test]
    fn who_goes_on_stays_out_and_a_crowd_does_not_grow_the_table() {
        let mut outcasts = Outcasts::new(2);
        for second in 0..1_000 {
            outcasts.cut(network(0), at(second));
            outcasts.cut(network(u32::try_from(second).unwrap() + 1), at(second));
            assert_eq!(outcasts.is_out(network(0), at(second)), second > 0, "{second}");
        }
        for number in 0..10_000 {
            outcasts.cut(network(5_000 + number), at(1_000));
        }
        assert_eq!(outcasts.known.len(), NETWORKS);
    }
}
