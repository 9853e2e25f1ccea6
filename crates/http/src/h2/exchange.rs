//! One exchange on a client's HTTP/2 connection. Its story is that of every exchange (`crate::exchange`);
//! here is what stands around it.

use super::deadline::Malformed;
use super::lanes::{Lane, Taken};
use super::{deadline, fields};
use crate::answer::Answer;
use crate::carry;
use crate::connection::{Over, Session, end_by};
use crate::exchange::{Done, PARTING, Run, Then, begin};
use crate::patience::Alarm;
use crate::site::Site;
use crate::spare;
use crate::stream::Stream;
use eclusa_proxy::crew::{self, Crew};
use eclusa_proxy::layer7::{
    End, Part, QueueTime, Refusal, Snapshot, Step, StreamPermit, Told, Who, now, poll_room, turn,
};
use eclusa_proxy::stage::{self, Stage, Stages};
use eclusa_wire::http1::{Head, Reason as Refused};
use h2::Reason;
use http::Request;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Instant;
use tokio::time::timeout;

/// One exchange that is to run, and what goes with it. What is large is boxed: each future that hands it on
/// would have room for it of its own.
pub(super) struct Scene {
    pub(super) session: Rc<Session>,
    pub(super) request: Box<Request<()>>,
    pub(super) client: Stream,
    pub(super) taken: Taken,
    pub(super) permit: Option<StreamPermit>,
    /// Which one of its connection it is.
    pub(super) number: u64,
}

thread_local! {
    static CREW: Crew<Scene> = const { RefCell::new(Vec::new()) };
    static STAGES: Stages<Scene, ()> = const { RefCell::new(Vec::new()) };
}

/// Begins an exchange as a task beside that of its connection.
pub(super) fn begin_task(scene: Scene) {
    crew::spawn(&CREW, |scene| stage::run(&STAGES, build_stage, scene), scene);
}

/// Where exchanges of HTTP/2 run. A stage has a timer, so that none is set anew for each.
#[allow(clippy::large_futures, reason = "a stage is boxed as such, and kept")]
fn build_stage() -> Stage<Scene, ()> {
    let alarm = Alarm::default();
    Stage::build(async move |scene| play(scene, &alarm).await)
}

async fn play(scene: Scene, alarm: &Alarm) {
    let Scene { session, request, client, taken, permit, number } = scene;
    let network = session.connection.client().ip().into();
    {
        let running = run(&session, request, (client, taken.lane()), number, alarm);
        let mut running = pin!(running);
        let one = taken.lane();
        poll_fn(|context| {
            turn(network, || {
                if one.is_crowded() {
                    ready!(poll_room(context));
                }
                running.as_mut().poll(context)
            })
        })
        .await;
    }
    // Before the connection is told that this stream is over.
    drop((session, permit));
    drop(taken);
}

/// Runs the exchange of one stream to its end.
#[allow(clippy::large_futures, reason = "a stream is a task of its own, and boxed as such")]
async fn run(
    session: &Session,
    request: Box<Request<()>>,
    (mut client, lane): (Stream, Lane),
    number: u64,
    alarm: &Alarm,
) {
    let began = now();
    let connection = &session.connection;
    let snapshot = connection.snapshot();
    let site = snapshot.service().and_then(|service| service.as_any().downcast_ref::<Site>());
    let ends = client.is_ended();
    let Some((site, http)) = site.and_then(|site| Some((site, site.http.as_ref()?))) else {
        // A reload has made something else of the listener: nothing was done, and the client may ask anew.
        return reset(&mut client, Reason::REFUSED_STREAM);
    };
    let mut head = spare::head();
    let head = &mut *head;
    let read = fields::to_head(head, &request, ends, (&http.limits, http.lenient));
    let length = fields::declared_length(&request);
    drop(request);
    let asked = deadline::read(head, began);
    let until = asked.ok().flatten();
    let (record, queued) = (begin(session, head, number), QueueTime::default());
    let mut run =
        Run { session, site, http, client: &mut client, record, alarm, queued, deadline: until };
    run.record.times.head = now() - began;
    let done = {
        let serving = pin!(serve(&mut run, head, (read, asked), &snapshot));
        unless_told(&lane, pin!(deadline::within(until, serving))).await
    };
    let done = match done {
        Ok(done) => done.unwrap_or_else(|| run.exceed()),
        Err(told) => Done { end: end_by(told), then: Then::Reset },
    };
    let mut record = run.record;
    let (end, left) = match done.then {
        Then::Upgraded(tunnel) => {
            let mut carrying = Box::pin(carry::tunnel(session, client, tunnel));
            let over = unless_told(&lane, carrying.as_mut()).await;
            let Over { end, bytes: (up, down), .. } =
                over.unwrap_or_else(|told| Over { end: end_by(told), bytes: (0, 0), told: false });
            record.bytes = (record.bytes.0 + up, record.bytes.1 + down);
            (end, None)
        }
        Then::Reset => {
            client.reset_on_close();
            (done.end, None)
        }
        // What is not at its end is reset by h2, with the code that fits.
        Then::Again | Then::Part | Then::Close => (done.end, Some(client)),
    };
    record.end = end;
    record.times.total = now() - began;
    connection.exchanged(&record);
    spare::give_back_record(record);
    see_end(left, length).await;
}

/// Waits a little for the end of a body of which all bytes came. What is late then is reset.
async fn see_end(client: Option<Stream>, length: Option<u64>) {
    if let (Some(Stream::Http2(mut stream)), Some(length)) = (client, length) {
        let _ = timeout(PARTING, poll_fn(|context| stream.poll_end(context, length))).await;
    }
}

/// Serves a request whose head and deadline were read so.
#[allow(clippy::large_futures, reason = "as above")]
async fn serve(
    run: &mut Run<'_>,
    head: &mut Head,
    read: (Result<(), Refused>, Result<Option<Instant>, Malformed>),
    snapshot: &Snapshot,
) -> Done {
    let (status, why) = match read {
        (Err(reason), _) => return refuse(run, head, reason).await,
        // RFC 9220, section 3, says so for HTTP/3, and nothing speaks against it here.
        (Ok(()), _) if !run.may_upgrade(head) => (501, "a protocol that is not in `upgrades`"),
        // As grpc-go has it; gRPC's own documentation leaves it open.
        (Ok(()), Err(Malformed)) => (400, "a malformed `grpc-timeout`"),
        (Ok(()), Ok(_)) => return run.serve(head, |index| snapshot.pool(index)).await,
    };
    let end = End::abort(Who::Client, Step::Head, why);
    run.answer(head, &Answer::page(status), &[], Some(end)).await
}

impl Run<'_> {
    /// Whether the protocol that an extended CONNECT asks for, if one does, is passed on.
    fn may_upgrade(&self, head: &Head) -> bool {
        let allowed = &self.http.plan.upgrades;
        head.upgrade_protocols().all(|wanted| {
            allowed.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(wanted))
        })
    }
}

/// What `future` yields, unless the operator ends it first.
async fn unless_told<T>(
    lane: &Lane,
    mut future: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Told> {
    poll_fn(|context| match lane.poll_told(context) {
        Some(told) => Poll::Ready(Err(told)),
        None => future.as_mut().poll(context).map(Ok),
    })
    .await
}

/// Answers a request that the codec has refused.
async fn refuse(run: &mut Run<'_>, head: &mut Head, reason: Refused) -> Done {
    let (part, at) = (Part::Head, head.bytes().len());
    let refusal = Refusal { reason, part, bytes: head.bytes(), at };
    run.session.connection.refused_request(refusal);
    let end = End::abort(Who::Client, Step::Head, reason.text());
    run.answer(head, &Answer::refused(reason), &[], Some(end)).await
}

fn reset(client: &mut Stream, reason: Reason) {
    if let Stream::Http2(stream) = client {
        stream.reset(reason);
    }
}
