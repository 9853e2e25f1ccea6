//! Each flood at full speed, one second after the other: cut, for what it is, within so many frames.

use super::wire::*;
use eclusa_wire::http2::Flood;

/// Runs `round` at 10,000 rounds a second, until the client is cut for `flood` within `most` of its frames.
fn cut(flood: Flood, most: u64, mut round: impl FnMut(&mut Wire, u32) -> Result<(), Flood>) {
    let mut wire = Wire::new();
    wire.client(HEADERS, END_HEADERS, 1, &[0; 40]).unwrap();
    for number in 0..1_000_000 {
        if let Err(found) = round(&mut wire, 2 * number + 3) {
            assert_eq!(found, flood, "after {} frames", wire.frames);
            assert!(wire.frames <= most, "{flood:?}: only after {} frames", wire.frames);
            assert_eq!(wire.counter.over(), Some(flood));
            let again = wire.client(DATA, END_STREAM, 1, &[]);
            assert_eq!(again, Err(flood), "once and for all");
            let goaway = wire.counter.goaway().unwrap();
            assert_eq!(goaway[16], if flood == Flood::FrameSize { 6 } else { 11 });
            return;
        }
        assert!(wire.frames < 2 * most, "{flood:?}: not cut after {} frames", wire.frames);
        if number % 10 == 0 {
            wire.wait(1);
        }
    }
}

#[test]
fn rapid_reset() {
    cut(Flood::RapidReset, 500, |wire, stream| {
        wire.client(HEADERS, END_STREAM | END_HEADERS, stream, &[0; 12])?;
        wire.client(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
    });
}

/// The streams end by our resets, which the client provokes.
#[test]
fn made_you_reset() {
    for (kind, payload) in [(WINDOW_UPDATE, &[0x7f, 0xff, 0xff, 0xff][..]), (DATA, &[0])] {
        cut(Flood::MadeReset, 400, |wire, stream| {
            wire.client(HEADERS, END_STREAM | END_HEADERS, stream, &[0; 12])?;
            wire.client(kind, 0, stream, payload)?;
            let code: u32 = if kind == DATA { 5 } else { 3 };
            wire.ours_or(RST_STREAM, 0, stream, &code.to_be_bytes())
        });
    }
}

/// The same by frames that tell by themselves.
#[test]
fn made_you_reset_by_frames_that_are_wrong() {
    cut(Flood::MadeReset, 200, |wire, stream| {
        wire.client(PRIORITY, 0, stream, &[&stream.to_be_bytes()[..], &[1]].concat())
    });
    cut(Flood::MadeReset, 200, |wire, stream| wire.client(PRIORITY, 0, stream, &[0; 4]));
    cut(Flood::MadeReset, 200, |wire, _| wire.client(WINDOW_UPDATE, 0, 1, &[0; 4]));
    cut(Flood::MadeReset, 200, |wire, stream| {
        wire.client(HEADERS, 0x25, stream, &[&stream.to_be_bytes()[..], &[0; 9]].concat())
    });
}

#[test]
fn streams_that_nobody_answers() {
    cut(Flood::Streams, 1_200, |wire, stream| {
        wire.client(HEADERS, END_STREAM | END_HEADERS, stream, &[0; 12])?;
        // There are too many at once.
        wire.ours_or(RST_STREAM, 0, stream, &7_u32.to_be_bytes())
    });
}

#[test]
fn continuations_without_end() {
    for length in [0, 1, 400, 1_500] {
        let mut open = false;
        cut(Flood::Continuation, 40, |wire, stream| {
            let head = if open { CONTINUATION } else { HEADERS };
            open = true;
            wire.client(head, 0, stream, &vec![0; length])
        });
    }
    let mut open = false;
    cut(Flood::HeaderBlock, 10, |wire, stream| {
        let head = if open { CONTINUATION } else { HEADERS };
        open = true;
        wire.client(head, 0, stream, &[0; 16 << 10])
    });
}

/// Blocks that end just in time, each in many pieces.
#[test]
fn many_blocks_in_pieces() {
    cut(Flood::Continuation, 120, |wire, stream| {
        wire.client(HEADERS, END_STREAM, stream, &[])?;
        for _ in 0..30 {
            wire.client(CONTINUATION, 0, stream, &[])?;
        }
        wire.client(CONTINUATION, END_HEADERS, stream, &[0; 12])?;
        wire.ours_or(HEADERS, END_STREAM | END_HEADERS, stream, &[0; 12])
    });
}

#[test]
fn frames_for_the_connection() {
    cut(Flood::Settings, 120, |wire, _| wire.client(SETTINGS, 0, 0, &[]));
    cut(Flood::Settings, 3, |wire, _| wire.client(SETTINGS, 0, 0, &[0; 16_380]));
    cut(Flood::SettingsAck, 10, |wire, _| wire.client(SETTINGS, ACK, 0, &[]));
    cut(Flood::Ping, 120, |wire, _| wire.client(PING, 0, 0, &[0; 8]));
    cut(Flood::Ping, 120, |wire, _| wire.client(PING, ACK, 0, &[0; 8]));
    cut(Flood::GoAway, 20, |wire, _| wire.client(GOAWAY, 0, 0, &[0; 8]));
    cut(Flood::Priority, 250, |wire, stream| wire.client(PRIORITY, 0, stream, &[0; 5]));
    cut(Flood::Priority, 250, |wire, _| wire.client(0x10, 0, 0, &[0; 9]));
    cut(Flood::Unknown, 120, |wire, stream| wire.client(0xee, 0, stream, &[0; 100]));
    cut(Flood::FrameSize, 2, |wire, _| wire.client(DATA, 0, 1, &[0; (16 << 10) + 1]));
}

#[test]
fn windows_that_drip() {
    cut(Flood::WindowUpdate, 3_000, |wire, _| {
        wire.client(WINDOW_UPDATE, 0, 0, &1_000_u32.to_be_bytes())
    });
    // Each step lets one byte of an answer through.
    cut(Flood::WindowUpdate, 3_000, |wire, _| {
        wire.client(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes())?;
        wire.ours_or(DATA, 0, 1, &[0])
    });
}

#[test]
fn data_without_data() {
    cut(Flood::DataEmpty, 60, |wire, _| wire.client(DATA, 0, 1, &[]));
    cut(Flood::DataPadded, 60, |wire, _| wire.client(DATA, 8, 1, &[3, 0, 0, 0]));
    cut(Flood::DataPadded, 60, |wire, _| wire.client(DATA, 8, 1, &[0]));
}

/// What the library cuts by limits of its own is counted too.
#[test]
fn limits_of_the_library() {
    cut(Flood::Library, 2, |wire, stream| {
        wire.client(HEADERS, END_STREAM | END_HEADERS, stream, &[0x80; 100])?;
        wire.ours_or(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11])
    });
}

/// A goodbye is said between two frames of ours or not at all, and names no stream behind one that an
/// earlier one has named.
#[test]
fn the_goodbye_fits_what_was_said_before() {
    let flood = |wire: &mut Wire| (0..9).find_map(|_| wire.client(SETTINGS, ACK, 0, &[]).err());
    let mut wire = Wire::new();
    for stream in [1, 7, 5] {
        wire.client(HEADERS, END_STREAM | END_HEADERS, stream, &[0; 12]).unwrap();
    }
    assert_eq!(wire.counter.goaway(), None, "there is nothing to say");
    assert_eq!(flood(&mut wire), Some(Flood::SettingsAck));
    assert_eq!(wire.counter.goaway().unwrap()[9..13], [0, 0, 0, 7]);
    let half = frame(DATA, 0, 1, &[0; 10]);
    let _ = wire.counter.sent(&half[..12]);
    assert_eq!(wire.counter.goaway(), None, "in the middle of a frame");
    let mut wire = Wire::new();
    wire.client(HEADERS, END_STREAM | END_HEADERS, 9, &[0; 12]).unwrap();
    wire.ours(GOAWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0]);
    flood(&mut wire);
    assert_eq!(wire.counter.goaway().unwrap()[9..13], [0, 0, 0, 3]);
}
