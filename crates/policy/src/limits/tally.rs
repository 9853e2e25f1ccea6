//! How many requests each client made within a time, and how many of them are not over.

use super::ClientNetwork;
use crate::condition::Counted;
use crate::time::Time;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Clients that are looked at to find one that can be forgotten, for each that comes.
const LOOKS: usize = 8;

/// Requests of clients, each by its network, in a table that has a largest size: a client that finds no
/// room takes the place of one that was quiet for long.
///
/// Requests of the last while are counted in two halves, those of the time that runs and those of the
/// time before it, which count the less the older they are: two numbers for a client, whatever it asks.
#[derive(Clone, Debug)]
pub struct Tally {
    within: Duration,
    forget_after: Duration,
    most: usize,
    known: HashMap<ClientNetwork, Known>,
    /// Who may be forgotten, in about the order in which that is due.
    due: VecDeque<(Time, ClientNetwork)>,
    forgotten: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// When the time that runs began.
    since: Time,
    /// Requests in it.
    current: u32,
    /// Requests in the time before it.
    before: u32,
    at_once: u32,
    /// When a request began or ended last.
    last: Time,
}

impl Tally {
    /// Counts requests `within` a time, of at most `most` clients; one that is quiet `forget_after` is
    /// forgotten.
    #[must_use]
    pub fn new(within: Duration, forget_after: Duration, most: usize) -> Self {
        let within = within.max(Duration::from_millis(1));
        let (known, due) = (HashMap::new(), VecDeque::new());
        Self { within, forget_after, most: most.max(1), known, due, forgotten: 0 }
    }

    /// A request of the client begins; yields what is counted with it. `None`: there is no room for it, and
    /// nobody who could be forgotten; then it does not end here either.
    pub fn begin(&mut self, client: ClientNetwork, now: Time) -> Option<Counted> {
        self.sweep(now);
        if !self.known.contains_key(&client) && !self.make_room(now) {
            self.forgotten += 1;
            return None;
        }
        let (within, forget_after) = (self.within, self.forget_after);
        let fresh = Known { since: now, current: 0, before: 0, at_once: 0, last: now };
        let due = &mut self.due;
        let known = self.known.entry(client).or_insert_with(|| {
            due.push_back((now, client));
            fresh
        });
        if known.is_forgotten(now, forget_after) {
            *known = fresh;
        }
        known.turn(now, within);
        known.current = known.current.saturating_add(1);
        known.at_once = known.at_once.saturating_add(1);
        known.last = now;
        Some(known.counted(now, within))
    }

    /// A request that had begun is over.
    pub fn end(&mut self, client: ClientNetwork, now: Time) {
        if let Some(known) = self.known.get_mut(&client) {
            known.at_once = known.at_once.saturating_sub(1);
            known.last = known.last.max(now);
        }
    }

    /// What was counted of the client.
    #[must_use]
    pub fn read(&self, client: ClientNetwork, now: Time) -> Counted {
        let known = self.known.get(&client);
        let Some(known) = known.filter(|known| !known.is_forgotten(now, self.forget_after)) else {
            return Counted::default();
        };
        known.counted(now, self.within)
    }

    /// Clients that are known.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.known.len()
    }

    /// Requests that were not counted, and clients that were forgotten early: while this grows the table
    /// is too small.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Forgets some of those whose time has come.
    fn sweep(&mut self, now: Time) {
        for _ in 0..LOOKS {
            match self.due.front() {
                Some((last, _)) if now.since(*last) >= self.forget_after => {
                    self.look_at_front(now, Wanted::Due);
                }
                _ => return,
            }
        }
    }

    /// Whether there is room for one more.
    fn make_room(&mut self, now: Time) -> bool {
        for look in 0..=LOOKS {
            if self.known.len() < self.most {
                return true;
            }
            self.look_at_front(now, if look < LOOKS { Wanted::Quiet } else { Wanted::Any });
        }
        self.known.len() < self.most
    }

    /// Forgets the first in line if it is one that is `wanted`; else it waits again, from its last request
    /// on.
    fn look_at_front(&mut self, now: Time, wanted: Wanted) {
        let Some((queued, client)) = self.due.pop_front() else { return };
        let Some(known) = self.known.get(&client) else { return };
        let is_due = known.is_forgotten(now, self.forget_after);
        let is_free = known.at_once == 0;
        let goes = match wanted {
            Wanted::Due => is_due,
            Wanted::Quiet => is_due || is_free && known.last <= queued,
            Wanted::Any => is_free,
        };
        if goes {
            self.forgotten += u64::from(!is_due);
            self.known.remove(&client);
        } else {
            self.due.push_back((known.last, client));
        }
    }
}

/// Who may be forgotten.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Whose time has come.
    Due,
    /// And who has asked nothing since it was put in line.
    Quiet,
    /// Everybody of whom no request is under way.
    Any,
}

impl Known {
    /// Whether it was quiet for so long.
    fn is_forgotten(&self, now: Time, forget_after: Duration) -> bool {
        self.at_once == 0 && now.since(self.last) >= forget_after
    }

    /// Begins the time that `now` lies in.
    fn turn(&mut self, now: Time, within: Duration) {
        if now.since(self.since) < within {
            return;
        }
        (self.before, self.current) = (self.current, 0);
        self.since = self.since + within;
        if now.since(self.since) >= within {
            (self.before, self.since) = (0, now);
        }
    }

    fn counted(&self, now: Time, within: Duration) -> Counted {
        Counted { requests: self.requests(now, within), at_once: self.at_once.into() }
    }

    /// Requests of the last `within`, those of the time before by the part of it that still counts.
    fn requests(&self, now: Time, within: Duration) -> u64 {
        let mut known = *self;
        known.turn(now, within);
        let left = within.saturating_sub(now.since(known.since)).as_millis();
        if known.current == 0 && known.before <= 1 {
            // One stays one to its end: a client that asks rarely does not waver.
            return known.before.into();
        }
        let before = u128::from(known.before) * left / within.as_millis().max(1);
        u64::from(known.current) + u64::try_from(before).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn client(number: u32) -> ClientNetwork {
        IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    fn seconds(seconds: u64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    fn tally() -> Tally {
        Tally::new(Duration::from_secs(10), Duration::from_secs(30), 4)
    }

    fn asks(tally: &mut Tally, number: u32, times: u32, now: Time) {
        for _ in 0..times {
            assert!(tally.begin(client(number), now).is_some());
            tally.end(client(number), now);
        }
    }

    #[test]
    fn requests_count_the_less_the_older_they_are() {
        let mut tally = tally();
        let requests = |tally: &Tally, now| tally.read(client(1), now).requests;
        asks(&mut tally, 1, 20, seconds(100));
        assert_eq!(requests(&tally, seconds(100)), 20);
        assert_eq!(requests(&tally, seconds(109)), 20);
        assert_eq!(requests(&tally, seconds(115)), 10, "half of the time before");
        asks(&mut tally, 1, 4, seconds(115));
        assert_eq!(requests(&tally, seconds(115)), 14);
        assert_eq!(requests(&tally, seconds(119)), 4 + 2);
        assert_eq!(requests(&tally, seconds(131)), 0);
        assert_eq!(tally.read(client(2), seconds(131)), Counted::default());
        asks(&mut tally, 3, 1, seconds(200));
        let rare: Vec<_> = [200, 209, 211, 219, 220]
            .map(|now| tally.read(client(3), seconds(now)).requests)
            .to_vec();
        assert_eq!(rare, [1, 1, 1, 1, 0]);
    }

    #[test]
    fn who_was_quiet_is_forgotten_whatever_would_still_count() {
        let mut tally = Tally::new(Duration::from_secs(60), Duration::from_secs(30), 4);
        asks(&mut tally, 1, 50, seconds(100));
        assert_eq!(tally.read(client(1), seconds(129)).requests, 50);
        assert_eq!(tally.read(client(1), seconds(130)).requests, 0);
        asks(&mut tally, 1, 1, seconds(130));
        assert_eq!(tally.read(client(1), seconds(130)).requests, 1);
        asks(&mut tally, 2, 1, seconds(190));
        assert_eq!(tally.clients(), 1, "the first has gone");
    }

    #[test]
    fn requests_at_once_count_until_they_are_over() {
        let mut tally = tally();
        for at_once in 1..=3 {
            let counted = Counted { requests: at_once, at_once };
            assert_eq!(tally.begin(client(1), seconds(1)), Some(counted));
        }
        assert_eq!(tally.read(client(1), seconds(1)), Counted { requests: 3, at_once: 3 });
        tally.end(client(1), seconds(2));
        // They take longer than clients are remembered.
        assert_eq!(tally.read(client(1), seconds(100)), Counted { requests: 0, at_once: 2 });
        tally.end(client(1), seconds(101));
        tally.end(client(1), seconds(101));
        tally.end(client(1), seconds(101));
        assert_eq!(tally.read(client(1), seconds(101)).at_once, 0);
    }

    #[test]
    fn a_crowd_takes_the_places_of_the_quiet_alone() {
        let mut tally = tally();
        assert!(tally.begin(client(0), seconds(1)).is_some());
        for number in 1..1_000 {
            asks(&mut tally, number, 1, seconds(2));
            assert!(tally.clients() <= 4);
        }
        assert_eq!(tally.read(client(0), seconds(2)).at_once, 1, "it is not over");
        assert!(tally.forgotten() > 900, "{}", tally.forgotten());
        let mut full = self::tally();
        for number in 0..4 {
            assert!(full.begin(client(number), seconds(1)).is_some());
        }
        assert!(full.begin(client(9), seconds(1)).is_none(), "nobody can be forgotten");
        full.end(client(9), seconds(1));
        full.end(client(2), seconds(1));
        assert!(full.begin(client(9), seconds(1)).is_some());
    }

    #[test]
    fn a_household_is_one_client_whichever_of_its_addresses_it_takes() {
        let mut tally = Tally::new(Duration::from_secs(60), Duration::from_secs(600), 4);
        for number in 1..=30_u128 {
            let address = IpAddr::from((0x2001_0db8_u128 << 96 | number).to_be_bytes());
            let counted = tally.begin(address.into(), seconds(1)).unwrap();
            assert_eq!(u128::from(counted.requests), number);
        }
        assert_eq!((tally.clients(), tally.forgotten()), (1, 0));
    }

    proptest! {
        /// Never fewer than came in the time that runs, never more than in twice the time.
        #[test]
        fn what_is_counted_lies_between(waits in prop::collection::vec(0_u64..4_000, 1..60)) {
            let mut tally = Tally::new(Duration::from_secs(10), Duration::from_secs(600), 2);
            let (mut now, mut came) = (100_000, Vec::new());
            for wait in waits {
                now += wait;
                tally.begin(client(1), Time::from_millis(now));
                came.push(now);
                let counted = tally.read(client(1), Time::from_millis(now)).requests;
                let within = |time| came.iter().filter(|at| now - **at < time).count() as u64;
                prop_assert!(counted >= 1 && counted <= within(20_000), "{}", counted);
            }
        }
    }
}
