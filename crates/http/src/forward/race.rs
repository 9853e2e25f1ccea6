//! A request without a body to one endpoint, and to a second beside it when that keeps silent for longer
//! than is usual. The first byte wins; the other's connection is closed.

use super::upstream::has_left;
use super::{Answered, Connected, Fell, Forward, Seen, Tried, Unconnected, Upload};
use crate::h1::{FirstByte, poll_first_byte, write_all};
use crate::patience::{Mark, while_moving};
use crate::spare::{self, Lent};
use crate::stream::Presence;
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Evidence, ExchangeFault};
use eclusa_proxy::layer7::{End, Endpoint, Lease, Step, Who, now};
use eclusa_wire::http1::Head;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::ops::DerefMut;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// An endpoint that has begun to answer.
struct Spoke {
    connected: Connected,
    response: Lent,
    dial: Duration,
    /// When the request was sent.
    sent: Instant,
}

/// How far an endpoint got.
#[derive(Debug, Default)]
struct Progress {
    /// Which it is, once that is known.
    endpoint: Option<Arc<Endpoint>>,
    /// When it was sent the request.
    sent: Option<Instant>,
}

/// What a race came to.
#[allow(clippy::large_enum_variant, reason = "the large one is the usual one")]
enum Outcome {
    Spoke {
        spoke: Spoke,
        by_second: bool,
    },
    /// The last that could have answered did not.
    Lost(Unconnected),
    /// The client has gone.
    Left,
}

/// A race that is over.
struct Raced {
    /// `None`: nobody has said anything for too long.
    outcome: Option<Outcome>,
    is_hedged: bool,
    /// The first endpoint.
    first: Option<Arc<Endpoint>>,
    /// The same, where it has not said a word.
    silent: Option<Arc<Endpoint>>,
    /// The endpoint that was asked last.
    last: Option<Arc<Endpoint>>,
}

/// Dials and places in queues have limits of their own.
const UNSENT: Duration = Duration::from_secs(86_400);

impl Forward<'_, '_> {
    /// Sends the request, and once more where that is wanted; reads the head of the response.
    pub(super) async fn race(
        &mut self,
        head: &mut Head,
        kept: Option<Duration>,
        lease: Option<Lease>,
    ) -> Result<Answered, Tried> {
        let began = now();
        let mut request = spare::buffer();
        super::ask::write(head, None, &mut request);
        let mut raced = self.run_race(head, &request, kept, lease).await;
        spare::give_back(request);
        match raced.outcome.take() {
            Some(Outcome::Spoke { spoke, by_second }) => {
                self.count(&spoke, by_second, began, &raced);
                self.finish(head, spoke).await
            }
            Some(Outcome::Lost(lost)) => {
                let first = raced.first.filter(|_| raced.is_hedged);
                self.excluded.extend(first.map(|first| first.address()));
                Err(self.note_lost(lost))
            }
            Some(Outcome::Left) => Err(super::ask::left().into()),
            None => Err(self.too_late(raced)),
        }
    }

    /// Runs the race.
    async fn run_race(
        &self,
        head: &Head,
        request: &[u8],
        kept: Option<Duration>,
        lease: Option<Lease>,
    ) -> Raced {
        let (clock, patience) = (self.clock, self.response_timeout());
        let progress = [RefCell::<Progress>::default(), RefCell::default()];
        let sent = || progress.iter().filter_map(|one| one.borrow().sent).count();
        let way = (kept, lease, self.excluded.clone());
        let mut first = Some(pin!(self.approach(head, request, way, &progress[0])));
        let alone = while_moving(self.run.alarm, |context| {
            match poll_one(context, &mut first) {
                Some(Ok(spoke)) => return Ok(Outcome::Spoke { spoke, by_second: false }),
                Some(Err(lost)) => return Ok(Outcome::Lost(lost)),
                None => {}
            }
            let Some(patience) = self.with_client(context, patience) else {
                return Ok(Outcome::Left);
            };
            let moved = sent() as u64;
            let most = if moved == 0 { UNSENT } else { patience };
            Err(Mark { moved, patience: clock.min(most) })
        });
        let alone = alone.await;
        let endpoint_of = |one: &RefCell<Progress>| one.borrow().endpoint.clone();
        let silent = endpoint_of(&progress[0]);
        let waited = progress[0].borrow().sent.map_or(Duration::ZERO, |sent| now() - sent);
        if alone.is_some() || waited >= patience {
            let (first, last) = (silent.clone(), silent.clone());
            return Raced { outcome: alone, is_hedged: false, first, silent, last };
        }
        let rival = silent.as_ref().and_then(|slow| self.rival(slow));
        let is_hedged = rival.is_some();
        let mut second = rival.map(|lease| {
            let slow = silent.iter().map(|slow| slow.address());
            let way = (kept, Some(lease), self.excluded.iter().copied().chain(slow).collect());
            Box::pin(self.approach(head, request, way, &progress[1]))
        });
        let began_with = sent();
        let outcome = while_moving(self.run.alarm, |context| {
            for by_second in [false, true] {
                let polled = if by_second {
                    poll_one(context, &mut second)
                } else {
                    poll_one(context, &mut first)
                };
                match polled {
                    Some(Ok(spoke)) => return Ok(Outcome::Spoke { spoke, by_second }),
                    Some(Err(lost)) if first.is_none() && second.is_none() => {
                        return Ok(Outcome::Lost(lost));
                    }
                    Some(Err(lost)) => self.blame(&lost),
                    None => {}
                }
            }
            let sent = sent();
            let waited = if sent == began_with { waited } else { Duration::ZERO };
            let rest = self.with_client(context, patience.saturating_sub(waited));
            let Some(rest) = rest else { return Ok(Outcome::Left) };
            Err(Mark { moved: sent as u64, patience: if sent == 0 { UNSENT } else { rest } })
        });
        let outcome = outcome.await;
        let last = endpoint_of(&progress[1]).or_else(|| silent.clone());
        // One that has failed has been told of.
        let is_silent = first.is_some();
        let first = silent.clone();
        Raced { outcome, is_hedged, first, silent: silent.filter(|_| is_silent), last }
    }

    /// Sends the request to one endpoint and waits for the first byte of its answer.
    async fn approach(
        &self,
        head: &Head,
        request: &[u8],
        (kept, lease, excluded): (Option<Duration>, Option<Lease>, Vec<SocketAddr>),
        progress: &RefCell<Progress>,
    ) -> Result<Spoke, Unconnected> {
        let began = now();
        let note = |endpoint: &Arc<Endpoint>| {
            progress.borrow_mut().endpoint = Some(endpoint.clone());
        };
        let connected = self.connect(head, kept, (lease, excluded), &note).await;
        let dial = now() - began;
        let mut midst = Midst(Some(connected.map_err(|lost| Unconnected { dial, ..lost })?));
        let sent = now();
        progress.borrow_mut().sent = Some(sent);
        let Midst(Some(Connected { upstream, tries, reused })) = &mut midst else {
            return Err(has_left());
        };
        let stream = &mut upstream.stream;
        // What it cannot be sent it may have answered before.
        let _ = write_all(stream, request).await;
        let mut response = spare::head();
        let heard = poll_fn(|context| poll_first_byte(context, stream, response.buffer())).await;
        let (tries, reused, endpoint) = (*tries, *reused, Some(upstream.lease.endpoint().clone()));
        let why = match heard {
            Ok(FirstByte::Came) => {
                let connected = midst.0.take().ok_or_else(has_left)?;
                return Ok(Spoke { connected, response, dial, sent });
            }
            Ok(FirstByte::Ended) => "closed without a response".to_owned(),
            Err(error) => error.to_string(),
        };
        let fell = super::ask::misled(why, true, ExchangeFault::Empty);
        Err(Unconnected { tried: Tried::Fell(fell), endpoint, tries, reused, dial })
    }

    /// How long there is to wait for a client that may not listen any more; `None`: it has gone.
    fn with_client(&self, context: &mut Context<'_>, patience: Duration) -> Option<Duration> {
        match self.run.client.presence(context) {
            Presence::Here => Some(patience),
            Presence::Ended => Some(patience.min(self.connection().half_closed_timeout())),
            Presence::Gone => None,
        }
    }

    /// A lease on an endpoint to be asked beside the one that is slow, if that may be.
    fn rival(&self, slow: &Endpoint) -> Option<Lease> {
        let excluded: Vec<_> = self.excluded.iter().copied().chain([slow.address()]).collect();
        let lease = self.connection().lease(self.pool, &excluded, self.wish)?;
        let begun = self.conduct().with(|it, now| it.retry.hedge(it.slot(slow), now));
        self.connection().second_try(self.pool, true, begun);
        begun.ok().map(|()| lease)
    }

    /// One of two was lost; the other may still answer.
    fn blame(&self, lost: &Unconnected) {
        if let (Tried::Fell(fell), Some(endpoint), false) =
            (&lost.tried, &lost.endpoint, lost.reused)
            && let Some(evidence) = fell.evidence.clone()
        {
            self.conduct().failed(endpoint, evidence);
        }
    }

    /// Somebody has answered.
    fn count(&mut self, spoke: &Spoke, by_second: bool, began: Instant, raced: &Raced) {
        let winner = spoke.connected.upstream.lease.endpoint();
        let took = spoke.dial + (now() - spoke.sent);
        self.conduct().with(|it, now| it.retry.answered(it.slot(winner), took, now));
        if raced.is_hedged {
            self.connection().hedge_won(self.pool, by_second);
        }
        let Some(slow) = raced.silent.as_ref().filter(|_| by_second) else { return };
        self.run.record.tries += 1;
        let waited = now() - began;
        let has_merely_lost = self.conduct().with(|it, now| {
            let since = Time::after_start(now.since_start().saturating_sub(waited));
            it.retry.has_answered_since(it.slot(slow), since)
        });
        if !has_merely_lost {
            self.conduct().failed(slow, Evidence::Exchange(ExchangeFault::Late));
        }
    }

    /// Reads the rest of the head of the one that has begun to answer.
    async fn finish(&mut self, head: &mut Head, spoke: Spoke) -> Result<Answered, Tried> {
        let Spoke { connected, response, dial, sent } = spoke;
        self.run.record.times.dial += dial;
        let mut upstream = self.note(connected);
        let answered = self.hear(head, &mut upstream, Upload::Whole, response).await;
        self.run.record.times.answer = answered.is_ok().then(|| now() - sent);
        Answered::by(upstream, answered)
    }

    /// Nobody has answered in time.
    fn too_late(&mut self, raced: Raced) -> Tried {
        let why = format!("no response within {:?}", self.response_timeout());
        let end = End::timeout(Who::Endpoint, Step::Answer, why);
        let evidence = Evidence::Exchange(ExchangeFault::Late);
        if let Some(slow) = raced.silent.filter(|_| raced.is_hedged) {
            self.run.record.tries += 1;
            self.conduct().failed(&slow, evidence.clone());
        }
        let tried =
            Tried::Fell(Fell { end, status: 504, seen: Seen::Much, evidence: Some(evidence) });
        let dial = Duration::ZERO;
        self.note_lost(Unconnected { tried, endpoint: raced.last, tries: 1, reused: false, dial })
    }
}

/// A connection over which an endpoint is asked; it is abandoned with the question.
struct Midst(Option<Connected>);

impl Drop for Midst {
    fn drop(&mut self) {
        if let Some(connected) = self.0.take() {
            connected.upstream.abandon();
        }
    }
}

/// Polls one of the two; it is gone once it has come to something.
fn poll_one<P, F>(context: &mut Context<'_>, one: &mut Option<Pin<P>>) -> Option<F::Output>
where
    P: DerefMut<Target = F>,
    F: Future,
{
    let Poll::Ready(result) = one.as_mut()?.as_mut().poll(context) else { return None };
    *one = None;
    Some(result)
}
