//! Token buckets in a table of fixed size.

use super::ClientNetwork;
use crate::time::Time;
use std::time::Duration;

/// How often something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Times a second in the long run; at least 1.
    pub per_second: u32,
    /// Times at once after a rest; at least 1.
    pub burst: u32,
}

/// What a request for a token yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Within the limit.
    Within,
    /// Over it; there will be a token after this.
    Over(Duration),
}

/// Slots that a client can have its bucket in.
const WAYS: usize = 8;
/// A token, in the units that buckets count.
const TOKEN: u64 = 1_000_000_000;

/// Buckets of clients. The table never grows: a new client takes the place of the one that is nearest
/// to being forgotten, among the few that share its slots. Whoever is forgotten begins with a full
/// bucket: a crowd of addresses makes limits looser, never tighter.
#[derive(Clone, Debug)]
pub struct Buckets {
    rate: Rate,
    slots: Box<[Slot]>,
    seed: u64,
    /// Clients that were forgotten before their bucket was full again.
    forgotten: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    client: u64,
    /// What was there at `at`, in units of a token; full buckets are like empty slots.
    level: u64,
    at: Time,
    used: bool,
}

impl Buckets {
    /// A table for about `clients` of them. `seed` keeps clients from choosing their slots: random,
    /// and secret.
    #[must_use]
    pub fn new(rate: Rate, clients: usize, seed: u64) -> Self {
        let sets = clients.div_ceil(WAYS).next_power_of_two();
        let rate = Rate { per_second: rate.per_second.max(1), burst: rate.burst.max(1) };
        Self { rate, slots: vec![Slot::default(); sets * WAYS].into(), seed, forgotten: 0 }
    }

    /// Takes a token of the client's bucket, if there is one.
    pub fn take(&mut self, client: ClientNetwork, now: Time) -> Taken {
        let (rate, full) = (self.rate, self.full());
        let slot = self.slot(client, now);
        let mut forgets = false;
        let level = if slot.used && slot.client == client.0 {
            level(rate, slot, now)
        } else {
            forgets = slot.used && level(rate, slot, now) < full;
            *slot = Slot { client: client.0, level: full, at: now, used: true };
            full
        };
        slot.at = now;
        let taken = match level.checked_sub(TOKEN) {
            Some(left) => {
                slot.level = left;
                Taken::Within
            }
            None => {
                slot.level = level;
                let nanoseconds = (TOKEN - level).div_ceil(u64::from(rate.per_second));
                Taken::Over(Duration::from_nanos(nanoseconds))
            }
        };
        self.forgotten += u64::from(forgets);
        taken
    }

    /// How many clients lost their place before their bucket was full again: while this grows the
    /// table is too small, and the limit looser than it says.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Clients that are known at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    fn full(&self) -> u64 {
        u64::from(self.rate.burst) * TOKEN
    }

    /// The slot of the client, or else the one whose bucket is the fullest.
    fn slot(&mut self, client: ClientNetwork, now: Time) -> &mut Slot {
        let sets = self.slots.len() / WAYS;
        let hash = mixed(client.0 ^ self.seed);
        let set = usize::try_from(hash).unwrap_or(0) & (sets - 1);
        let rate = self.rate;
        let set = &mut self.slots[set * WAYS..(set + 1) * WAYS];
        let own = set.iter().position(|slot| slot.used && slot.client == client.0);
        let best = own.unwrap_or_else(|| {
            let fullness = |slot: &Slot| if slot.used { level(rate, slot, now) } else { u64::MAX };
            (0..WAYS).max_by_key(|index| fullness(&set[*index])).unwrap_or(0)
        });
        &mut set[best]
    }
}

/// What is in a bucket now.
fn level(rate: Rate, slot: &Slot, now: Time) -> u64 {
    let nanoseconds = u64::try_from(now.since(slot.at).as_nanos()).unwrap_or(u64::MAX);
    let gained = nanoseconds.saturating_mul(u64::from(rate.per_second));
    slot.level.saturating_add(gained).min(u64::from(rate.burst) * TOKEN)
}

/// Every bit of `number` in every bit of the outcome (the finalizer of MurmurHash3).
fn mixed(mut number: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        number = (number ^ number >> 33).wrapping_mul(factor);
    }
    number ^ number >> 33
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr};

    const RATE: Rate = Rate { per_second: 10, burst: 5 };

    fn client(number: u32) -> ClientNetwork {
        IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut buckets = Buckets::new(RATE, 1, 7);
        let now = Time::from_millis(1_000);
        let burst: Vec<_> = (0..6).map(|_| buckets.take(client(1), now)).collect();
        assert!(burst[..5].iter().all(|taken| *taken == Taken::Within));
        assert_eq!(burst[5], Taken::Over(Duration::from_millis(100)));
        assert_eq!(buckets.take(client(2), now), Taken::Within, "each has its own");
        assert_eq!(
            buckets.take(client(1), Time::from_millis(1_099)),
            Taken::Over(Duration::from_millis(1))
        );
        assert_eq!(buckets.take(client(1), Time::from_millis(1_100)), Taken::Within);
        assert_eq!(
            buckets.take(client(1), Time::from_millis(1_050)),
            Taken::Over(Duration::from_millis(100))
        );
        let rested = Time::from_millis(60_000);
        assert_eq!((0..9).filter(|_| buckets.take(client(1), rested) == Taken::Within).count(), 5);
    }

    #[test]
    fn a_crowd_does_not_grow_the_table_nor_free_the_busy_one() {
        let mut buckets = Buckets::new(RATE, 1_000, 7);
        assert_eq!(buckets.capacity(), 1_024);
        let now = Time::from_millis(1);
        while buckets.take(client(0), now) == Taken::Within {}
        // Others that come once each are nearer to full: they take each other's places.
        for number in 1..100_000 {
            assert_eq!(buckets.take(client(number), now), Taken::Within);
        }
        assert!(matches!(buckets.take(client(0), now), Taken::Over(_)));
        assert_eq!(buckets.capacity(), 1_024);
        assert!(buckets.forgotten() > 90_000, "{}", buckets.forgotten());
    }

    #[test]
    fn the_greatest_numbers_do_not_overflow() {
        let rate = Rate { per_second: u32::MAX, burst: u32::MAX };
        let mut buckets = Buckets::new(rate, 0, u64::MAX);
        let late = Time::after_start(Duration::MAX);
        assert_eq!(buckets.take(client(1), Time::START), Taken::Within);
        assert_eq!(buckets.take(client(1), late), Taken::Within);
        assert_eq!(buckets.take(client(1), Time::START), Taken::Within);
    }

    proptest! {
        /// Never more than the burst and what the time since has given.
        #[test]
        fn no_client_gets_more_than_its_rate(
            rate in (1_u32..50, 1_u32..50),
            waits in prop::collection::vec(0_u64..200, 1..200),
        ) {
            let rate = Rate { per_second: rate.0, burst: rate.1 };
            let mut buckets = Buckets::new(rate, 8, 1);
            let (mut now, mut taken) = (0, 0_u64);
            for wait in waits {
                now += wait;
                if buckets.take(client(1), Time::from_millis(now)) == Taken::Within {
                    taken += 1;
                }
                let allowed = u64::from(rate.burst) * 1_000 + now * u64::from(rate.per_second);
                prop_assert!(taken * 1_000 <= allowed, "{} of {}", taken, allowed);
            }
        }
    }
}
