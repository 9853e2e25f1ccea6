//! Whether an endpoint is still there: one that says nothing on a connection where something is due is asked
//! by a PING (RFC 9113, section 6.7). A host that is gone without a word is noticed so; a request that takes
//! its time is no reason to end anything, as who is there answers a PING at once.

use std::time::{Duration, Instant};

/// How long the answer may take at most.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two PINGs without head or data of an endpoint in between. gRPC's servers allow one in five minutes,
/// and end a connection after the second that comes sooner (`GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS`).
const AGAIN: Duration = Duration::from_secs(310);

/// What was seen of a connection so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Bytes that the endpoint has sent.
    pub(super) bytes: u64,
    /// Heads and pieces of data that streams have taken of it.
    pub(super) said: u64,
    /// Streams that were begun.
    pub(super) begun: u64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To look again then, or when something happens.
    At(Instant),
    /// To send a PING, and look again then.
    Ask(Instant),
    /// The endpoint has not answered.
    Gone,
}

/// The silence of one connection. To be asked only while streams are under way.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// Silence before the endpoint is asked.
    silence: Duration,
    seen: Seen,
    /// Since when nothing has come although something was due.
    since: Option<Instant>,
    /// A PING that is not answered.
    asked: Option<Instant>,
    /// The last PING, and what had been said by then.
    last: Option<(Instant, u64)>,
    /// The first stream that was begun since.
    begun: Option<Instant>,
    /// A PING was sent for such a stream, which the endpoint may have counted as one too many.
    lent: bool,
}

impl Heartbeat {
    /// Of a connection whose endpoint is asked after this `silence`.
    pub(super) fn new(silence: Duration) -> Self {
        Self {
            silence,
            seen: Seen::default(),
            since: None,
            asked: None,
            last: None,
            begun: None,
            lent: false,
        }
    }

    /// How long the answer to a PING may take.
    fn patience(&self) -> Duration {
        (self.silence / 2).min(ANSWER)
    }

    /// No stream is under way: nothing is due.
    pub(super) fn rest(&mut self) {
        (self.since, self.asked) = (None, None);
    }

    /// Looks at what was seen by `now`.
    pub(super) fn look(&mut self, now: Instant, seen: Seen) -> Next {
        if seen.begun != self.seen.begun {
            self.begun.get_or_insert(now);
        }
        if seen.bytes != self.seen.bytes {
            self.rest();
        }
        self.seen = seen;
        let since = *self.since.get_or_insert(now);
        if let Some(asked) = self.asked {
            let until = asked + self.patience();
            return if now < until { Next::At(until) } else { Next::Gone };
        }
        let due = self.due(since + self.silence);
        if now < due {
            return Next::At(due);
        }
        // What was said since the last one makes up for it.
        let last = self.last.filter(|(_, said)| *said == seen.said);
        self.lent = last.is_some_and(|(at, _)| self.lent || now < at + AGAIN);
        self.last = Some((now, seen.said));
        (self.asked, self.begun) = (Some(now), None);
        Next::Ask(now + self.patience())
    }

    /// When it may be asked, where it was silent for long enough at `silent`.
    fn due(&self, silent: Instant) -> Instant {
        let Some((last, _)) = self.last.filter(|(_, said)| *said == self.seen.said) else {
            return silent;
        };
        let again = silent.max(last + AGAIN);
        match self.begun {
            Some(begun) if !self.lent => again.min(silent.max(begun + self.silence)),
            _ => again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection whose endpoint answers each PING at once until `gone`, in seconds; streams begin and data
    /// comes at these. When it was asked, and when it was found gone.
    fn story(begun: &[u64], said: &[u64], gone: u64, until: u64) -> (Vec<u64>, Option<u64>) {
        let (start, mut beat) = (Instant::now(), Heartbeat::new(SILENCE));
        let (mut asked, mut pongs) = (Vec::new(), 0);
        for second in 0..until {
            let count = |moments: &[u64]| moments.iter().filter(|at| **at <= second).count() as u64;
            let heard = said.iter().filter(|at| **at <= second.min(gone)).count() as u64;
            let seen = Seen { bytes: heard + pongs, said: heard, begun: count(begun) };
            match beat.look(start + Duration::from_secs(second), seen) {
                Next::At(at) => assert!(at > start + Duration::from_secs(second)),
                Next::Ask(_) => {
                    asked.push(second);
                    pongs += u64::from(second < gone);
                }
                Next::Gone => return (asked, Some(second)),
            }
        }
        (asked, None)
    }

    const SILENCE: Duration = Duration::from_secs(10);

    #[test]
    fn who_is_gone_is_noticed_in_fifteen_seconds() {
        assert_eq!(story(&[0], &[], 0, 100), (vec![10], Some(15)));
        assert_eq!(story(&[0, 3], &[1, 2, 3, 4], 4, 100), (vec![14], Some(19)));
        let busy: Vec<_> = (0..100).collect();
        assert_eq!(story(&busy, &[1], 1, 100), (vec![11], Some(16)), "requests put nothing off");
    }

    #[test]
    fn who_answers_is_asked_as_rarely_as_grpc_wants_it() {
        // The first answer to a PING comes a second later.
        let (asked, gone) = story(&[0], &[], u64::MAX, 1_000);
        assert_eq!((asked, gone), (vec![10, 320, 630, 940], None));
        let said: Vec<_> = (0..1_000).step_by(20).collect();
        let (asked, gone) = story(&[0], &said, u64::MAX, 1_000);
        assert_eq!(asked.len(), 50, "data of its own makes up for each: {asked:?}");
        assert_eq!(gone, None);
    }

    #[test]
    fn a_new_stream_is_worth_one_more() {
        // Asked at 10, gone from 20 on, another request at 30.
        assert_eq!(story(&[0, 30], &[], 20, 100), (vec![10, 40], Some(45)));
        let many: Vec<_> = (0..300).collect();
        let (asked, gone) = story(&many, &[], u64::MAX, 300);
        assert_eq!((asked.len(), gone), (2, None), "and no more than one: {asked:?}");
    }

    #[test]
    fn rest_is_no_silence() {
        let (start, mut beat) = (Instant::now(), Heartbeat::new(SILENCE));
        let at = |second| start + Duration::from_secs(second);
        let seen = Seen { begun: 1, ..Seen::default() };
        assert_eq!(beat.look(at(0), seen), Next::At(at(10)));
        beat.rest();
        let seen = Seen { begun: 2, ..seen };
        assert_eq!(beat.look(at(100), seen), Next::At(at(110)));
        assert_eq!(beat.look(at(110), seen), Next::Ask(at(115)));
        assert_eq!(beat.look(at(110), seen), Next::At(at(115)));
        beat.rest();
        assert!(
            matches!(beat.look(at(200), seen), Next::At(_)),
            "it has answered, or all have left"
        );
    }
}
