//! What a listener serves: everything that its exchanges need of the plan, prepared once.

use crate::connection;
use crate::kept::Kept;
use crate::layer::KeptFiles;
use crate::limit::Limiter;
use crate::origin::Origin;
use crate::password::{Passwords, UserFiles};
use crate::place::Sticky;
use crate::tls::mistake::Mistake;
use crate::tls::terminate::Terminator;
use crate::tls::tickets::Tickets;
use crate::tls::watch::{Change, Watcher};
use eclusa_config::plan;
use eclusa_policy::condition::{Counted, Request};
use eclusa_policy::network::NetworkSet;
use eclusa_policy::route::RouteTable;
use eclusa_policy::rules::Message;
use eclusa_policy::time::Time;
use eclusa_proxy::layer7::{Arrival, Pool, Service, ShownCertificate};
use eclusa_wire::http1::{Leniency, Lenient, Limits};
use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The longest first line of a head.
const START_LINE_MAX: usize = 8 << 10;

/// The service of one listener.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) tls: Option<Tls>,
    pub(crate) http: Option<Http>,
    pub(crate) routes: RouteTable,
    /// By the index that routes name pools by.
    pub(crate) pools: Arc<Vec<PoolSite>>,
    pub(crate) pages: Arc<Pages>,
    /// What is counted from one plan to the next.
    pub(crate) kept: Arc<Kept>,
    pub(crate) passwords: Arc<Passwords>,
}

/// The TLS of a listener.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) terminator: Terminator,
    /// Hosts that the connection's certificate does not have are answered with 421.
    pub(crate) strict: bool,
    pub(crate) handshake_timeout: Duration,
    /// Handshakes of one worker that may wait for their turn.
    pub(crate) handshakes_max: usize,
    watched: Mutex<Watched>,
    /// Keys that several hosts share, in a file.
    tickets: Option<Arc<Tickets>>,
}

/// Watches the certificates of a listener.
#[derive(Debug)]
struct Watched {
    watcher: Watcher,
    /// When it is to look again.
    due: Instant,
}

/// Looks come a little early now and then; the next one would be a whole turn late.
const SLACK: Duration = Duration::from_millis(50);

/// The HTTP of a listener.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) plan: plan::Http,
    pub(crate) limits: Limits,
    pub(crate) lenient: Lenient,
    pub(crate) trusted: NetworkSet,
    /// Bytes a second that a client must send of a body, or take of an answer.
    pub(crate) floor: Option<NonZeroU64>,
    /// What the files of fixed answers hold.
    pub(crate) contents: Contents,
    /// Who may log in, beside those whom the plan names.
    pub(crate) users: UserFiles,
    pub(crate) limiter: Arc<Limiter>,
}

/// What the files of fixed answers hold, read when the plan was prepared.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Bodies.
    pub(crate) files: HashMap<PathBuf, Arc<[u8]>>,
    /// Whole answers.
    pub(crate) messages: HashMap<PathBuf, Message>,
}

/// What exchanges need of a pool beside what the core has.
#[derive(Debug)]
pub(crate) struct PoolSite {
    /// No other has it, of this plan or of any before.
    pub(crate) id: u64,
    pub(crate) http: plan::PoolHttp,
    pub(crate) lenient: Lenient,
    /// The TLS to its endpoints.
    pub(crate) tls: Option<Origin>,
    pub(crate) sticky: Option<Sticky>,
}

/// Pages for answers of the proxy's own, by status: HTML, JSON.
pub(crate) type Pages = HashMap<u16, [Option<Arc<[u8]>>; 2]>;

impl Tls {
    pub(crate) fn new(
        plan: &plan::Terminate,
        terminator: Terminator,
        watcher: Watcher,
        tickets: Option<Arc<Tickets>>,
    ) -> Self {
        let (strict, handshake_timeout) = (plan.strict, plan.handshake_timeout);
        let handshakes_max = plan.handshakes_max;
        let watched = Mutex::new(Watched { watcher, due: Instant::now() });
        Self { terminator, strict, handshake_timeout, handshakes_max, watched, tickets }
    }

    /// Looks whether certificates were renewed, and keys of tickets.
    fn look_after(&self, tell: &dyn Fn(&'static str, String)) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now < watched.due {
            return;
        }
        let change = watched.watcher.look(now, SystemTime::now());
        watched.due = now + watched.watcher.interval().saturating_sub(SLACK);
        drop(watched);
        if let Some(Err(mistake)) = self.tickets.as_ref().map(|it| it.tend(&KeptFiles, now)) {
            tell("certificate", mistake.to_string());
        }
        match change {
            None => {}
            Some(Change::Swapped { renewed, gone, warnings }) => {
                let shown = |paths: &[PathBuf]| {
                    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
                };
                let mut words = format!("certificates renewed: {}", shown(&renewed).join(", "));
                if !gone.is_empty() {
                    words += &format!("; gone: {}", shown(&gone).join(", "));
                }
                if !warnings.is_empty() {
                    words += &format!("; {}", listed(&warnings));
                }
                tell("certificate", words);
            }
            Some(Change::Wrong(mistakes)) => {
                let words = listed(&mistakes);
                tell("certificate", format!("not renewed, the old one is served on: {words}"));
            }
            Some(Change::Right) => tell("certificate", "what was wrong is right again".into()),
        }
    }

    fn certificates(&self) -> Vec<ShownCertificate> {
        let store = self.terminator.store();
        let shown = store.certificates().iter().map(|certificate| ShownCertificate {
            name: certificate.names().first(),
            file: certificate.file().to_owned(),
            not_after: certificate.not_after(),
        });
        shown.collect()
    }
}

fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Http {
    pub(crate) fn new(
        plan: &plan::Http,
        contents: Contents,
        users: UserFiles,
        limiter: Arc<Limiter>,
    ) -> Self {
        let head = usize::try_from(plan.head_max.0).unwrap_or(usize::MAX);
        Self {
            limits: Limits::new(START_LINE_MAX, head, plan.headers_max),
            lenient: lenient(&plan.allow),
            trusted: plan.trusted.iter().copied().collect(),
            floor: NonZeroU64::new(plan.body_rate_min.0),
            contents,
            users,
            limiter,
            plan: plan.clone(),
        }
    }

    /// Why a client is cut that did `nothing` for too long, or too little.
    pub(crate) fn too_slow(&self, nothing: &str) -> String {
        let within = format!("{nothing} within {:?}", self.plan.body_timeout);
        match self.floor {
            None => within,
            Some(_) => format!("{within}, or less than {} a second", self.plan.body_rate_min),
        }
    }
}

impl PoolSite {
    pub(crate) fn new(pool: &plan::Pool, tls: Option<Origin>, sticky: Option<Sticky>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { id, http: pool.http.clone(), lenient: lenient(&pool.http.allow), tls, sticky }
    }
}

fn lenient(names: &[&str]) -> Lenient {
    names.iter().filter_map(|name| Leniency::from_name(name)).collect()
}

impl Service for Site {
    fn passes(&self, server_name: Option<&str>) -> bool {
        self.http.as_ref().is_some_and(|http| http.plan.passes(server_name))
    }

    fn sticks(&self, index: usize, pool: &Pool, request: &dyn Request) -> Option<SocketAddr> {
        self.pools.get(index)?.sticky.as_ref()?.endpoint(request, pool)
    }

    fn counted(&self, counter: usize, client: IpAddr, now: Time) -> Counted {
        self.kept.counters.read(counter, client, now)
    }

    fn serve(self: Arc<Self>, arrival: Arrival) -> Pin<Box<dyn Future<Output = ()>>> {
        connection::serve(self, arrival)
    }

    fn certificates(&self) -> Vec<ShownCertificate> {
        self.tls.as_ref().map_or_else(Vec::new, Tls::certificates)
    }

    fn look_after(&self, tell: &dyn Fn(&'static str, String)) {
        if let Some(http) = &self.http {
            http.users.look_after(&KeptFiles, tell);
            http.limiter.look_after(tell, Instant::now());
        }
        if let Some(tls) = &self.tls {
            tls.look_after(tell);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_config::reference::{Key, Kind, table};
    use std::collections::BTreeSet;

    /// `allow` of the configuration: names that the codec does not know would allow nothing.
    #[test]
    fn what_can_be_allowed_is_what_the_codec_knows() {
        let names = |key: &Key| match key.kind {
            Kind::List(Kind::Choice(names)) => *names,
            ref other => panic!("{}: {other:?}", key.name),
        };
        let (requests, answers) = (names(&table::HTTP_ALLOW), names(&table::POOL_ALLOW));
        for name in requests.iter().chain(answers) {
            let known = Leniency::from_name(name).map(Leniency::name);
            assert_eq!(known, Some(*name));
        }
        let named: BTreeSet<_> = requests.iter().chain(answers).copied().collect();
        let known: BTreeSet<_> = Leniency::ALL.iter().map(|leniency| leniency.name()).collect();
        assert_eq!(named, known, "each can be allowed at a listener or towards a pool");
        assert!(lenient(requests) != Lenient::NONE && lenient(answers) != Lenient::NONE);
    }
}
