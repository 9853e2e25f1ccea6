//! One request at once: who answers there?

use super::connect::{self, Driver, Progress, Target, Whole};
use super::record::{Failed, Step};
use hyper::Method;
use hyper::body::{Bytes, Incoming};
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

/// Who has answered, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The status.
    pub status: u16,
    /// The header `x-master`, empty without one.
    pub master: String,
    /// The header `x-client`: whom the master sees; empty without one.
    pub client: String,
    /// The body, as text.
    pub body: String,
}

/// Connects, asks `GET path` over HTTP/1.1 and waits for the whole answer, all within `limit`.
/// Blocks; works in the network namespace of this thread.
///
/// # Errors
/// Where it stood when it failed, and how.
pub fn who_answers(target: &Target, path: &str, limit: Duration) -> Result<Who, Failed> {
    block_on(limit, async |progress| {
        let (mut send, driver) = connect::http1(target, progress).await?;
        let request = target.request(Method::GET, path, Bytes::new())?;
        exchange(send.send_request(request), driver, progress).await
    })
}

/// The same over HTTP/2.
///
/// # Errors
/// Where it stood when it failed, and how.
pub fn who_answers_http2(target: &Target, path: &str, limit: Duration) -> Result<Who, Failed> {
    block_on(limit, async |progress| {
        let (mut send, driver) = connect::http2(target, progress).await?;
        let request = target.request(Method::GET, path, Bytes::new())?;
        exchange(send.send_request(request), driver, progress).await
    })
}

fn block_on(
    limit: Duration,
    ask: impl AsyncFnOnce(&Progress) -> Result<Whole, Failed>,
) -> Result<Who, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| connect::other(Step::Connect, error.to_string()))?;
    let progress = Progress::new();
    let local = tokio::task::LocalSet::new();
    let result = local.block_on(&runtime, async { timeout(limit, ask(&progress)).await });
    let whole = result.unwrap_or_else(|_| Err(progress.timeout()))?;
    Ok(Who {
        status: whole.head.status().as_u16(),
        master: whole.header("x-master").unwrap_or_default(),
        client: whole.header("x-client").unwrap_or_default(),
        body: String::from_utf8_lossy(&whole.body).into_owned(),
    })
}

/// Waits for the whole answer while the connection runs beside.
async fn exchange(
    sent: impl Future<Output = hyper::Result<hyper::Response<Incoming>>>,
    driver: Driver,
    progress: &Progress,
) -> Result<Whole, Failed> {
    let whole = async {
        let response = sent.await.map_err(|error| connect::of_hyper(&error, Step::Head))?;
        Whole::read(response, progress).await
    };
    tokio::pin!(whole);
    tokio::select! {
        result = &mut whole => result,
        // The connection has ended, and the request learns of it.
        _ = driver => whole.await,
    }
}
