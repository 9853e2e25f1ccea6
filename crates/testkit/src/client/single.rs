//! A client that makes a new connection for each request.

use super::connect::{self, Progress, Target, Whole};
use super::kubelet::period;
use super::record::{Failed, Log, Outcome, Record, Step};
use hyper::Method;
use hyper::body::Bytes;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::timeout;

pub(super) async fn run(target: Target, rate: f64, deadline: Duration, log: Log) {
    let target = Rc::new(target);
    let mut clock = tokio::time::interval(period(rate));
    loop {
        clock.tick().await;
        tokio::task::spawn_local(request(Rc::clone(&target), deadline, log.clone()));
    }
}

async fn request(target: Rc<Target>, deadline: Duration, log: Log) {
    let progress = Progress::new();
    let (at, begun) = (log.now(), tokio::time::Instant::now());
    let result = timeout(deadline, attempt(&target, &progress, &log))
        .await
        .unwrap_or_else(|_| Err(progress.timeout()));
    let (master, step, outcome) = match result {
        Ok(whole) => (whole.header("x-master"), Step::Body, whole.outcome()),
        Err(Failed { step, outcome }) => (None, step, outcome),
    };
    let (took, session) = (begun.elapsed(), progress.session.get());
    if let Some(session) = session {
        let end = if matches!(outcome, Outcome::Status(_)) { Outcome::Ok } else { outcome.clone() };
        log.close(session, end);
    }
    log.note(Record { at, took, master, session, step, outcome });
}

async fn attempt(target: &Target, progress: &Progress, log: &Log) -> Result<Whole, Failed> {
    let (mut send, driver) = connect::http1(target, progress).await?;
    progress.session.set(Some(log.open()));
    let exchange = async {
        let request = target.request(Method::GET, "/api/v1/nodes", Bytes::new())?;
        let sent = send.send_request(request).await;
        let whole =
            Whole::read(sent.map_err(|error| connect::of_hyper(&error, Step::Head))?, progress)
                .await?;
        // Without it the connection closes itself, in good order.
        drop(send);
        Ok(whole)
    };
    tokio::join!(exchange, driver).0
}
