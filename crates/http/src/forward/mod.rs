//! Finds an endpoint that answers a request: the only place that tries again.

mod ask;
mod multiplexed;
mod race;
mod upstream;

pub(crate) use upstream::Upstream;
use upstream::{Connected, Unconnected};

use crate::exchange::Run;
use crate::h1::Pump;
use crate::place;
use crate::shared::Conduct;
use crate::spare::Lent;
use eclusa_config::plan::Reuse;
use eclusa_policy::replay::Refusal;
use eclusa_policy::verdict::{Evidence, ExchangeFault};
use eclusa_proxy::layer7::{Connection, End, Lease, Pool, Step, Who, Wish, now, others_first};
use eclusa_wire::http1::{Body, Head};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A request that can be sent again only over a connection that is surely fresh uses a kept one that
/// was idle for less than this.
const FRESH: Duration = Duration::from_secs(1);

/// What stands behind the reason of a failure that was not tried again for want of budget.
const SPENT: &str = "the pool's `retry_budget` is spent";

/// An endpoint has answered.
pub(crate) struct Answered {
    pub(crate) response: Lent,
    pub(crate) upstream: Upstream,
    pub(crate) upload: Upload,
}

impl Answered {
    /// With what came over this connection; without an answer it is abandoned.
    fn by(upstream: Upstream, answered: Result<(Lent, Upload), Tried>) -> Result<Self, Tried> {
        match answered {
            Ok((response, upload)) => Ok(Self { response, upstream, upload }),
            Err(tried) => {
                upstream.abandon();
                Err(tried)
            }
        }
    }
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
    /// What that says of the endpoint; `None`: nothing.
    evidence: Option<Evidence>,
}

/// What an endpoint that did not answer may have seen of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing: any request may go to another.
    Nothing,
    /// Its head at most, and no answer came of which the client got a byte: what can be repeated may go
    /// to another.
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
    wish: Wish,
    /// How long an endpoint has before it gets a rival.
    clock: Duration,
    /// Endpoints that have failed.
    excluded: Vec<SocketAddr>,
}

impl<'r, 'a> Forward<'r, 'a> {
    pub(crate) fn new(run: &'r mut Run<'a>, pool: &'r Arc<Pool>, index: usize) -> Self {
        let (wish, clock) = (Wish::default(), Duration::MAX);
        Self { run, pool, index, wish, clock, excluded: Vec::new() }
    }

    fn connection(&self) -> &'a Connection {
        &self.run.session.connection
    }

    /// How the pool's endpoints behave.
    fn conduct(&self) -> Conduct<'_> {
        self.run.conduct(self.pool, self.index)
    }

    /// Tries endpoints until one answers, as often as the pool allows.
    pub(crate) async fn run(&mut self, head: &mut Head) -> Result<Answered, Failed> {
        let site = self.run.site;
        let Some(pool_site) = site.pools.get(self.index) else {
            let end = End::abort(Who::Proxy, Step::Route, "the pool is gone");
            return Err(Failed::Answer(503, end));
        };
        let http = &pool_site.http;
        self.wish = place::wish(pool_site, self.pool, head);
        let hedged = self.conduct().with(|it, now| {
            it.retry.request(now);
            (it.len() > 1).then(|| it.retry.clock(now))
        });
        self.clock = hedged.unwrap_or(Duration::MAX);
        let repeatable = http.retry_methods.iter().any(|method| method.as_bytes() == head.method());
        let mut kept = match http.reuse {
            Reuse::Never => None,
            Reuse::Safe if !repeatable => Some(FRESH),
            Reuse::Safe | Reuse::Always => Some(Duration::MAX),
        };
        let hedges = http.hedge && http.http2.is_none() && repeatable && self.is_safe(head);
        let (mut left, mut lease) = (http.retries, None);
        loop {
            let fell = match self.attempt(head, hedges, kept, lease.take()).await {
                Ok(answered) if answered.response.status() == 503 && left > 0 => {
                    let again = repeatable && http.retry_unavailable;
                    // Boxed: others must not carry its state around.
                    let instead = self.instead(head, hedges, kept, answered, again);
                    return Box::pin(instead).await;
                }
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
            // Where nothing speaks against the endpoint it has answered, unless it has not begun.
            let is_no_answer = fell.evidence.is_some() || fell.seen == Seen::Nothing;
            if was_kept && again && is_no_answer && kept.take().is_some() {
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
            if !self.may_try_again() {
                return Err(Failed::Answer(fell.status, fell.end.because(SPENT)));
            }
            left -= 1;
        }
    }

    /// Whether the pool's endpoints speak HTTP/2.
    fn is_multiplexed(&self) -> bool {
        self.run.site.pools.get(self.index).is_some_and(|pool| pool.http.http2.is_some())
    }

    /// Whether a request may be sent to two endpoints at once: it asks for nothing to be done (RFC 9110,
    /// section 9.2.1), and all of it is there.
    fn is_safe(&self, head: &Head) -> bool {
        matches!(head.method(), b"GET" | b"HEAD" | b"OPTIONS")
            && matches!(head.body(), Body::None | Body::Length(0))
            && self.upgrade_of(head).is_none()
    }

    /// Sends the request to one endpoint, and to a second where that `hedges`.
    async fn attempt(
        &mut self,
        head: &mut Head,
        hedges: bool,
        kept: Option<Duration>,
        lease: Option<Lease>,
    ) -> Result<Answered, Tried> {
        // Between streams nothing is written here: the tasks of their connections do, behind all that are ready.
        if self.run.client.socket().is_some() || !self.is_multiplexed() {
            others_first().await;
        }
        // For a client that has gone meanwhile nobody is asked.
        if self.run.client.is_gone() {
            return Err(ask::left().into());
        }
        if hedges {
            return self.race(head, kept, lease).await;
        }
        let began = now();
        let connected = self.connect(head, kept, (lease, self.excluded.clone()), &|_| {}).await;
        let asked = now();
        self.run.record.times.dial += asked - began;
        let mut upstream = match connected {
            Ok(connected) => self.note(connected),
            Err(lost) => return Err(self.note_lost(lost)),
        };
        let answered = self.ask(head, &mut upstream).await;
        self.run.record.times.answer = answered.is_ok().then(|| now() - asked);
        Answered::by(upstream, answered)
    }

    /// An endpoint has answered that it cannot. What another says instead, if it may be asked (`again`)
    /// and can; else that.
    async fn instead(
        &mut self,
        head: &mut Head,
        hedges: bool,
        kept: Option<Duration>,
        unable: Answered,
        again: bool,
    ) -> Result<Answered, Failed> {
        let endpoint = unable.upstream.lease.endpoint().clone();
        if !again || !matches!(unable.upload, Upload::Whole) {
            return Ok(unable);
        }
        self.excluded.push(endpoint.address());
        let lease = self.other();
        if lease.is_none() || !self.may_try_again() {
            return Ok(unable);
        }
        let (reused, times) = (self.run.record.reused, self.run.record.times);
        match self.attempt(head, hedges, kept, lease).await {
            Ok(other) if other.response.status() != 503 => {
                let fault = ExchangeFault::Unable(503);
                self.conduct().failed(&endpoint, Evidence::Exchange(fault));
                return Ok(other);
            }
            Ok(_) => {}
            Err(Tried::Failed(Failed::Client(end))) => return Err(Failed::Client(end)),
            Err(Tried::Failed(Failed::Answer(..))) => {}
            Err(Tried::Fell(fell)) => self.accuse(fell.evidence),
        }
        let record = &mut self.run.record;
        (record.endpoint, record.reused) = (Some(endpoint), reused);
        record.times.answer = times.answer;
        Ok(unable)
    }

    /// Whether the pool's budget has a second try left; then it is taken.
    fn may_try_again(&self) -> bool {
        let is_left = self.conduct().with(|it, now| it.retry.again(now));
        let begun = if is_left { Ok(()) } else { Err(Refusal::Budget) };
        self.connection().second_try(self.pool, false, begun);
        is_left
    }

    /// Tells the probes of the endpoint that has failed, and asks it no more.
    fn accuse(&mut self, evidence: Option<Evidence>) {
        if let Some(endpoint) = &self.run.record.endpoint {
            if let Some(evidence) = evidence {
                self.conduct().failed(endpoint, evidence);
            }
            self.excluded.push(endpoint.address());
        }
    }

    /// Another endpoint that could take the request.
    fn other(&self) -> Option<Lease> {
        self.connection().lease(self.pool, &self.excluded, self.wish)
    }
}
