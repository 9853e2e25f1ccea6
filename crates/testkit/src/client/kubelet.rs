//! A client like a kubelet: requests at a rate on one lasting HTTP/2 connection.

use super::connect::{self, Progress, Target, Whole};
use super::record::{Failed, Log, Outcome, Record, Step};
use http_body_util::Full;
use hyper::Method;
use hyper::body::Bytes;
use hyper::client::conn::http2::SendRequest;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

/// After a failed dial; requests fail at once meanwhile.
const PAUSE: Duration = Duration::from_millis(20);
/// Tries of a request that HTTP/2 says was not processed.
const TRIES: usize = 3;
/// Every how many requests one is a POST.
const POST_EVERY: u64 = 10;

/// Where the connection stands.
#[derive(Clone)]
enum Link {
    Dialing,
    Failed(Failed),
    Up(usize, SendRequest<Full<Bytes>>),
}

struct Kubelet {
    target: Target,
    deadline: Duration,
    log: Log,
    link: watch::Sender<Link>,
    /// One more than the last session that shall get no more requests.
    retired: watch::Sender<usize>,
}

pub(super) async fn run(target: Target, rate: f64, deadline: Duration, log: Log) {
    let link = watch::Sender::new(Link::Dialing);
    let kubelet = Rc::new(Kubelet { target, deadline, log, link, retired: watch::Sender::new(0) });
    tokio::task::spawn_local(Rc::clone(&kubelet).keep_connected());
    let mut clock = tokio::time::interval(period(rate));
    for number in 0.. {
        clock.tick().await;
        tokio::task::spawn_local(Rc::clone(&kubelet).request(number));
    }
}

/// The time between two of `rate` a second.
pub(super) fn period(rate: f64) -> Duration {
    Duration::try_from_secs_f64(1.0 / rate)
        .unwrap_or(Duration::from_secs(u32::MAX.into()))
        .max(Duration::from_nanos(1))
}

impl Kubelet {
    /// Dials, and dials again whenever the connection ends or is retired.
    async fn keep_connected(self: Rc<Self>) {
        loop {
            // A retired connection ends by itself when its last request has ended.
            self.link.send_replace(Link::Dialing);
            let progress = Progress::new();
            let dial = connect::http2(&self.target, &progress);
            match timeout(self.deadline, dial).await.unwrap_or_else(|_| Err(progress.timeout())) {
                Ok((send, driver)) => {
                    let session = self.log.open();
                    let ended = Rc::new(Notify::new());
                    let (log, tell) = (self.log.clone(), Rc::clone(&ended));
                    tokio::task::spawn_local(async move {
                        log.close(session, driver.await);
                        tell.notify_one();
                    });
                    self.link.send_replace(Link::Up(session, send));
                    let mut retired = self.retired.subscribe();
                    tokio::select! {
                        () = ended.notified() => {}
                        _ = retired.wait_for(|retired| *retired > session) => {}
                    }
                    self.retire(session);
                }
                Err(failed) => {
                    self.link.send_replace(Link::Failed(failed));
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn retire(&self, session: usize) {
        self.retired.send_modify(|retired| *retired = (*retired).max(session + 1));
    }

    async fn request(self: Rc<Self>, number: u64) {
        let progress = Progress::new();
        let (at, begun) = (self.log.now(), tokio::time::Instant::now());
        let post = number % POST_EVERY == POST_EVERY - 1;
        let result = timeout(self.deadline, self.attempts(post, &progress))
            .await
            .unwrap_or_else(|_| Err(progress.timeout()));
        if let (Err(_), Some(session)) = (&result, progress.session.get()) {
            self.retire(session);
        }
        let (master, step, outcome) = match result {
            Ok(whole) => (whole.header("x-master"), Step::Body, whole.outcome()),
            Err(Failed { step, outcome }) => (None, step, outcome),
        };
        let (took, session) = (begun.elapsed(), progress.session.get());
        self.log.note(Record { at, took, master, session, step, outcome });
    }

    async fn attempts(&self, post: bool, progress: &Progress) -> Result<Whole, Failed> {
        let mut failed = Failed { step: Step::Connect, outcome: Outcome::Closed };
        for _ in 0..TRIES {
            progress.session.set(None);
            progress.step.set(Step::Connect);
            let (session, mut send) = self.connection().await?;
            progress.session.set(Some(session));
            progress.step.set(Step::Head);
            let (method, path, body) = if post {
                (
                    Method::POST,
                    "/api/v1/namespaces/default/events",
                    Bytes::from("{\"kind\":\"Event\"}"),
                )
            } else {
                (Method::GET, "/api/v1/nodes/worker1", Bytes::new())
            };
            let request = self.target.request(method, path, body)?;
            let sent = match send.ready().await {
                Ok(()) => send.send_request(request).await,
                Err(error) => Err(error),
            };
            match sent {
                Ok(response) => return Whole::read(response, progress).await,
                Err(error) => {
                    failed = connect::of_hyper(&error, Step::Head);
                    self.retire(session);
                    if !connect::never_processed(&error) {
                        break;
                    }
                }
            }
        }
        Err(failed)
    }

    /// The connection for the next request; waits for one that is being dialed.
    async fn connection(&self) -> Result<(usize, SendRequest<Full<Bytes>>), Failed> {
        let mut link = self.link.subscribe();
        let settled = link.wait_for(|link| match link {
            Link::Dialing => false,
            Link::Failed(_) => true,
            Link::Up(session, _) => *session >= *self.retired.borrow(),
        });
        // The sender lives in `self`: an error is impossible.
        match settled.await.map(|link| link.clone()) {
            Ok(Link::Up(session, send)) => Ok((session, send)),
            Ok(Link::Failed(failed)) => Err(failed),
            Ok(Link::Dialing) | Err(_) => {
                Err(Failed { step: Step::Connect, outcome: Outcome::Closed })
            }
        }
    }
}
