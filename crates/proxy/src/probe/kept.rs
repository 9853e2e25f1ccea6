//! HTTP over a connection that is set up: every question at once, and the keeping of the
//! connection for the steady probes. HTTP/2 asks over streams of one connection; with HTTP/1.1
//! each question has one of its own, dialled when it is needed.

use super::Kind;
use super::connect::{Connection, evidence_of, set_up};
use super::drive::Probing;
use super::grpc;
use super::http::{Http, is_status_object};
use bytes::Bytes;
use eclusa_config::plan::BodyPattern;
use eclusa_policy::verdict::{Evidence, NO_ANSWER, NO_GRPC, VoidCause};
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::HeaderValue;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use std::cell::{Cell, OnceCell, RefCell};
use std::error::Error;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{Instant, sleep_until, timeout};

/// How long a connection may take to be closed in order.
const CLOSING: Duration = Duration::from_secs(1);

type Body = Full<Bytes>;

/// A connection that is kept (with HTTP/1.1: one for each question). Dropped: closed in order.
pub(super) struct Kept {
    born: Instant,
    /// The address of its local end.
    local: Option<IpAddr>,
    token: Option<HeaderValue>,
    http2: OnceCell<http2::SendRequest<Body>>,
    idle: RefCell<Vec<http1::SendRequest<Body>>>,
    open: watch::Sender<()>,
}

/// Why there is no answer.
enum Broken {
    /// A connection of its own was needed and could not be set up; `None`: silence.
    SetUp(Option<Evidence>),
    /// The connection ended.
    Ended,
    /// What the endpoint speaks is no HTTP/2.
    NoHttp2,
    /// The endpoint asked us to go away (GOAWAY): no failure.
    GoneAway,
}

/// An answer; `body`: its first bytes, where they matter.
struct Answered {
    status: u16,
    took: Duration,
    body: Vec<u8>,
}

/// Asks every question over a fresh connection, which is kept from now on.
pub(super) async fn begin(probing: Probing, connection: Connection, local: Option<IpAddr>) {
    let kind = probing.watch.kind();
    let Kind::Http(http) = &*kind else { return };
    let (token, trouble) = http.token();
    if let Some(trouble) = trouble {
        probing.watch.tell_trouble(trouble);
    }
    let kept = Rc::new(Kept {
        born: Instant::now(),
        local,
        token,
        http2: OnceCell::new(),
        idle: RefCell::default(),
        open: watch::Sender::new(()),
    });
    let attached = kept.attach(&probing, connection).await;
    if let Ok(Some(sender)) = attached {
        kept.idle.borrow_mut().push(sender);
    }
    probing.member.kept.replace(Some(kept.clone()));
    ask_all(probing, kept, true).await;
}

/// Asks every question over the connection that is kept.
pub(super) async fn probe(probing: Probing, kept: Rc<Kept>) {
    ask_all(probing, kept, false).await;
}

async fn ask_all(probing: Probing, kept: Rc<Kept>, fresh: bool) {
    let kind = probing.watch.kind();
    let Kind::Http(http) = &*kind else { return };
    let overdue = Rc::new(Cell::new(false));
    let mut questions = JoinSet::new();
    for index in 0..http.count() {
        let question = Question {
            probing: probing.clone(),
            kept: kept.clone(),
            index,
            fresh,
            sent: Instant::now(),
            overdue: overdue.clone(),
        };
        questions.spawn_local(question.ask());
    }
    drop(kept);
    while questions.join_next().await.is_some() {}
}

/// One question under way.
struct Question {
    probing: Probing,
    kept: Rc<Kept>,
    index: usize,
    /// Over a connection that is new.
    fresh: bool,
    sent: Instant,
    /// Whether it was told that an answer of this probe is overdue.
    overdue: Rc<Cell<bool>>,
}

impl Question {
    async fn ask(self) {
        let kind = self.probing.watch.kind();
        let Kind::Http(http) = &*kind else { return };
        let settings = self.probing.watch.settings();
        let (check, since) =
            (http.check(self.index), self.probing.watch.shared.time_of(self.sent.into_std()));
        let late_after = settings.late_after;
        let deadlines = [settings.overdue_after.min(late_after), late_after, late_after * 2];
        let (mut passed, mut stalled) = (0, false);
        let mut answering = pin!(self.exchange(http));
        let result = loop {
            let until = self.sent + deadlines[passed];
            tokio::select! {
                biased;
                result = &mut answering => break result,
                () = sleep_until(until) => {
                    let timer_late = until.elapsed();
                    stalled |= timer_late > settings.timer_slack;
                    let evidence = match passed {
                        0 => Evidence::Overdue { since, timer_late },
                        1 => Evidence::Late { check, since, timer_late },
                        _ => return,
                    };
                    stalled |= self.tell_waiting(evidence);
                    passed += 1;
                }
            }
        };
        match result {
            Ok(Answered { status, took, body }) => {
                // Lateness that our own timer did not see, or saw late, is ours.
                let ours = stalled || passed < 2;
                let took = if ours { took.min(late_after) } else { took };
                let status_object = tells_by_body(status) && is_status_object(&body);
                let status = http.status(status, &body);
                self.probing.see(Evidence::Answer { check, status, took, status_object });
            }
            Err(broken) => self.broken(http, &broken),
        }
    }

    /// Tells that there is no answer yet; says whether that is our own link's doing.
    fn tell_waiting(&self, evidence: Evidence) -> bool {
        let is_cut_off = self.probing.is_cut_off(self.kept.local);
        // Once for all questions of this probe.
        let is_told = matches!(evidence, Evidence::Overdue { .. }) && self.overdue.replace(true);
        if !is_told {
            let void = Evidence::Void(VoidCause::NoRoute);
            self.probing.see(if is_cut_off { void } else { evidence });
        }
        is_cut_off
    }

    fn broken(&self, http: &Http, broken: &Broken) {
        match broken {
            Broken::SetUp(Some(evidence)) => self.probing.see(evidence.clone()),
            // The dials that follow tell of silence.
            Broken::SetUp(None) => {}
            Broken::Ended | Broken::NoHttp2 if self.fresh => {
                self.kept.lost(&self.probing, false);
                let is_other = matches!(broken, Broken::NoHttp2) && http.is_grpc();
                self.probing.see(Evidence::Answer {
                    check: http.check(self.index),
                    status: if is_other { NO_GRPC } else { NO_ANSWER },
                    took: self.sent.elapsed(),
                    status_object: false,
                });
            }
            Broken::Ended | Broken::NoHttp2 | Broken::GoneAway => {
                self.kept.lost(&self.probing, !self.fresh)
            }
        }
    }

    async fn exchange(&self, http: &Http) -> Result<Answered, Broken> {
        let endpoint = &self.probing.member.endpoint;
        if let Some(drill) = endpoint.drill() {
            drill.meet().await.map_err(|_| Broken::Ended)?;
        }
        let is_http2 = self.kept.http2.get().is_some();
        let request = http.request(self.index, endpoint, is_http2, self.kept.token.as_ref());
        let request = request.map_err(|_| Broken::Ended)?;
        let (response, sender) = if let Some(sender) = self.kept.http2.get() {
            let mut sender = sender.clone();
            (sender.send_request(request).await, None)
        } else if http.is_grpc() {
            return Err(Broken::NoHttp2);
        } else {
            let mut sender = self.kept.sender(&self.probing).await?;
            (sender.send_request(request).await, Some(sender))
        };
        let response = response.map_err(|error| broken_by(&error))?;
        if http.is_grpc() {
            // Its status comes behind all else.
            let status = grpc::read(response).await.map_err(|error| broken_by(&error))?;
            return Ok(Answered { status, took: self.sent.elapsed(), body: Vec::new() });
        }
        let (status, took) = (response.status().as_u16(), self.sent.elapsed());
        let reading = read(self.kept.clone(), response, sender);
        if http.wants_body(status) {
            // Such an answer is as late as its body.
            let body = reading.await.map_err(|error| broken_by(&error))?;
            return Ok(Answered { status, took: self.sent.elapsed(), body });
        }
        let reading = timeout(self.probing.watch.settings().late_after, reading);
        let body = if tells_by_body(status) {
            reading.await.ok().and_then(Result::ok).unwrap_or_default()
        } else {
            spawn_local(reading);
            Vec::new()
        };
        Ok(Answered { status, took, body })
    }
}

/// Whether a status that is no good one is told apart by its body.
fn tells_by_body(status: u16) -> bool {
    matches!(status, 401 | 403)
}

/// Reads an answer's body as far as it is looked at. The connection is given back when there was
/// no more of it.
async fn read(
    kept: Rc<Kept>,
    response: Response<Incoming>,
    sender: Option<http1::SendRequest<Body>>,
) -> Result<Vec<u8>, hyper::Error> {
    let (mut body, mut bytes) = (response.into_body(), Vec::new());
    while bytes.len() < BodyPattern::LOOKED_AT {
        let Some(frame) = body.frame().await else {
            if let Some(sender) = sender {
                spawn_local(give_back(kept, sender));
            }
            break;
        };
        // Trailers are no part of the body.
        bytes.extend_from_slice(&frame?.into_data().unwrap_or_default());
    }
    Ok(bytes)
}

async fn give_back(kept: Rc<Kept>, mut sender: http1::SendRequest<Body>) {
    if sender.ready().await.is_ok() {
        kept.idle.borrow_mut().push(sender);
    }
}

fn broken_by(error: &hyper::Error) -> Broken {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>()
            && error.is_go_away()
        {
            return match error.reason() {
                Some(h2::Reason::NO_ERROR) => Broken::GoneAway,
                // We have ended it: what came are no frames, or wrong ones.
                _ if !error.is_remote() => Broken::NoHttp2,
                _ => Broken::Ended,
            };
        }
        cause = error.source();
    }
    Broken::Ended
}

impl Kept {
    /// Begins HTTP on a connection; with HTTP/1.1 returns what sends its requests.
    async fn attach(
        self: &Rc<Self>,
        probing: &Probing,
        connection: Connection,
    ) -> Result<Option<http1::SendRequest<Body>>, hyper::Error> {
        let kind = probing.watch.kind();
        let Kind::Http(http) = &*kind else { return Ok(None) };
        let is_http2 = connection.is_http2(http.knows_http2());
        if http.is_grpc() && !is_http2 {
            return Ok(None);
        }
        let stream = TokioIo::new(connection);
        if is_http2 {
            let (sender, connection) = http2::handshake(Local, stream).await?;
            self.carry(probing, connection);
            // It is the first and only one.
            let _ = self.http2.set(sender);
            return Ok(None);
        }
        let (sender, connection) = http1::handshake(stream).await?;
        self.carry(probing, connection);
        Ok(Some(sender))
    }

    /// What sends a request over HTTP/1.1: a connection that is idle, or one more.
    async fn sender(
        self: &Rc<Self>,
        probing: &Probing,
    ) -> Result<http1::SendRequest<Body>, Broken> {
        let idle = {
            let mut idle = self.idle.borrow_mut();
            idle.retain(|sender| !sender.is_closed());
            idle.pop()
        };
        if let Some(sender) = idle {
            return Ok(sender);
        }
        let setting_up = set_up(&probing.watch, &probing.member.endpoint, Rc::default());
        let connection = setting_up.await.map_err(|error| Broken::SetUp(evidence_of(&error)))?;
        match self.attach(probing, connection).await {
            Ok(Some(sender)) => Ok(sender),
            _ => Err(Broken::Ended),
        }
    }

    /// Carries a connection until it ends or is no longer kept.
    fn carry<E>(
        self: &Rc<Self>,
        probing: &Probing,
        connection: impl Future<Output = Result<(), E>> + 'static,
    ) {
        let (probing, kept, mut open) =
            (probing.clone(), Rc::downgrade(self), self.open.subscribe());
        spawn_local(async move {
            let mut connection = pin!(connection);
            tokio::select! {
                biased;
                // How it ended makes no difference: GOAWAY, FIN and RST are no failures here.
                _ = &mut connection => if let Some(kept) = kept.upgrade() {
                    kept.lost(&probing, false);
                },
                _ = open.changed() => {
                    // A peer that does not take the end in order loses the connection all the same.
                    let _ = timeout(CLOSING, connection).await;
                }
            }
        });
    }

    /// The connection has ended. Told to the judge, which then dials at once, if it has served a
    /// while (`tell`: in any case): an endpoint that closes after each answer must not be dialled
    /// without a pause.
    fn lost(self: &Rc<Self>, probing: &Probing, tell: bool) {
        let is_kept = |kept: &Rc<Self>| Rc::ptr_eq(kept, self);
        if !probing.member.kept.borrow().as_ref().is_some_and(is_kept) {
            return;
        }
        probing.member.kept.take();
        if tell || self.born.elapsed() >= probing.watch.settings().interval / 2 {
            probing.see(Evidence::KeptEnded);
        }
    }
}

/// Runs hyper's tasks on this thread.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, task: F) {
        spawn_local(async move {
            task.await;
        });
    }
}
