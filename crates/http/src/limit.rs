//! What each client network may do at a listener: connections at once, requests a second, floods. What is
//! over is counted and told, at most once a second; it is refused only where the operator has said so.

use crate::answer::Answer;
use eclusa_config::plan;
use eclusa_policy::limits::{Buckets, ClientNetwork, Outcasts, Taken};
use eclusa_policy::network::NetworkSet;
use eclusa_policy::time::Time;
use eclusa_proxy::layer7::{Connection, End, Limited, Step, Who};
use eclusa_wire::http2::Flood;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often it is told at most that something was over a limit.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The limits of a listener.
#[derive(Debug)]
pub(crate) struct Limiter {
    listener: Arc<str>,
    plan: plan::Limit,
    except: NetworkSet,
    connections: Arc<Mutex<Standing>>,
    requests: Option<Arc<Mutex<Buckets>>>,
    floods: Option<Arc<Mutex<Outcasts>>>,
    over: Mutex<Over>,
}

/// Connections that stand, by client network. There are no more networks in it than connections, which
/// `sessions_max` bounds.
type Standing = HashMap<ClientNetwork, u32>;

/// What was over a limit and is not told yet.
#[derive(Debug, Default)]
struct Over {
    connections: u64,
    requests: u64,
    outcasts: u64,
    last: Option<IpAddr>,
    /// Connections that were cut, and the last one's client and reason.
    floods: u64,
    flood: Option<(IpAddr, Flood)>,
    told: Option<Instant>,
}

/// A connection that counts for its network; dropped = it counts no more.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Mutex<Standing>>,
    network: ClientNetwork,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut standing = locked(&self.connections);
        if let Some(count) = standing.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                standing.remove(&self.network);
            }
        }
    }
}

/// Each lock here is held for a look-up, and for that alone.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Limiter {
    /// By this plan. What `previous` has counted goes on to count: a reload empties no bucket unless the
    /// rate has changed.
    pub(crate) fn new(listener: &Arc<str>, plan: &plan::Limit, previous: Option<&Self>) -> Self {
        let buckets = |rate| Buckets::new(rate, plan.clients, fastrand::u64(..));
        let same =
            previous.filter(|it| (it.plan.rate, it.plan.clients) == (plan.rate, plan.clients));
        let requests = same.map_or_else(
            || plan.rate.map(|rate| Arc::new(Mutex::new(buckets(rate)))),
            |same| same.requests.clone(),
        );
        let same = previous.filter(|it| it.plan.floods == plan.floods);
        let floods = same.map_or_else(
            || plan.floods.map(|most| Arc::new(Mutex::new(Outcasts::new(most)))),
            |same| same.floods.clone(),
        );
        Self {
            listener: Arc::clone(listener),
            except: plan.except.iter().copied().collect(),
            connections: previous.map(|it| Arc::clone(&it.connections)).unwrap_or_default(),
            requests,
            floods,
            over: Mutex::default(),
            plan: plan.clone(),
        }
    }

    /// A connection begins; `None`: it does not count.
    ///
    /// # Errors
    /// Its network has too many, and it ends.
    pub(crate) fn enter(&self, connection: &Connection) -> Result<Option<Place>, End> {
        let client = connection.client().ip();
        if self.is_outcast(client, connection.time()) {
            self.tell(client, |over| &mut over.outcasts);
            connection.limited(Limited::Floods, self.plan.enforce);
            if self.plan.enforce {
                let why = "more floods than `limit.floods` from its network";
                return Err(End::abort(Who::Proxy, Step::Access, why));
            }
        }
        let (place, is_over) = self.place(client);
        if !is_over {
            return Ok(place);
        }
        self.tell(client, |over| &mut over.connections);
        connection.limited(Limited::Connections, self.plan.enforce);
        if !self.plan.enforce {
            return Ok(place);
        }
        let why = "more connections than `limit.connections` from its network";
        Err(End::abort(Who::Proxy, Step::Access, why))
    }

    /// A place for a connection of this client, and whether it is one too many.
    fn place(&self, client: IpAddr) -> (Option<Place>, bool) {
        if self.except.contains(client) {
            return (None, false);
        }
        let network = ClientNetwork::from(client);
        let count = {
            let mut standing = locked(&self.connections);
            let count = standing.entry(network).or_default();
            *count += 1;
            *count
        };
        let place = Place { connections: Arc::clone(&self.connections), network };
        (Some(place), self.plan.connections.is_some_and(|most| count > most))
    }

    /// A request begins. `Some`: its network makes too many, and it is answered so.
    pub(crate) fn request(&self, connection: &Connection) -> Option<(Answer, End)> {
        let client = connection.client().ip();
        let buckets = self.requests.as_ref().filter(|_| !self.except.contains(client))?;
        let (taken, forgot) = {
            let mut buckets = locked(buckets);
            let before = buckets.forgotten();
            let taken = buckets.take(client.into(), connection.time());
            (taken, buckets.forgotten() > before)
        };
        if forgot {
            connection.forgot();
        }
        let Taken::Over(wait) = taken else { return None };
        self.tell(client, |over| &mut over.requests);
        connection.limited(Limited::Requests, self.plan.enforce);
        if !self.plan.enforce {
            return None;
        }
        let why = "more requests than `limit.requests_per_second` from its network";
        Some((Answer::too_many(wait), End::abort(Who::Proxy, Step::Route, why)))
    }

    /// Whether too many connections of the client's network were cut not long ago.
    fn is_outcast(&self, client: IpAddr, now: Time) -> bool {
        let Some(floods) = &self.floods else { return false };
        let floods = locked(floods);
        !floods.is_empty() && floods.is_out(client.into(), now) && !self.except.contains(client)
    }

    /// The connection was cut for a flood: counts it, for its network too, and says how it ended.
    pub(crate) fn flooded(&self, connection: &Connection, flood: Flood) -> End {
        connection.flooded(flood);
        self.cut(connection.client().ip(), flood, connection.time());
        End::abort(Who::Client, Step::Data, flood.text())
    }

    fn cut(&self, client: IpAddr, flood: Flood, now: Time) {
        if let Some(floods) = &self.floods {
            locked(floods).cut(client.into(), now);
        }
        let mut over = locked(&self.over);
        over.floods += 1;
        over.flood = Some((client, flood));
    }

    fn tell(&self, client: IpAddr, what: impl FnOnce(&mut Over) -> &mut u64) {
        let mut over = locked(&self.over);
        over.last = Some(client);
        *what(&mut over) += 1;
    }

    /// Tells what was over since it was told last, if it is time.
    pub(crate) fn look_after(&self, tell: &dyn Fn(&'static str, String), now: Instant) {
        let mut over = locked(&self.over);
        let is_early =
            over.told.is_some_and(|told| now.saturating_duration_since(told) < TELL_EVERY);
        if is_early || over.last.is_none() && over.flood.is_none() {
            return;
        }
        let over = std::mem::replace(&mut *over, Over { told: Some(now), ..Over::default() });
        let listener = &self.listener;
        if let Some((client, flood)) = over.flood {
            let (count, word) = (things(over.floods, "connection"), flood.word());
            let words = format!("{count} cut for a flood; the last of {client}: {word} ({flood})");
            tell("flood", format!("listener {listener}: {words}"));
        }
        let Some(last) = over.last else { return };
        let counted = |count: u64, what: &str, key: &str| {
            (count > 0).then(|| format!("{} over `limit.{key}`", things(count, what)))
        };
        let what = [
            counted(over.connections, "connection", "connections"),
            counted(over.requests, "request", "requests_per_second"),
            counted(over.outcasts, "connection", "floods"),
        ];
        let what: Vec<_> = what.into_iter().flatten().collect();
        let then = match self.plan.enforce {
            true => "refused",
            false => "only told: `enforce = true` refuses",
        };
        let what = what.join(", ");
        tell("limit", format!("listener {listener}: {what} ({then}); the last of {last}"));
    }
}

/// So many of them, in words.
fn things(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_policy::limits::{OUTCAST_WINDOW, Rate};
    use std::cell::RefCell;

    fn plan(enforce: bool) -> plan::Limit {
        let rate = Some(Rate { per_second: 1, burst: 3 });
        let except = vec!["10.0.0.0/8".parse().unwrap()];
        plan::Limit { enforce, connections: Some(2), rate, floods: Some(2), clients: 1_024, except }
    }

    #[test]
    fn connections_count_while_they_stand_and_over_a_reload() {
        let limiter = Limiter::new(&"web".into(), &plan(true), None);
        let client = IpAddr::from([192, 0, 2, 1]);
        let held: Vec<_> = (0..2).map(|_| limiter.place(client)).collect();
        assert!(held.iter().all(|(place, is_over)| place.is_some() && !is_over));
        assert!(limiter.place(client).1);
        assert!(!limiter.place([192, 0, 2, 2].into()).1, "each network has its own");
        assert_eq!(locked(&limiter.connections)[&client.into()], 2, "those that went do not count");
        let next = Limiter::new(&"web".into(), &plan(true), Some(&limiter));
        assert!(next.place(client).1, "the two still stand");
        drop(held);
        assert!(!next.place(client).1);
        assert!(locked(&next.connections).is_empty(), "nothing is left of those that went");
        let all: Vec<_> = (0..9).map(|_| next.place([10, 0, 0, 1].into())).collect();
        assert!(all.iter().all(|(place, is_over)| place.is_none() && !is_over), "excepted");
    }

    #[test]
    fn requests_count_over_a_reload_that_keeps_the_rate() {
        let take = |limiter: &Limiter| {
            let buckets = limiter.requests.as_ref().unwrap();
            locked(buckets).take(IpAddr::from([192, 0, 2, 1]).into(), Time::from_millis(1))
        };
        let limiter = Limiter::new(&"web".into(), &plan(true), None);
        assert!((0..3).all(|_| take(&limiter) == Taken::Within));
        let same = Limiter::new(&"web".into(), &plan(false), Some(&limiter));
        assert!(matches!(take(&same), Taken::Over(_)));
        let mut other = plan(true);
        other.rate = Some(Rate { per_second: 2, burst: 3 });
        let other = Limiter::new(&"web".into(), &other, Some(&same));
        assert_eq!(take(&other), Taken::Within);
    }

    #[test]
    fn it_is_told_once_a_second_with_how_many() {
        let limiter = Limiter::new(&"web".into(), &plan(false), None);
        let told = RefCell::new(Vec::new());
        let look =
            |now| limiter.look_after(&|kind, words| told.borrow_mut().push((kind, words)), now);
        let (began, client) = (Instant::now(), IpAddr::from([192, 0, 2, 1]));
        look(began);
        for _ in 0..5 {
            limiter.tell(client, |over| &mut over.requests);
        }
        limiter.tell([192, 0, 2, 2].into(), |over| &mut over.connections);
        look(began);
        limiter.tell(client, |over| &mut over.requests);
        look(began + TELL_EVERY / 2);
        look(began + TELL_EVERY);
        look(began + 3 * TELL_EVERY);
        let wanted = [
            "listener web: 1 connection over `limit.connections`, 5 requests over \
             `limit.requests_per_second` (only told: `enforce = true` refuses); the last of 192.0.2.2",
            "listener web: 1 request over `limit.requests_per_second` (only told: `enforce = true` \
             refuses); the last of 192.0.2.1",
        ];
        assert_eq!(told.into_inner(), wanted.map(|words| ("limit", words.to_owned())));
    }

    #[test]
    fn who_floods_is_an_outcast_over_a_reload_and_it_is_told() {
        let limiter = Limiter::new(&"web".into(), &plan(true), None);
        let (client, now) = (IpAddr::from([192, 0, 2, 1]), Time::from_millis(1));
        limiter.cut(client, Flood::Ping, now);
        assert!(!limiter.is_outcast(client, now));
        limiter.cut(client, Flood::RapidReset, now);
        assert!(limiter.is_outcast(client, now));
        assert!(!limiter.is_outcast([192, 0, 2, 2].into(), now), "each network for itself");
        let next = Limiter::new(&"web".into(), &plan(false), Some(&limiter));
        assert!(next.is_outcast(client, now));
        assert!(!next.is_outcast(client, now + OUTCAST_WINDOW));
        let inside = IpAddr::from([10, 0, 0, 1]);
        (0..3).for_each(|_| next.cut(inside, Flood::Ping, now));
        assert!(!next.is_outcast(inside, now), "excepted");
        limiter.tell(client, |over| &mut over.outcasts);
        let told = RefCell::new(Vec::new());
        limiter.look_after(&|kind, words| told.borrow_mut().push((kind, words)), Instant::now());
        let wanted = [
            (
                "flood",
                "listener web: 2 connections cut for a flood; the last of 192.0.2.1: rapid_reset \
                 (streams reset by the client before they were answered)",
            ),
            (
                "limit",
                "listener web: 1 connection over `limit.floods` (refused); the last of 192.0.2.1",
            ),
        ];
        assert_eq!(told.into_inner(), wanted.map(|(kind, words)| (kind, words.to_owned())));
    }
}
