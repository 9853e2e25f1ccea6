//! Clients that mean well, busier than any that was seen. None is cut.

use super::wire::*;
use eclusa_wire::http2::Flood;

type Met = Result<(), Flood>;

/// `h2load -m100`: always a hundred streams open, at 50,000 requests a second, for a second.
#[test]
fn h2load() -> Met {
    let mut wire = Wire::new();
    for round in 0..500_u32 {
        for index in 0..100 {
            wire.client(
                HEADERS,
                END_STREAM | END_HEADERS,
                2 * (100 * round + index) + 1,
                &[0; 12],
            )?;
        }
        for index in 0..100 {
            let stream = 2 * (100 * round + index) + 1;
            wire.ours(HEADERS, END_HEADERS, stream, &[0; 20]);
            wire.ours(DATA, END_STREAM, stream, &[0; 100]);
        }
        wire.client(WINDOW_UPDATE, 0, 0, &10_000_u32.to_be_bytes())?;
        wire.wait(2);
    }
    Ok(())
}

/// A hundred streams that wait for hours, opened again as soon as they end.
#[test]
fn long_polls() -> Met {
    let mut wire = Wire::new();
    for stream in 0..20_000_u32 {
        wire.client(HEADERS, END_STREAM | END_HEADERS, 2 * stream + 1, &[0; 40])?;
        if let Some(old) = stream.checked_sub(100) {
            wire.ours(HEADERS, END_STREAM | END_HEADERS, 2 * old + 1, &[0; 9]);
        }
    }
    Ok(())
}

/// A browser that leaves pages before they are loaded, each with a hundred requests, one every other
/// second, and places each request in Firefox's tree.
#[test]
fn browser() -> Met {
    let mut wire = Wire::new();
    for group in [3_u32, 5, 7, 9, 11, 13] {
        wire.client(PRIORITY, 0, group, &[0, 0, 0, 0, 100])?;
    }
    for page in 0..200_u32 {
        for index in 0..100 {
            let stream = 2 * (100 * page + index) + 15;
            let mut head = [0; 45];
            head[3] = 11;
            wire.client(HEADERS, 0x25, stream, &head)?;
            wire.client(PRIORITY, 0, stream, &[0, 0, 0, 11, 1])?;
            wire.client(0x1a, 0, stream, &[1; 10])?;
            wire.client(0x10, 0, 0, &[0; 8])?;
        }
        for index in 0..100 {
            let stream = 2 * (100 * page + index) + 15;
            if index % 2 == 0 {
                wire.ours(HEADERS, END_HEADERS, stream, &[0; 60]);
            }
            wire.client(RST_STREAM, 0, stream, &8_u32.to_be_bytes())?;
        }
        wire.wait(2_000);
    }
    Ok(())
}

/// gRPC's client while it downloads: a ping with each burst to measure its line, a window update for each
/// message at both levels, settings whenever the line is faster than thought.
#[test]
fn grpc_download() -> Met {
    let mut wire = Wire::new();
    wire.client(HEADERS, END_HEADERS, 1, &[0; 80])?;
    wire.client(DATA, END_STREAM, 1, &[0; 30])?;
    wire.ours(HEADERS, END_HEADERS, 1, &[0; 20]);
    for message in 0..20_000 {
        wire.ours(DATA, 0, 1, &[0; 12]);
        wire.client(PING, 0, 0, &[0; 8])?;
        wire.ours(PING, ACK, 0, &[0; 8]);
        wire.client(WINDOW_UPDATE, 0, 1, &12_u32.to_be_bytes())?;
        wire.client(WINDOW_UPDATE, 0, 0, &12_u32.to_be_bytes())?;
        if message % 1_000 == 0 {
            wire.client(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])?;
            wire.ours(SETTINGS, ACK, 0, &[]);
            wire.wait(100);
        }
    }
    Ok(())
}

/// A large download by a client that reads 4 KiB at a time, and acknowledges at both levels.
#[test]
fn large_download() -> Met {
    let mut wire = Wire::new();
    wire.client(HEADERS, END_STREAM | END_HEADERS, 1, &[0; 80])?;
    let piece = vec![0; 16 << 10];
    for _ in 0..4_000 {
        wire.ours(DATA, 0, 1, &piece);
        for _ in 0..4 {
            wire.client(WINDOW_UPDATE, 0, 1, &4_096_u32.to_be_bytes())?;
            wire.client(WINDOW_UPDATE, 0, 0, &4_096_u32.to_be_bytes())?;
        }
    }
    Ok(())
}

/// An upload in small pieces, and one in full frames.
#[test]
fn uploads() -> Met {
    let mut wire = Wire::new();
    wire.client(HEADERS, END_HEADERS, 1, &[0; 80])?;
    for _ in 0..20_000 {
        wire.client(DATA, 0, 1, &[7])?;
    }
    for _ in 0..500 {
        wire.client(DATA, 0, 1, &[0; 16 << 10])?;
    }
    wire.client(HEADERS, END_STREAM | END_HEADERS, 1, &[0; 10])
}

/// Calls that are cancelled after their first message, and others whose deadline passes unanswered, among
/// many that are answered.
#[test]
fn grpc_cancels() -> Met {
    let mut wire = Wire::new();
    for call in 0..20_000_u32 {
        let stream = 2 * call + 1;
        wire.client(HEADERS, END_HEADERS, stream, &[0; 80])?;
        wire.client(DATA, END_STREAM, stream, &[0; 30])?;
        match call % 10 {
            0 => wire.client(RST_STREAM, 0, stream, &8_u32.to_be_bytes())?,
            1..=4 => {
                wire.ours(HEADERS, END_HEADERS, stream, &[0; 20]);
                wire.ours(DATA, 0, stream, &[0; 30]);
                wire.client(RST_STREAM, 0, stream, &8_u32.to_be_bytes())?;
            }
            _ => wire.ours(HEADERS, END_STREAM | END_HEADERS, stream, &[0; 20]),
        }
    }
    Ok(())
}

/// Requests with cookies of 30 KiB, each with a CONTINUATION, as fast as they are answered.
#[test]
fn large_heads() -> Met {
    let mut wire = Wire::new();
    for request in 0..1_000_u32 {
        let stream = 2 * request + 1;
        wire.client(HEADERS, END_STREAM, stream, &[0; 16 << 10])?;
        wire.client(CONTINUATION, END_HEADERS, stream, &[0; 14 << 10])?;
        wire.ours(HEADERS, END_STREAM | END_HEADERS, stream, &[0; 20]);
    }
    Ok(())
}

/// Endpoints are down, and every stream ends by a reset of ours: nothing that a client can help.
#[test]
fn endpoints_that_are_down() -> Met {
    let mut wire = Wire::new();
    for request in 0..20_000_u32 {
        let stream = 2 * request + 1;
        wire.client(HEADERS, END_STREAM | END_HEADERS, stream, &[0; 40])?;
        wire.ours(RST_STREAM, 0, stream, &2_u32.to_be_bytes());
    }
    Ok(())
}

/// A client that keeps its connection for days: a ping every ten seconds, answers to ours.
#[test]
fn keepalives() -> Met {
    let mut wire = Wire::new();
    for _ in 0..20_000 {
        wire.client(PING, 0, 0, &[0; 8])?;
        wire.ours(PING, 0, 0, &[0; 8]);
        wire.client(PING, ACK, 0, &[0; 8])?;
        wire.wait(10_000);
    }
    Ok(())
}
