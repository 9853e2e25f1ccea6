//! A connection between its exchanges, and what becomes of one that is at rest for too long.

use crate::h1::{FirstByte, poll_first_byte};
use crate::patience::is_taken;
use crate::site::Http;
use crate::stream::Stream;
use eclusa_proxy::layer7::{Connection, End, Step, Who, now};
use std::io::ErrorKind;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// How long a connection waits for a last request once our side wants to leave, at least, and how much
/// longer at most: whoever asks meanwhile is answered, and told that this was the last answer; a request
/// that meets a closed connection is lost.
const LINGER: Duration = Duration::from_secs(3);
const LINGER_SPREAD_MS: u64 = 2_000;
/// Of a client that is cut because it does not read.
pub(crate) const TOOK_NOTHING: &str = "took no byte of the response";

/// A connection that rests before a request. Thousands do at once: it is small, and has no timer of its
/// own.
#[derive(Debug)]
pub(crate) struct Rest {
    began: Instant,
    patience: Duration,
    lingers: bool,
}

/// How a rest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rested {
    /// The first byte of a request is there.
    Came,
    /// None came in time.
    Late,
}

impl Rest {
    /// Before the request of this number.
    pub(crate) fn new(connection: &Connection, http: &Http, number: u64) -> Self {
        let plan = &http.plan;
        let patience = if number == 1 { plan.head_timeout } else { plan.keep_alive_timeout };
        connection.wake_after(Some(patience));
        Self { began: now(), patience, lingers: false }
    }

    /// Waits for the first byte, or for the end.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        connection: &Connection,
        client: &mut Stream,
        inbox: &mut Vec<u8>,
    ) -> Poll<Result<Rested, End>> {
        let came = poll_first_byte(context, client, inbox);
        if came.is_pending() && self.is_over(connection) {
            return Poll::Ready(Ok(Rested::Late));
        }
        Poll::Ready(match ready!(came) {
            Ok(FirstByte::Came) => {
                connection.wake_after(None);
                Ok(Rested::Came)
            }
            Ok(FirstByte::Ended) => Err(End::clean(Who::Client)),
            // Between messages nothing can be cut short: TLS need not be ended in form.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(End::clean(Who::Client)),
            Err(error) => Err(End::abort(Who::Client, Step::Head, error.to_string())),
        })
    }

    fn is_over(&mut self, connection: &Connection) -> bool {
        let rested = now() - self.began;
        if !self.lingers && connection.is_leaving() {
            self.lingers = true;
            let spread = Duration::from_millis(fastrand::u64(..LINGER_SPREAD_MS));
            self.patience = self.patience.min(rested + LINGER + spread);
            connection.wake_after(Some(self.patience.saturating_sub(rested)));
        }
        rested >= self.patience
    }

    /// The end of a connection on which no request came in time.
    pub(crate) async fn late(
        &self,
        connection: &Connection,
        (client, http): (&mut Stream, &Http),
        number: u64,
    ) -> End {
        if !takes_the_rest(client, http).await {
            return End::timeout(Who::Client, Step::Data, http.too_slow(TOOK_NOTHING));
        }
        if number > 1 || connection.is_leaving() {
            return End::clean(Who::Proxy);
        }
        let why = format!("no request within {:?}", self.patience);
        End::timeout(Who::Client, Step::Head, why)
    }
}

/// Whether the client takes what was written and it has not read yet; one that does not is reset.
pub(crate) async fn takes_the_rest(client: &mut Stream, http: &Http) -> bool {
    if client.untaken() == 0 {
        return true;
    }
    let is_taken = is_taken(client, http.plan.body_timeout, http.floor).await;
    if !is_taken {
        client.reset_on_close();
    }
    is_taken
}
