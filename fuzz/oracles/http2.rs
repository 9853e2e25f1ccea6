//! What must hold whatever frames the HTTP/2 counter is given, and whatever bytes the readers of gRPC.
//! Shared by the fuzz targets and by the replay of their corpora in `cargo test`.

use eclusa_wire::http2::grpc::{self, Fault, Messages, Status};
use eclusa_wire::http2::{Counter, Flood, Frames, Kind, Limits, PREFACE};
use std::time::Duration;

/// Small, so that short inputs reach them.
const FRAME_MAX: usize = 1000;
const BLOCK_MAX: usize = 3000;

/// What a client begins with.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// One thing after the other on a connection.
#[derive(Debug)]
enum Event {
    /// The client sends.
    In(Vec<u8>),
    /// We send.
    Out(Vec<u8>),
    /// Milliseconds pass.
    Wait(u64),
}

/// Panics if a property does not hold for `data`, as bytes of a client and as a program of frames.
pub fn check_frames(data: &[u8]) {
    check(&[Event::In([PREFACE, data].concat())]);
    check(&[Event::In([PREFACE, SETTINGS, data].concat())]);
    check(&[Event::In(PREFACE.to_vec()), Event::Out(data.to_vec())]);
    check(&program(data));
    as_read_plainly(data);
}

/// Frames made of four bytes each: who and how often, type, flags, length.
fn program(data: &[u8]) -> Vec<Event> {
    let mut events = vec![Event::In([PREFACE, SETTINGS].concat())];
    for step in data.chunks_exact(4).take(60) {
        let [who, kind, flags, length] = [step[0], step[1], step[2], step[3]];
        if who == 0xff {
            events.push(Event::Wait(u64::from(length) * 8));
            continue;
        }
        // Mostly types that there are.
        let kind = if kind < 0xf0 { kind % 12 } else { kind };
        let length = usize::from(length) * if who & 0x40 == 0 { 1 } else { 8 };
        let mut frame = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, who & 7]);
        // Payloads of small numbers: streams, codes, increments.
        frame.extend((0..length).map(|at| if at % 4 == 3 { flags >> 4 } else { 0 }));
        // Many of the small ones, or one that is large.
        let many = frame.repeat(if who & 0x20 == 0 || length > 40 { 1 } else { 40 });
        events.push(if who & 0x80 == 0 { Event::In(many) } else { Event::Out(many) });
    }
    events
}

/// What came of it: the flood, and how many bytes of the client were taken before.
type Met = (Option<Flood>, usize);

/// Runs the events; bytes come in pieces of `size`, and no more frames a turn than `budget`. A second
/// lasts as long as `pace` says.
fn run(events: &[Event], size: usize, budget: u32, pace: u64) -> Met {
    let mut counter = Counter::new(Limits::new(FRAME_MAX as u32, BLOCK_MAX as u32), 7);
    let (mut now, mut taken) = (7, 0);
    for event in events {
        match event {
            Event::Wait(passed) => now += passed * pace,
            Event::Out(bytes) => {
                for piece in bytes.chunks(size) {
                    let sent = counter.sent(piece);
                    assert_eq!(sent.err(), counter.over());
                }
            }
            Event::In(bytes) => {
                for mut piece in bytes.chunks(size) {
                    while !piece.is_empty() {
                        let mut left = budget;
                        match counter.received(piece, now, &mut left) {
                            Ok(used) => {
                                assert!(used == piece.len() || left == 0, "for no reason");
                                assert!(used > 0, "a turn must get on");
                                taken += used;
                                piece = &piece[used..];
                            }
                            Err(flood) => {
                                assert_eq!(counter.over(), Some(flood));
                                return (Some(flood), taken);
                            }
                        }
                    }
                }
            }
        }
    }
    (counter.over(), taken)
}

fn check(events: &[Event]) {
    let whole = run(events, usize::MAX, u32::MAX, 1);
    for (size, budget) in [(1, u32::MAX), (3, 1), (17, 9), (1000, 64)] {
        let pieces = run(events, size, budget, 1);
        assert_eq!(pieces.0, whole.0, "in pieces of {size}, {budget} frames a turn");
    }
    let slower = run(events, usize::MAX, u32::MAX, 10);
    assert!(whole.0.is_some() || slower.0.is_none(), "more time is more trouble: {slower:?}");
    let counts = Counts::of(events);
    match whole.0 {
        Some(flood) => assert!(counts.explain(flood), "{flood:?} without a cause: {counts:?}"),
        None => assert!(!counts.must_be_cut, "not cut: {counts:?}"),
    }
}

/// What a plain reader, which has all bytes at once, counts.
#[derive(Debug, Default)]
struct Counts {
    theirs: Vec<usize>,
    acks: [usize; 2],
    small: usize,
    resets: usize,
    settings: usize,
    too_long: bool,
    largest_block: usize,
    most_pieces: usize,
    calmed: bool,
    /// The first frame is no SETTINGS.
    unsettled: bool,
    /// There was so much that nothing can excuse it.
    must_be_cut: bool,
}

/// Types, flags and lengths, and whether enough of the payload is there to judge the frame.
fn read_plainly(bytes: &[u8]) -> Vec<(u8, u8, usize, bool)> {
    let (mut at, mut frames) = (0, Vec::new());
    while let Some(head) = bytes.get(at..at + 9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        // What tells what a frame is stands in the first bytes of its payload.
        let known = bytes.len() >= at + 9 + length.min(8);
        frames.push((head[3], head[4], length, known));
        at += 9 + length;
    }
    frames
}

impl Counts {
    fn of(events: &[Event]) -> Self {
        let all = |wanted: fn(&Event) -> Option<&Vec<u8>>| -> Vec<u8> {
            events.iter().filter_map(wanted).flatten().copied().collect()
        };
        let theirs = all(|event| if let Event::In(bytes) = event { Some(bytes) } else { None });
        let ours = all(|event| if let Event::Out(bytes) = event { Some(bytes) } else { None });
        let mut counts = Self { theirs: vec![0; 256], ..Self::default() };
        let (mut block, mut pieces) = (0, 0);
        let frames = read_plainly(theirs.get(PREFACE.len()..).unwrap_or_default());
        let unsettled = |(kind, flags, _, known): (u8, u8, usize, bool)| {
            ((kind, flags & 1) != (4, 0)).then_some(known)
        };
        let unsettled = frames.first().copied().and_then(unsettled);
        counts.unsettled = unsettled.is_some();
        counts.must_be_cut = unsettled == Some(true);
        for (kind, flags, length, known) in frames {
            counts.theirs[usize::from(kind)] += 1;
            counts.too_long |= length > FRAME_MAX;
            match kind {
                1 => (block, pieces) = (length, 0),
                9 => {
                    (block, pieces) = (block + length, pieces + 1);
                    counts.small += usize::from(length < 1024 && flags & 4 == 0);
                }
                4 if flags & 1 != 0 => counts.acks[0] += 1,
                6 if flags & 1 != 0 => counts.acks[1] += 1,
                4 => counts.settings += 1 + length / 36,
                _ => {}
            }
            counts.largest_block = counts.largest_block.max(block);
            counts.most_pieces = counts.most_pieces.max(pieces);
            let too_much = length > FRAME_MAX || block > BLOCK_MAX || pieces > 32;
            counts.must_be_cut |= known && too_much;
        }
        for (kind, ..) in read_plainly(&ours) {
            counts.resets += usize::from(kind == 3);
            counts.calmed |= kind == 7;
        }
        counts
    }

    /// Whether there was as much as a cut needs at least.
    fn explain(&self, flood: Flood) -> bool {
        let of = |kind: usize| self.theirs[kind];
        match flood {
            Flood::RapidReset => of(3) > 200,
            Flood::MadeReset => self.resets + of(1) + of(2) + of(8) > 100,
            Flood::Streams => of(1) > 1000,
            Flood::Continuation => self.most_pieces > 32 || self.small > 64,
            Flood::HeaderBlock => self.largest_block > BLOCK_MAX,
            Flood::Settings => self.settings > 100,
            Flood::SettingsAck => self.acks[0] > 8,
            Flood::Ping => of(6) > 100,
            Flood::Priority => of(2) + of(0x10) > 200,
            Flood::WindowUpdate => of(8) * 3 > 2000,
            Flood::DataEmpty | Flood::DataPadded => of(0) > 50,
            Flood::Unknown => of(5) + self.theirs[10..].iter().sum::<usize>() - of(0x10) > 100,
            Flood::GoAway => of(7) > 10,
            Flood::FrameSize => self.too_long,
            Flood::NoSettings => self.unsettled,
            Flood::Library => self.calmed,
            other => panic!("nothing is known of {other:?}"),
        }
    }
}

/// The frames themselves, read in pieces, are those that a plain reader finds.
fn as_read_plainly(data: &[u8]) {
    let plain = read_plainly(data);
    for size in [1, 5, 13, usize::MAX] {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        for mut piece in data.chunks(size) {
            while !piece.is_empty() {
                let (used, frame) = frames.next(piece);
                assert!(used > 0 || frame.is_some());
                found.extend(frame);
                piece = &piece[used..];
            }
        }
        let known = plain.iter().filter(|(.., known)| *known).count();
        assert!((known..=plain.len()).contains(&found.len()), "in pieces of {size}");
        for (found, (kind, flags, length, _)) in found.iter().zip(&plain) {
            assert_eq!(found.kind, Kind::from(*kind));
            assert_eq!((found.flags, found.length as usize), (*flags, *length));
        }
    }
}

/// Panics if a property does not hold for `data`, as messages, as a timeout, a status and a text.
pub fn check_grpc(data: &[u8]) {
    let most = 300;
    let whole = plain_messages(data, most);
    for size in [1, 4, 7, usize::MAX] {
        let mut messages = Messages::new(most);
        let read = data.chunks(size).try_for_each(|piece| messages.read(piece));
        match (whole, read) {
            (Ok((count, between)), Ok(())) => {
                assert_eq!((messages.whole(), messages.is_between()), (count, between));
            }
            (Err(expected), Err(fault)) => {
                assert_eq!(fault, expected);
                assert_eq!(messages.read(b"more"), Err(expected));
            }
            other => panic!("in pieces of {size}: {other:?}"),
        }
    }
    assert_eq!(grpc::timeout(data), plain_timeout(data));
    let text = std::str::from_utf8(data).ok();
    let number =
        text.and_then(|text| text.parse::<usize>().ok().filter(|it| it.to_string() == text));
    assert_eq!(
        Status::read(data).map(|status| usize::from(status.code())),
        number.filter(|it| *it < 17)
    );
    if let Some(time) = grpc::timeout(data) {
        let written = grpc::write_timeout(time);
        let read = grpc::timeout(written.as_bytes()).expect("a timeout");
        assert!(
            read >= time && read - time <= (time / 100_000).max(Duration::from_nanos(1)),
            "{written}, not {time:?}"
        );
    }
}

/// Complete messages, and whether the last one is.
fn plain_messages(data: &[u8], most: u32) -> Result<(u64, bool), Fault> {
    let (mut rest, mut count) = (data, 0);
    while let Some(flag) = rest.first() {
        if *flag > 1 {
            return Err(Fault::Flag);
        }
        let Some(length) = rest.get(1..5) else { return Ok((count, false)) };
        let length = u32::from_be_bytes(length.try_into().unwrap());
        if length > most {
            return Err(Fault::TooLong);
        }
        let Some(behind) = rest.get(5 + length as usize..) else { return Ok((count, false)) };
        (rest, count) = (behind, count + 1);
    }
    Ok((count, true))
}

fn plain_timeout(data: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(data).ok()?;
    let unit = text.chars().last().filter(char::is_ascii)?;
    let digits = &text[..text.len() - 1];
    let fits = (1..=8).contains(&digits.len()) && digits.chars().all(|it| it.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| fits)?;
    let nanoseconds: u64 = match unit {
        'H' => 3_600_000_000_000,
        'M' => 60_000_000_000,
        'S' => 1_000_000_000,
        'm' => 1_000_000,
        'u' => 1_000,
        'n' => 1,
        _ => return None,
    };
    let all = u128::from(number) * u128::from(nanoseconds);
    Some(Duration::new(u64::try_from(all / 1_000_000_000).ok()?, (all % 1_000_000_000) as u32))
}
