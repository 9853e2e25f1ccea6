//! The bodies of a fake apiserver's answers.

use super::shared::{Gauge, Held, Phase, Shared};
use crate::stream::Stream;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Interval;

/// Bytes of a blob made at once.
const PART: u64 = 16 * 1024;

/// What an answer carries. While it stands it counts as a running request, or as a watch.
pub(super) struct Answer {
    content: Content,
    _held: Held,
}

enum Content {
    Whole(Option<Bytes>),
    Blob { stream: Stream, offset: u64, length: u64 },
    Watch(Box<Watch>),
}

impl Answer {
    pub(super) fn whole(bytes: impl Into<Bytes>, running: Held) -> Self {
        Self { content: Content::Whole(Some(bytes.into())), _held: running }
    }

    pub(super) fn blob(seed: u64, length: u64, running: Held) -> Self {
        let stream = Stream::new(seed);
        Self { content: Content::Blob { stream, offset: 0, length }, _held: running }
    }

    pub(super) fn watch(shared: &Arc<Shared>, wish: Wish) -> Self {
        Self {
            content: Content::Watch(Box::new(Watch::new(shared, wish))),
            _held: Held::new(shared, Gauge::Watches),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut self.get_mut().content {
            Content::Whole(bytes) => bytes.take(),
            Content::Blob { stream, offset, length } => {
                let part = PART.min(*length - *offset);
                let bytes = (part > 0).then(|| stream.bytes(*offset, part as usize).into());
                *offset += part;
                bytes
            }
            Content::Watch(watch) => ready!(watch.poll_event(cx)),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Blob { offset, length, .. } => offset == length,
            Content::Watch(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Blob { offset, length, .. } => SizeHint::with_exact(length - offset),
            Content::Watch(_) => SizeHint::default(),
        }
    }
}

/// What a watch asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// Events a second; zero: none at all.
    pub(super) rate: f64,
    /// How many; `None`: endless.
    pub(super) events: Option<u64>,
    /// Bytes that each event is made longer by.
    pub(super) pad: usize,
}

struct Watch {
    /// `None`: no event ever comes.
    clock: Option<Interval>,
    wish: Wish,
    sent: u64,
    master: String,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Watch {
    fn new(shared: &Arc<Shared>, wish: Wish) -> Self {
        let settings = &shared.settings;
        let grace = settings.watch_grace.min(settings.grace);
        let mut phase = shared.phase.subscribe();
        let end = Box::pin(async move {
            let _ = phase.wait_for(|phase| *phase >= Phase::Closed).await;
            tokio::time::sleep(grace).await;
        });
        let clock = (wish.rate > 0.0)
            .then(|| Duration::try_from_secs_f64(1.0 / wish.rate).ok())
            .flatten()
            .map(|period| tokio::time::interval(period.max(Duration::from_nanos(1))));
        Self { clock, wish, sent: 0, master: settings.name.clone(), end }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.wish.events == Some(self.sent) || self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let Some(clock) = &mut self.clock else { return Poll::Pending };
        ready!(clock.poll_tick(cx));
        let event = self.event();
        self.sent += 1;
        Poll::Ready(Some(event.into()))
    }

    /// One line: a number that grows by one, and the time in milliseconds since 1970.
    fn event(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as u64);
        let mut event = serde_json::json!({
            "type": "MODIFIED", "master": self.master, "n": self.sent, "at_ms": now,
        });
        if self.wish.pad > 0 {
            event["pad"] = "x".repeat(self.wish.pad).into();
        }
        format!("{event}\n")
    }
}
