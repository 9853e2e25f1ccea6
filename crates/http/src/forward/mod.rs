//! Finds an endpoint that answers a request: the only place that tries again.

mod ask;
mod upstream;

pub(crate) use upstream::Upstream;

use crate::exchange::Run;
use crate::h1::Pump;
use crate::spare::Lent;
use eclusa_config::plan::Reuse;
use eclusa_policy::verdict::Evidence;
use eclusa_proxy::layer7::{Connection, End, Lease, Pool, Step, Who};
use eclusa_wire::http1::Head;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A request that can be sent again only over a connection that is surely fresh uses a kept one that
/// was idle for less than this.
const FRESH: Duration = Duration::from_secs(1);

/// An endpoint has answered.
pub(crate) struct Answered {
    pub(crate) response: Lent,
    pub(crate) upstream: Upstream,
    pub(crate) upload: Upload,
}

/// What became of the request's body.
pub(crate) enum Upload {
    /// It is sent to its end.
    Whole,
    /// It is on its way.
    Running(Box<Pump>),
    /// The endpoint takes no more of it; the client still sends.
    Refused,
}

/// Nobody has answered.
pub(crate) enum Failed {
    /// The client is to blame, or gone: it gets no answer.
    Client(End),
    /// The client gets this status.
    Answer(u16, End),
}

/// How one try ended without a response.
enum Tried {
    Failed(Failed),
    Fell(Fell),
}

/// An endpoint did not answer.
struct Fell {
    end: End,
    status: u16,
    /// What the endpoint may have seen of the request.
    seen: Seen,
    evidence: Evidence,
}

/// What an endpoint that did not answer may have seen of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing: any request may go to another.
    Nothing,
    /// Its head at most, and it ended without a byte of an answer: what can be repeated may go to
    /// another.
    Head,
    /// More, or for too long.
    Much,
}

impl From<Failed> for Tried {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// The tries of one request.
pub(crate) struct Forward<'r, 'a> {
    run: &'r mut Run<'a>,
    pool: &'r Arc<Pool>,
    index: usize,
    /// Endpoints that have failed.
    excluded: Vec<SocketAddr>,
}

impl<'r, 'a> Forward<'r, 'a> {
    pub(crate) fn new(run: &'r mut Run<'a>, pool: &'r Arc<Pool>, index: usize) -> Self {
        Self { run, pool, index, excluded: Vec::new() }
    }

    fn connection(&self) -> &'a Connection {
        &self.run.session.connection
    }

    /// Tries endpoints until one answers, as often as the pool allows.
    pub(crate) async fn run(&mut self, head: &mut Head) -> Result<Answered, Failed> {
        let site = self.run.site;
        let Some(http) = site.pools.get(self.index).map(|pool| &pool.http) else {
            let end = End::abort(Who::Proxy, Step::Route, "the pool is gone");
            return Err(Failed::Answer(503, end));
        };
        let repeatable = http.retry_methods.iter().any(|method| method.as_bytes() == head.method());
        let mut kept = match http.reuse {
            Reuse::Never => None,
            Reuse::Safe if !repeatable => Some(FRESH),
            Reuse::Safe | Reuse::Always => Some(Duration::MAX),
        };
        let (mut left, mut lease) = (http.retries, None);
        loop {
            let fell = match self.attempt(head, kept, lease.take()).await {
                Ok(answered) => return Ok(answered),
                Err(Tried::Failed(failed)) => return Err(failed),
                Err(Tried::Fell(fell)) => fell,
            };
            let again = match fell.seen {
                Seen::Nothing => true,
                Seen::Head => repeatable,
                Seen::Much => false,
            };
            let was_kept = std::mem::take(&mut self.run.record.reused);
            if was_kept && again && kept.take().is_some() {
                // It was closed while nobody looked: that is no fault of the endpoint, and costs no
                // try.
                continue;
            }
            self.run.record.reused = was_kept;
            self.accuse(fell.evidence);
            lease = if again && left > 0 { self.other() } else { None };
            if lease.is_none() {
                return Err(Failed::Answer(fell.status, fell.end));
            }
            left -= 1;
        }
    }

    /// Sends the request to one endpoint.
    async fn attempt(
        &mut self,
        head: &mut Head,
        kept: Option<Duration>,
        lease: Option<Lease>,
    ) -> Result<Answered, Tried> {
        let began = Instant::now();
        let connected = self.upstream(head, kept, lease).await;
        let asked = Instant::now();
        self.run.record.times.dial += asked - began;
        let mut upstream = connected?;
        let (response, upload) = self.ask(head, &mut upstream).await?;
        self.run.record.times.answer = Some(asked.elapsed());
        Ok(Answered { response, upstream, upload })
    }

    /// Tells the probes of the endpoint that has failed, and asks it no more.
    fn accuse(&mut self, evidence: Evidence) {
        if let Some(endpoint) = &self.run.record.endpoint {
            self.connection().saw(self.pool, endpoint, evidence);
            self.excluded.push(endpoint.address());
        }
    }

    /// Another endpoint that could take the request.
    fn other(&self) -> Option<Lease> {
        self.connection().lease(self.pool, &self.excluded)
    }
}
