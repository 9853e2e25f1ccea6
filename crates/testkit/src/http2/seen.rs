//! What the other side has said, frame by frame, and what it must not have said.

use super::frame::{Frame, flag, kind, name_of_code, setting};
use super::head::{Head, fault, response};
use super::hpack::Decoder;
use std::collections::BTreeMap;

/// The largest frame that may come: this client never allows more (RFC 9113, section 4.2).
const FRAME_MAX: usize = 16_384;

/// The window of a connection, and of a stream until something else is told (RFC 9113, section 6.9.2).
const WINDOW: i64 = 65_535;

/// What has come on a stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Heads of responses: interim ones, and the final one.
    pub heads: Vec<Head>,
    /// All DATA.
    pub body: Vec<u8>,
    /// The fields behind the body.
    pub trailers: Option<Vec<(String, Vec<u8>)>>,
    /// END_STREAM has come.
    pub ended: bool,
    /// The code of RST_STREAM.
    pub reset: Option<u32>,
    /// What the other side may still send.
    window: i64,
}

impl Stream {
    /// The final head.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.heads.last().filter(|head| head.status >= 200)
    }
}

/// GOAWAY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAway {
    /// The last stream that was looked at.
    pub last: u32,
    /// Why.
    pub code: u32,
    /// In other words.
    pub words: String,
}

/// All that has come on a connection.
#[derive(Debug)]
pub struct Seen {
    /// By number.
    pub streams: BTreeMap<u32, Stream>,
    /// Acknowledgements of our settings.
    pub acknowledged: usize,
    /// Payloads of acknowledged PINGs.
    pub pings: Vec<Vec<u8>>,
    /// In their order.
    pub goaways: Vec<GoAway>,
    /// The settings of the other side.
    pub settings: Vec<(u16, u32)>,
    /// WINDOW_UPDATEs: stream and increment.
    pub updates: Vec<(u32, u32)>,
    /// What the other side has done that it must not do.
    pub violations: Vec<String>,
    decoder: Decoder,
    /// Settings of ours that are not acknowledged yet.
    told: Vec<Vec<(u16, u32)>>,
    /// The block that is not complete: its stream, END_STREAM, its bytes.
    block: Option<(u32, bool, Vec<u8>)>,
    initial_window: i64,
    window: i64,
    is_first: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            streams: BTreeMap::new(),
            acknowledged: 0,
            pings: Vec::new(),
            goaways: Vec::new(),
            settings: Vec::new(),
            updates: Vec::new(),
            violations: Vec::new(),
            decoder: Decoder::default(),
            told: Vec::new(),
            block: None,
            initial_window: WINDOW,
            window: WINDOW,
            is_first: true,
        }
    }
}

impl Seen {
    /// The GOAWAY that says an error.
    #[must_use]
    pub fn failure(&self) -> Option<&GoAway> {
        self.goaways.iter().find(|goaway| goaway.code != 0)
    }

    /// The window of a new stream.
    #[must_use]
    pub fn stream_window(&self) -> i64 {
        self.initial_window
    }

    /// We have told these settings.
    pub(super) fn told(&mut self, settings: Vec<(u16, u32)>) {
        self.told.push(settings);
    }

    /// We have let so many more bytes come.
    pub(super) fn allowed(&mut self, stream: u32, increment: u32) {
        if stream == 0 {
            self.window += i64::from(increment);
        } else {
            self.stream(stream).window += i64::from(increment);
        }
    }

    /// Takes a frame in; the frame to answer it with, if there is one.
    pub(super) fn take(&mut self, frame: &Frame) -> Option<Frame> {
        if std::mem::take(&mut self.is_first) && (frame.kind, frame.flags) != (kind::SETTINGS, 0) {
            self.wrong(format!("3.4: the first frame is of type {}", frame.kind));
        }
        if frame.payload.len() > FRAME_MAX {
            self.wrong(format!("4.2: a frame of {} bytes", frame.payload.len()));
        }
        let open = self.block.as_ref().map(|block| block.0);
        let continues = frame.kind == kind::CONTINUATION;
        let is_next = continues && open == Some(frame.stream);
        if is_next != (open.is_some() || continues) {
            self.wrong(format!("6.10: type {} while a block is {open:?}", frame.kind));
            return None;
        }
        match frame.kind {
            kind::DATA => self.data(frame),
            kind::HEADERS => self.headers(frame),
            kind::CONTINUATION => self.more_headers(frame),
            kind::RST_STREAM => self.reset(frame),
            kind::SETTINGS => return self.settings(frame),
            kind::PING if frame.flags & flag::ACK == 0 => {
                return Some(Frame::new(kind::PING, flag::ACK, 0, frame.payload.clone()));
            }
            kind::PING => self.pings.push(frame.payload.clone()),
            kind::GOAWAY => self.goaway(frame),
            kind::WINDOW_UPDATE => self.window_update(frame),
            kind::PUSH_PROMISE => self.wrong("8.4: PUSH_PROMISE, although we forbid it".into()),
            // PRIORITY and what is unknown means nothing here (sections 4.1 and 5.3.2).
            _ => {}
        }
        None
    }

    fn wrong(&mut self, what: String) {
        self.violations.push(what);
    }

    fn stream(&mut self, number: u32) -> &mut Stream {
        let window = self.initial_window;
        self.streams.entry(number).or_insert_with(|| Stream {
            heads: Vec::new(),
            body: Vec::new(),
            trailers: None,
            ended: false,
            reset: None,
            window,
        })
    }

    /// The stream, on which something has come that may come only before its end.
    fn open(&mut self, frame: &Frame, what: &str) -> Option<&mut Stream> {
        let number = frame.stream;
        if number.is_multiple_of(2) {
            self.wrong(format!("5.1.1: {what} on stream {number}"));
            return None;
        }
        if self.stream(number).ended || self.stream(number).reset.is_some() {
            self.wrong(format!("5.1: {what} behind the end of stream {number}"));
            return None;
        }
        Some(self.stream(number))
    }

    fn data(&mut self, frame: &Frame) {
        let Some(content) = unpadded(frame) else {
            return self.wrong("6.1: DATA with more padding than bytes".into());
        };
        let length = i64::try_from(frame.payload.len()).unwrap_or(i64::MAX);
        self.window -= length;
        if self.window < 0 {
            self.wrong("6.9: DATA beyond the connection's window".into());
        }
        let Some(stream) = self.open(frame, "DATA") else { return };
        stream.window -= length;
        let is_beyond = stream.window < 0 && length > 0;
        let is_early = stream.head().is_none();
        stream.body.extend(content);
        stream.ended = frame.flags & flag::END_STREAM != 0;
        if is_beyond {
            self.wrong(format!("6.9: DATA beyond the window of stream {}", frame.stream));
        }
        if is_early {
            self.wrong(format!("8.1: DATA before the final head on stream {}", frame.stream));
        }
        self.check_length(frame.stream);
    }

    fn headers(&mut self, frame: &Frame) {
        let Some(mut content) = unpadded(frame) else {
            return self.wrong("6.2: HEADERS with more padding than bytes".into());
        };
        if frame.flags & flag::PRIORITY != 0 {
            content = content.get(5..).unwrap_or_default();
        }
        let ends = frame.flags & flag::END_STREAM != 0;
        self.block = Some((frame.stream, ends, content.to_vec()));
        if frame.flags & flag::END_HEADERS != 0 {
            self.end_block(frame);
        }
    }

    fn more_headers(&mut self, frame: &Frame) {
        if let Some((_, _, block)) = &mut self.block {
            block.extend_from_slice(&frame.payload);
        }
        if frame.flags & flag::END_HEADERS != 0 {
            self.end_block(frame);
        }
    }

    fn end_block(&mut self, frame: &Frame) {
        let Some((number, ends, block)) = self.block.take() else { return };
        let fields = match self.decoder.decode(&block) {
            Ok(fields) => fields,
            Err(why) => return self.wrong(format!("RFC 7541: {why}")),
        };
        let mut wrong = Vec::new();
        let fields = fields.into_iter().map(|(name, value)| {
            let name = String::from_utf8_lossy(&name).into_owned();
            wrong.extend(fault(&name, &value));
            (name, value)
        });
        let fields: Vec<_> = fields.collect();
        let Some(stream) = self.open(frame, "HEADERS") else { return };
        stream.ended = ends;
        if stream.head().is_some() {
            if !ends {
                wrong.push("8.1: trailers without END_STREAM".into());
            }
            if fields.iter().any(|(name, _)| name.starts_with(':')) {
                wrong.push("8.1: a pseudo-header in trailers".into());
            }
            stream.trailers = Some(fields);
        } else {
            match response(fields) {
                Ok(head) if ends && head.status < 200 => wrong.push("8.1: 1xx at the end".into()),
                Ok(head) => stream.heads.push(head),
                Err(why) => wrong.push(why),
            }
        }
        self.violations.extend(wrong);
        self.check_length(number);
    }

    /// RFC 9113, section 8.1.1: the length that a response says is that of its DATA.
    fn check_length(&mut self, number: u32) {
        let stream = self.stream(number);
        let Some(head) = stream.head().filter(|_| stream.ended) else { return };
        let said = head.field("content-length").map(|value| String::from_utf8_lossy(value));
        let is_wrong = said.is_some_and(|said| said != stream.body.len().to_string());
        // A response to HEAD says a length and has none.
        if is_wrong && !stream.body.is_empty() {
            self.wrong(format!("8.1.1: content-length lies on stream {number}"));
        }
    }

    fn reset(&mut self, frame: &Frame) {
        match <[u8; 4]>::try_from(&frame.payload[..]) {
            Ok(code) => self.stream(frame.stream).reset = Some(u32::from_be_bytes(code)),
            Err(_) => self.wrong("6.4: RST_STREAM of a wrong length".into()),
        }
    }

    fn settings(&mut self, frame: &Frame) -> Option<Frame> {
        if frame.flags & flag::ACK != 0 {
            self.acknowledged += 1;
            if self.told.is_empty() {
                self.wrong("6.5.3: an acknowledgement of nothing".into());
            } else {
                let settings = self.told.remove(0);
                self.apply(&settings);
            }
            return None;
        }
        for six in frame.payload.chunks(6) {
            let Ok([a, b, c, d, e, f]) = <[u8; 6]>::try_from(six) else {
                self.wrong("6.5: SETTINGS of a wrong length".into());
                break;
            };
            self.settings.push((u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])));
        }
        Some(Frame::new(kind::SETTINGS, flag::ACK, 0, []))
    }

    /// Settings of ours are in force.
    fn apply(&mut self, settings: &[(u16, u32)]) {
        for (id, value) in settings {
            match *id {
                setting::HEADER_TABLE_SIZE => self.decoder.set_limit(*value as usize),
                setting::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(*value) - self.initial_window;
                    self.initial_window += change;
                    self.streams.values_mut().for_each(|stream| stream.window += change);
                }
                _ => {}
            }
        }
    }

    fn goaway(&mut self, frame: &Frame) {
        let Some((eight, words)) = frame.payload.split_first_chunk::<8>() else {
            return self.wrong("6.8: GOAWAY of a wrong length".into());
        };
        let [a, b, c, d, e, f, g, h] = *eight;
        let goaway = GoAway {
            last: u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff,
            code: u32::from_be_bytes([e, f, g, h]),
            words: String::from_utf8_lossy(words).into_owned(),
        };
        if self.goaways.last().is_some_and(|before| goaway.last > before.last) {
            self.wrong("6.8: the last stream of a later GOAWAY is higher".into());
        }
        self.goaways.push(goaway);
    }

    fn window_update(&mut self, frame: &Frame) {
        match <[u8; 4]>::try_from(&frame.payload[..]).map(u32::from_be_bytes) {
            Ok(increment @ 1..) => self.updates.push((frame.stream, increment)),
            _ => self.wrong("6.9: a WINDOW_UPDATE of nothing".into()),
        }
    }

    /// What has come, in words.
    #[must_use]
    pub fn told_in_words(&self) -> String {
        let mut words = Vec::new();
        for (number, stream) in &self.streams {
            let statuses: Vec<_> = stream.heads.iter().map(|head| head.status).collect();
            let end = match (stream.reset, stream.ended) {
                (Some(code), _) => format!("reset with {}", name_of_code(code)),
                (None, true) => "ended".into(),
                (None, false) => "open".into(),
            };
            words.push(format!("stream {number}: {statuses:?} {} bytes {end}", stream.body.len()));
        }
        for goaway in &self.goaways {
            let code = name_of_code(goaway.code);
            words.push(format!("GOAWAY {code} {:?} last {}", goaway.words, goaway.last));
        }
        words.push(format!("{} PINGs answered", self.pings.len()));
        words.join(", ")
    }
}

/// The content of a frame that may be padded; `None`: the padding is longer.
fn unpadded(frame: &Frame) -> Option<&[u8]> {
    if frame.flags & flag::PADDED == 0 {
        return Some(&frame.payload);
    }
    let (padding, rest) = frame.payload.split_first()?;
    rest.len().checked_sub(usize::from(*padding)).map(|length| &rest[..length])
}

#[cfg(test)]
mod tests {
    use super::super::hpack::{Field, block};
    use super::*;

    const SETTINGS: fn() -> Frame = || Frame::settings(&[]);

    fn head(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Frame {
        let fields: Vec<_> = fields.iter().map(|(name, value)| Field::new(name, value)).collect();
        Frame::new(kind::HEADERS, flags | flag::END_HEADERS, stream, block(&fields))
    }

    fn data(stream: u32, flags: u8, length: usize) -> Frame {
        Frame::new(kind::DATA, flags, stream, vec![b'x'; length])
    }

    fn seen(frames: &[Frame]) -> Seen {
        let mut seen = Seen::default();
        for frame in frames {
            seen.take(frame);
        }
        seen
    }

    #[test]
    fn a_right_answer_violates_nothing() {
        let seen = seen(&[
            SETTINGS(),
            head(1, 0, &[(":status", "103"), ("link", "x")]),
            head(1, 0, &[(":status", "200"), ("content-length", "3")]),
            data(1, 0, 3),
            head(1, flag::END_STREAM, &[("x-sum", "1")]),
        ]);
        assert_eq!(seen.violations, Vec::<String>::new());
        let stream = &seen.streams[&1];
        assert_eq!((stream.heads.len(), stream.body.len(), stream.ended), (2, 3, true));
        assert_eq!(stream.trailers.as_ref().map(Vec::len), Some(1));
    }

    #[test]
    fn what_must_not_come_is_told() {
        let ok = || head(1, 0, &[(":status", "200")]);
        let (status, end) = ((":status", "200"), flag::END_STREAM);
        let wrong: [(&str, Vec<Frame>); 14] = [
            ("3.4", vec![Frame::new(kind::PING, 0, 0, [0; 8])]),
            ("4.2", vec![SETTINGS(), ok(), data(1, 0, 16_385)]),
            ("5.1", vec![SETTINGS(), ok(), data(1, end, 1), data(1, 0, 1)]),
            ("5.1.1", vec![SETTINGS(), head(2, 0, &[status])]),
            ("6.5.3", vec![SETTINGS(), Frame::new(kind::SETTINGS, flag::ACK, 0, [])]),
            ("6.9", [vec![SETTINGS(), ok()], vec![data(1, 0, 16_384); 4]].concat()),
            ("6.9", vec![SETTINGS(), Frame::window_update(0, 0)]),
            ("6.10", vec![SETTINGS(), Frame::new(kind::CONTINUATION, 0, 1, [])]),
            ("8.1", vec![SETTINGS(), data(1, 0, 1)]),
            (
                "8.1.1",
                vec![SETTINGS(), head(1, 0, &[status, ("content-length", "2")]), data(1, end, 1)],
            ),
            ("8.2", vec![SETTINGS(), head(1, 0, &[status, ("X-A", "b")])]),
            ("8.2", vec![SETTINGS(), head(1, 0, &[status, ("connection", "close")])]),
            ("8.3.2", vec![SETTINGS(), head(1, 0, &[("x-a", "b")])]),
            ("RFC 7541", vec![SETTINGS(), Frame::new(kind::HEADERS, flag::END_HEADERS, 1, [0x80])]),
        ];
        for (section, frames) in wrong {
            let violations = seen(&frames).violations;
            let is_it =
                violations.first().is_some_and(|first| first.starts_with(&format!("{section}: ")));
            assert!(is_it, "{section}: {violations:?}");
        }
    }

    #[test]
    fn windows_follow_the_settings() {
        let mut seen = Seen::default();
        seen.take(&SETTINGS());
        seen.told(vec![(setting::INITIAL_WINDOW_SIZE, 2)]);
        seen.take(&Frame::new(kind::SETTINGS, flag::ACK, 0, []));
        seen.take(&head(1, 0, &[(":status", "200")]));
        seen.take(&data(1, 0, 2));
        assert_eq!(seen.violations, Vec::<String>::new());
        seen.allowed(1, 1);
        seen.take(&data(1, 0, 1));
        assert_eq!(seen.violations, Vec::<String>::new());
        seen.take(&data(1, 0, 1));
        assert_eq!(seen.violations.len(), 1, "{:?}", seen.violations);
    }
}
