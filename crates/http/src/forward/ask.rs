//! Sends a request to an endpoint and reads the head of its response.

use super::{Failed, Fell, Forward, Seen, Tried, Upload, Upstream};
use crate::h1::{Fault, HeadError, Pump, Side, Way, poll_head, write_all};
use crate::patience::{Mark, while_moving};
use crate::spare::{self, Lent};
use crate::stream::Presence;
use eclusa_policy::verdict::Evidence;
use eclusa_proxy::layer7::{End, Step, Who};
use eclusa_wire::http1::{
    Asked, Body, Framing, Head, Parser, Version, write_request, write_response,
};
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// Responses before the real one: an endpoint that goes on like that is not understood.
const INTERIM_MAX: u32 = 64;

impl Forward<'_, '_> {
    /// Sends the request and reads the head of the response. The body goes up meanwhile, and may still
    /// be on its way when the head is there.
    pub(super) async fn ask(
        &mut self,
        head: &mut Head,
        upstream: &mut Upstream,
    ) -> Result<(Lent, Upload), Tried> {
        let upgrade = self.upgrade_of(head);
        let asked = Asked::by(head, upgrade.is_some());
        let mut upload = Upload::Running(Box::new(self.begin(head, upgrade.as_deref())));
        let mut response = spare::head();
        for number in 0..INTERIM_MAX {
            let read = self.read_head(head, upstream, &mut upload, &mut response, asked).await;
            read.map_err(|tried| if number == 0 { tried } else { tried.answered() })?;
            self.connection().heard(&upstream.lease);
            let status = response.status();
            if status == 101 && !is_asked_for(&response, upgrade.as_deref()) {
                let why = "a 101 to a protocol that was not asked for";
                return Err(Tried::Fell(misled(why.into(), false)));
            }
            if status >= 200 || status == 101 {
                return Ok((response, upload));
            }
            self.pass_interim(head, &response).await?;
            response.recycle();
        }
        Err(Tried::Fell(misled("more interim responses than can be meant".into(), false)))
    }

    /// The request on its way.
    fn begin(&self, head: &Head, upgrade: Option<&[u8]>) -> Pump {
        let http = self.run.http;
        let mut first = spare::buffer();
        let framing = Framing { upgrade, ..Framing::of(head) };
        write_request(head, &framing, &mut first);
        let way = if head.body() == Body::Chunked { Way::Chunks } else { Way::Plain };
        let most = http.plan.body_max.map(|most| most.0);
        Pump::new(head.body(), way, first, (http.limits, http.lenient), most)
            .spliced(|| self.connection().splice())
    }

    /// Reads the next head of the endpoint; the body goes up meanwhile.
    async fn read_head(
        &mut self,
        head: &mut Head,
        upstream: &mut Upstream,
        upload: &mut Upload,
        response: &mut Head,
        asked: Asked,
    ) -> Result<(), Tried> {
        let http = self.run.http;
        let pool = self.run.site.pools.get(self.index);
        let lenient = pool.map(|pool| pool.lenient).unwrap_or_default();
        let patience = pool.map_or(Duration::ZERO, |pool| pool.http.response_timeout);
        let mut parser = Parser::response(asked, http.limits, lenient);
        let connection = self.connection();
        let (client, stream) = (&mut *self.run.client, &mut upstream.stream);
        let (mut moved, mut taken, mut sent) = (0, 0, 0);
        let read = while_moving(&self.run.session.alarm, |context| {
            let mut mark = Mark { moved: u64::MAX, patience };
            if let Upload::Running(pump) = upload {
                let pumped = pump.poll(context, (client, head), stream);
                (moved, taken, sent) = (pump.moved(), pump.taken(), pump.sent());
                mark = Mark { moved: pump.progress(), patience: http.plan.body_timeout };
                match pumped {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => *upload = Upload::Whole,
                    // The endpoint may have answered before it closed.
                    Poll::Ready(Err(Fault::Broken(Side::To, _))) => *upload = Upload::Refused,
                    Poll::Ready(Err(fault)) => return Ok(Err(of_client(fault).into())),
                }
            }
            if !matches!(upload, Upload::Running(_)) {
                mark = Mark { moved: u64::MAX, patience };
                match client.presence(context) {
                    Presence::Here => {}
                    Presence::Ended => {
                        mark.patience = patience.min(connection.half_closed_timeout());
                    }
                    Presence::Gone => return Ok(Err(left().into())),
                }
            }
            match poll_head(context, stream, &mut parser, response) {
                Poll::Ready(read) => Ok(read.map_err(|error| {
                    let silent = response.buffer().is_empty();
                    fell(error, silent && taken == 0, silent && taken == 0 && sent == 0)
                })),
                Poll::Pending => Err(mark),
            }
        });
        let read = read.await;
        self.run.record.bytes.0 = moved.max(self.run.record.bytes.0);
        read.unwrap_or_else(|| Err(self.late(upload, patience)))
    }

    /// Nothing has moved for too long.
    fn late(&self, upload: &Upload, patience: Duration) -> Tried {
        if let Upload::Running(pump) = upload
            && pump.waits_for() == Side::From
        {
            let why = format!("no byte of the body within {:?}", self.run.http.plan.body_timeout);
            return Failed::Answer(408, End::timeout(Who::Client, Step::Data, why)).into();
        }
        let why = match upload {
            Upload::Running(_) => "the endpoint takes no more of the body".to_owned(),
            _ => format!("no response within {patience:?}"),
        };
        let end = End::timeout(Who::Endpoint, Step::Answer, why);
        let evidence = Evidence::EndedEarly { answered: false };
        Tried::Fell(Fell { end, status: 504, seen: Seen::Much, evidence })
    }

    /// The protocols of `Upgrade` that are passed on; `None`: it is not.
    fn upgrade_of(&self, head: &Head) -> Option<Vec<u8>> {
        let allowed = &self.run.http.plan.upgrades;
        let wanted = head.upgrade_protocols().filter(|protocol| {
            allowed.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(protocol))
        });
        let wanted: Vec<_> = wanted.collect();
        (!wanted.is_empty()).then(|| wanted.join(b", ".as_slice()))
    }

    /// Passes a 1xx on, to clients that know of them.
    async fn pass_interim(&mut self, head: &Head, response: &Head) -> Result<(), Tried> {
        if head.version() == Version::Http10 {
            return Ok(());
        }
        let mut bytes = Vec::new();
        write_response(response, &Framing::of(response), &mut bytes);
        let patience = self.run.http.plan.body_timeout;
        match timeout(patience, write_all(self.run.client, &bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let end = End::abort(Who::Client, Step::Answer, error.to_string());
                Err(Failed::Client(end).into())
            }
            Err(_) => {
                let end = End::timeout(Who::Client, Step::Answer, "takes no interim response");
                Err(Failed::Client(end).into())
            }
        }
    }
}

/// Whether each protocol that a 101 changes to is among those that were asked for.
fn is_asked_for(response: &Head, upgrade: Option<&[u8]>) -> bool {
    let Some(upgrade) = upgrade else { return false };
    let mut asked = upgrade.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let mut answered = response.upgrade_protocols().peekable();
    answered.peek().is_some()
        && answered.all(|protocol| asked.clone().any(|asked| asked.eq_ignore_ascii_case(protocol)))
        && asked.next().is_some()
}

/// The request's body is not whole.
fn of_client(fault: Fault) -> Failed {
    let end = |why: String| End::abort(Who::Client, Step::Data, why);
    match fault {
        Fault::Broken(_, error) => Failed::Client(end(error.to_string())),
        Fault::Early => Failed::Client(end("closed before its body was complete".into())),
        Fault::Refused(reason) => Failed::Answer(reason.status(), end(reason.text().into())),
        Fault::TooLong => Failed::Answer(413, end("the body is longer than `body_max`".into())),
    }
}

fn left() -> Failed {
    Failed::Client(End::abort(Who::Client, Step::Answer, "left before the response came"))
}

/// The head of the response did not come, or is none. `only_head`: nothing of a body was sent, and not
/// a byte of an answer came; `nothing`: not even the head was sent.
fn fell(error: HeadError, only_head: bool, nothing: bool) -> Tried {
    let why = match error {
        HeadError::Closed { began: false } => "closed without a response".into(),
        HeadError::Closed { began: true } => "closed within the head of its response".into(),
        HeadError::Broken(error) => error.to_string(),
        HeadError::Refused(reason) => reason.text().to_owned(),
    };
    let mut fell = misled(why, only_head);
    if nothing {
        fell.seen = Seen::Nothing;
    }
    Tried::Fell(fell)
}

impl Tried {
    /// Something was answered, so that nobody else is asked.
    fn answered(mut self) -> Self {
        if let Self::Fell(fell) = &mut self {
            fell.seen = Seen::Much;
        }
        self
    }
}

fn misled(why: String, only_head: bool) -> Fell {
    let end = End::abort(Who::Endpoint, Step::Answer, why);
    let seen = if only_head { Seen::Head } else { Seen::Much };
    Fell { end, status: 502, seen, evidence: Evidence::EndedEarly { answered: false } }
}
