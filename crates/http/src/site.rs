//! What a listener serves: everything that its exchanges need of the plan, prepared once.

use crate::connection;
use crate::origin::Origin;
use crate::tls::mistake::Mistake;
use crate::tls::terminate::Terminator;
use crate::tls::watch::{Change, Watcher};
use eclusa_config::plan;
use eclusa_policy::network::NetworkSet;
use eclusa_policy::route::RouteTable;
use eclusa_proxy::layer7::{Arrival, Service};
use eclusa_wire::http1::{Leniency, Lenient, Limits};
use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
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
}

/// The TLS of a listener.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) terminator: Terminator,
    /// Hosts that the connection's certificate does not have are answered with 421.
    pub(crate) strict: bool,
    pub(crate) handshake_timeout: Duration,
    watcher: Mutex<Watcher>,
}

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
    pub(crate) contents: HashMap<PathBuf, Arc<[u8]>>,
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
}

/// Pages for answers of the proxy's own, by status: HTML, JSON.
pub(crate) type Pages = HashMap<u16, [Option<Arc<[u8]>>; 2]>;

impl Tls {
    pub(crate) fn new(plan: &plan::Terminate, terminator: Terminator, watcher: Watcher) -> Self {
        let (strict, handshake_timeout) = (plan.strict, plan.handshake_timeout);
        Self { terminator, strict, handshake_timeout, watcher: Mutex::new(watcher) }
    }
}

impl Http {
    pub(crate) fn new(plan: &plan::Http, contents: HashMap<PathBuf, Arc<[u8]>>) -> Self {
        let head = usize::try_from(plan.head_max.0).unwrap_or(usize::MAX);
        Self {
            limits: Limits::new(START_LINE_MAX, head, plan.headers_max),
            lenient: lenient(&plan.allow),
            trusted: plan.trusted.iter().copied().collect(),
            floor: NonZeroU64::new(plan.body_rate_min.0),
            contents,
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
    pub(crate) fn new(pool: &plan::Pool, tls: Option<Origin>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { id, http: pool.http.clone(), lenient: lenient(&pool.http.allow), tls }
    }
}

fn lenient(names: &[&str]) -> Lenient {
    names.iter().filter_map(|name| Leniency::from_name(name)).collect()
}

impl Site {
    /// Looks whether certificates were renewed.
    pub(crate) fn look_after(&self, tell: &dyn Fn(&'static str, String)) {
        let Some(tls) = &self.tls else { return };
        let mut watcher = tls.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = |mistakes: &[Mistake]| {
            mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        match watcher.look(Instant::now(), SystemTime::now()) {
            None => {}
            Some(Change::Swapped { renewed, gone, warnings }) => {
                let shown = |paths: &[std::path::PathBuf]| {
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
}

impl Service for Site {
    fn passes(&self, server_name: Option<&str>) -> bool {
        let patterns = self.http.iter().flat_map(|http| &http.plan.passthrough);
        server_name.is_some_and(|name| patterns.into_iter().any(|pattern| pattern.matches(name)))
    }

    fn serve(self: Arc<Self>, arrival: Arrival) -> Pin<Box<dyn Future<Output = ()>>> {
        connection::serve(self, arrival)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
