//! A small message goes to an endpoint in one write with its head, and waits where the endpoint has no room.

use super::upstream::{ENDPOINT, MORE};
use crate::bed::{Bed, PLAIN};
use e2e::plain::try_connect;
use e2e::product::PATIENCE;
use eclusa_testkit::http2::hpack::{Field, block};
use eclusa_testkit::http2::{Client, Frame, PREFACE, Seen, flag, kind, setting};
use eclusa_testkit::netns::skipped;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const MESSAGE: &[u8] = b"a small message";

/// The edge's connection, at an endpoint that does everything by hand.
struct Edge {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Edge {
    fn accept(listener: &TcpListener) -> Self {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut preface = vec![0; PREFACE.len()];
        stream.read_exact(&mut preface).unwrap();
        assert_eq!(preface, PREFACE);
        Self { stream, bytes: Vec::new() }
    }

    fn say(&mut self, frame: &Frame) {
        self.stream.write_all(&frame.bytes()).unwrap();
    }

    /// The frames of one read after the other, up to that in which one comes that fits.
    fn until(&mut self, fits: impl Fn(&Frame) -> bool) -> Vec<Vec<Frame>> {
        let mut reads = Vec::new();
        loop {
            let mut room = [0; 4 << 10];
            let count = self.stream.read(&mut room).unwrap();
            assert!(count > 0, "the edge has closed the connection");
            self.bytes.extend_from_slice(&room[..count]);
            let frames: Vec<_> = std::iter::from_fn(|| Frame::take(&mut self.bytes)).collect();
            let is_there = frames.iter().any(&fits);
            reads.push(frames);
            if is_there {
                return reads;
            }
        }
    }

    /// Until all that was said is heard.
    fn round_trip(&mut self) -> Vec<Vec<Frame>> {
        self.say(&Frame::new(kind::PING, 0, 0, [0; 8]));
        self.until(|frame| (frame.kind, frame.flags) == (kind::PING, flag::ACK))
    }

    fn answer(&mut self, stream: u32) {
        // `:status: 200`.
        let flags = flag::END_HEADERS | flag::END_STREAM;
        self.say(&Frame::new(kind::HEADERS, flags, stream, [0x88]));
    }
}

/// Head and message of a request in one write.
fn ask(client: &mut Client, stream: u32) {
    let fields = [
        Field::new(":method", "POST"),
        Field::new(":scheme", "http"),
        Field::new(":authority", "app.test"),
        Field::new(":path", "/two"),
    ];
    let head = Frame::new(kind::HEADERS, flag::END_HEADERS, stream, block(&fields));
    let message = Frame::new(kind::DATA, flag::END_STREAM, stream, MESSAGE);
    client.say(&[head.bytes(), message.bytes()].concat());
}

fn is_answered(client: &mut Client, stream: u32) -> bool {
    let answered = |seen: &Seen| seen.streams.get(&stream).is_some_and(|it| it.head().is_some());
    client.hear_until(PATIENCE, answered)
}

#[test]
fn a_small_message_goes_with_its_head_and_waits_without_a_window() {
    if skipped("a_small_message_goes_with_its_head_and_waits_without_a_window") {
        return;
    }
    let bed = Bed::without_nginx(MORE);
    let listener = bed.worker().enter(|| TcpListener::bind(ENDPOINT)).unwrap();
    let stream = try_connect(&bed.client, PLAIN, PATIENCE).unwrap();
    let mut client = Client::plain(stream).unwrap();
    client.greet(&[]);
    ask(&mut client, 1);
    let mut edge = Edge::accept(&listener);
    edge.say(&Frame::settings(&[]));
    let is_message = |frame: &Frame| (frame.kind, frame.flags) == (kind::DATA, flag::END_STREAM);
    let reads = edge.until(is_message);
    let last = reads.last().unwrap();
    let head = last.iter().find(|frame| frame.kind == kind::HEADERS);
    let stream = head.unwrap_or_else(|| panic!("in several writes: {reads:?}")).stream;
    assert_eq!(last.iter().find(|frame| is_message(frame)).unwrap().payload, MESSAGE);
    edge.answer(stream);
    assert!(is_answered(&mut client, 1));

    edge.say(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]));
    edge.round_trip();
    ask(&mut client, 3);
    let mut reads = edge.until(|frame| frame.kind == kind::HEADERS);
    let stream = stream + 2;
    reads.extend(edge.round_trip());
    let begun = reads.iter().flatten().filter(|frame| frame.kind == kind::DATA).count();
    assert_eq!(begun, 0, "there was no room: {reads:?}");
    edge.say(&Frame::window_update(stream, 1_000));
    let reads = edge.until(is_message);
    assert_eq!(reads.last().unwrap().last().unwrap().payload, MESSAGE);
    edge.answer(stream);
    assert!(is_answered(&mut client, 3));
}
