//! The deadline of a gRPC call (`grpc-timeout`; *gRPC over HTTP2*, in gRPC's documentation). The client ends
//! the call when it has passed, and so do we, for a client that does not, or is gone without a word: the
//! endpoint must not go on with what nobody waits for.

use crate::exchange::{Done, Run, Then};
use crate::h2::{fields, grpc};
use crate::stream::Stream;
use eclusa_proxy::layer7::{End, Step, Who};
use eclusa_wire::http1::Head;
use eclusa_wire::http2::grpc::{timeout, write_timeout};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

const NAME: &[u8] = b"grpc-timeout";
/// A deadline that is farther away is the two ends' own affair: what rests is ended by other limits.
const FARTHEST: Duration = Duration::from_secs(30 * 24 * 3_600);
/// What the client is told.
const WORDS: &str = "the deadline of the call has passed";

/// A `grpc-timeout` that is none, or two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// When the call that began at `began` is to be over; `None`: it is no call, or may take its time.
pub(super) fn read(head: &Head, began: Instant) -> Result<Option<Instant>, Malformed> {
    let mut values = head.all(NAME);
    let Some(value) = values.next().filter(|_| grpc::is_grpc(head)) else { return Ok(None) };
    match (timeout(value), values.next()) {
        (Some(time), None) => Ok((time <= FARTHEST).then(|| began + time)),
        _ => Err(Malformed),
    }
}

/// Says in the head how much of the time is left, as whoever gets it counts from then on. What a rule says
/// holds, where that is less.
pub(crate) fn tell_left(head: &mut Head, deadline: Option<Instant>) {
    let Some(deadline) = deadline else { return };
    let Some(asked) = head.first(NAME).and_then(timeout) else { return };
    // By the clock: since the call came there may have been no other turn.
    let left = deadline.saturating_duration_since(Instant::now()).min(asked);
    // There was one: another fits as well.
    let _ = head.set(NAME, write_timeout(left).as_bytes());
}

/// What `future` yields; `None` once the deadline has passed.
pub(super) async fn within<T>(
    deadline: Option<Instant>,
    mut future: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    let mut timer = deadline.map(|deadline| Box::pin(sleep_until(deadline.into())));
    poll_fn(|context| {
        if let Poll::Ready(done) = future.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        match &mut timer {
            Some(timer) => timer.as_mut().poll(context).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

impl Run<'_> {
    /// Ends a call whose deadline has passed. Nobody is to blame but whoever set it: what the endpoint did
    /// with its time is between the two.
    pub(super) fn exceed(&mut self) -> Done {
        let Stream::Http2(stream) = &mut *self.client else {
            return Done { end: End::clean(Who::Proxy), then: Then::Close };
        };
        let (step, sent) = if stream.has_answered() {
            (Step::Data, stream.break_off(504, WORDS))
        } else {
            self.record.status = 504;
            let answer = fields::response(200, grpc::fields(504, WORDS));
            (Step::Answer, stream.send_head(answer, true))
        };
        let end = End::timeout(Who::Client, step, "the deadline of its call (`grpc-timeout`)");
        Done::of_answer(Ok(sent), Some(end), Then::Again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_wire::http1::{Lenient, Limits};

    fn head(fields: &[(&str, &str)]) -> Head {
        let mut head = Head::new();
        head.begin_request(b"POST", None, b"a.test", b"/", Lenient::NONE).unwrap();
        for (name, value) in fields {
            let limits = Limits::default();
            head.append(name.as_bytes(), value.as_bytes(), &limits, Lenient::NONE).unwrap();
        }
        head
    }

    #[test]
    fn deadlines_are_of_calls_and_none_is_guessed() {
        let (began, call) = (Instant::now(), ("content-type", "application/grpc+proto"));
        let of = |fields: &[(&str, &str)]| read(&head(fields), began);
        assert_eq!(of(&[call]), Ok(None));
        assert_eq!(of(&[call, ("grpc-timeout", "20S")]), Ok(Some(began + Duration::from_secs(20))));
        assert_eq!(of(&[call, ("grpc-timeout", "0m")]), Ok(Some(began)));
        assert_eq!(of(&[call, ("grpc-timeout", "99999999H")]), Ok(None), "too far away");
        assert_eq!(of(&[("content-type", "text/html"), ("grpc-timeout", "20S")]), Ok(None));
        for wrong in ["", "20", "20s", "-1S", "1.5S", "999999999n"] {
            assert_eq!(of(&[call, ("grpc-timeout", wrong)]), Err(Malformed), "{wrong}");
        }
        let twice = [call, ("grpc-timeout", "20S"), ("grpc-timeout", "20S")];
        assert_eq!(of(&twice), Err(Malformed));
    }

    #[test]
    fn what_is_left_is_told_unless_a_rule_leaves_less() {
        let told = |value: &str, deadline| {
            let mut head = head(&[("grpc-timeout", value)]);
            tell_left(&mut head, deadline);
            head.first(NAME).and_then(timeout).unwrap()
        };
        let in_two = Some(Instant::now() + Duration::from_secs(2));
        let left = told("20S", in_two);
        assert!(left <= Duration::from_secs(2) && left > Duration::from_secs(1), "{left:?}");
        assert_eq!(told("10m", in_two), Duration::from_millis(10));
        assert_eq!(told("20S", None), Duration::from_secs(20), "as it came");
        assert_eq!(told("20S", Some(Instant::now())), Duration::from_nanos(1));
        let mut without = head(&[]);
        tell_left(&mut without, in_two);
        assert_eq!(without.first(NAME), None);
    }
}
