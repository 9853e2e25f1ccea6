//! Does what a case says, step by step.

use super::script::{Step, Wait, request};
use eclusa_testkit::http2::hpack::block;
use eclusa_testkit::http2::{Client, Frame, Seen, flag, kind, setting};
use std::time::Duration;

/// How long a step may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a case could be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    Yes,
    /// The other side has settings with which it says nothing.
    No,
}

/// Does all that a case says. What does not come in time is told by what has come.
pub(super) fn run(client: &mut Client, steps: &[Step], scheme: &str) -> Result<Tried, String> {
    let mut told = 0;
    for step in steps {
        match step {
            Step::Greet(settings) => {
                client.greet(settings);
                told += 1;
            }
            Step::Tell(settings) => {
                client.tell(settings);
                told += 1;
            }
            Step::Bytes(bytes) => client.say(bytes),
            Step::Frame(frame) => client.send(frame),
            Step::Only(id, most) => {
                client.round_trip(PATIENCE);
                if value(client, *id).is_some_and(|value| value > *most) {
                    return Ok(Tried::No);
                }
            }
            Step::Exceed if !exceed(client, scheme) => return Ok(Tried::No),
            Step::Exceed => {}
            Step::Feed(stream) => feed(client, *stream),
            Step::Wait(wait) => {
                if !waited(client, *wait, told) {
                    let seen = client.seen().told_in_words();
                    return Err(format!("waited for {wait:?} in vain: {seen}"));
                }
            }
        }
    }
    Ok(Tried::Yes)
}

/// Opens one stream more than the other side allows; whether it says how many it does.
fn exceed(client: &mut Client, scheme: &str) -> bool {
    client.round_trip(PATIENCE);
    let Some(most) = value(client, setting::MAX_CONCURRENT_STREAMS) else { return false };
    let content = block(&request("POST", scheme, b"/length"));
    for number in 0..=most {
        let content = content.clone();
        client.send(&Frame::new(kind::HEADERS, flag::END_HEADERS, 2 * number + 1, content));
    }
    true
}

/// Sends bytes until there is an answer, or long enough.
fn feed(client: &mut Client, stream: u32) {
    for _ in 0..1000 {
        client.send(&Frame::new(kind::DATA, 0, stream, *b"x"));
        let answered =
            |seen: &Seen| seen.streams.get(&stream).is_some_and(|it| it.head().is_some());
        if !client.round_trip(PATIENCE) || answered(client.seen()) {
            return;
        }
    }
}

/// The other side's setting.
fn value(client: &Client, id: u16) -> Option<u32> {
    client.seen().settings.iter().rfind(|(found, _)| *found == id).map(|(_, value)| *value)
}

fn waited(client: &mut Client, wait: Wait, told: usize) -> bool {
    let stream = |number: u32| move |seen: &Seen| seen.streams.get(&number).cloned();
    match wait {
        Wait::RoundTrip => client.round_trip(PATIENCE),
        Wait::Acknowledgement => client.hear_until(PATIENCE, |seen| seen.acknowledged >= told),
        Wait::GoAway => client.hear_until(PATIENCE, |seen| !seen.goaways.is_empty()),
        Wait::Head(number) => client.hear_until(PATIENCE, |seen| {
            stream(number)(seen).is_some_and(|stream| stream.head().is_some())
        }),
        Wait::End(number) => client
            .hear_until(PATIENCE, |seen| stream(number)(seen).is_some_and(|stream| stream.ended)),
        Wait::Data(number, count) => {
            let length = |seen: &Seen| stream(number)(seen).map_or(0, |stream| stream.body.len());
            // No more of them, as far as a PING and back tells.
            client.hear_until(PATIENCE, |seen| length(seen) >= count)
                && client.round_trip(PATIENCE)
                && length(client.seen()) == count
        }
    }
}
