//! Under a real h2 over real sockets.

use super::*;
use bytes::Bytes;
use eclusa_wire::http2::PREFACE;
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
/// More than the counter lets pass, so that it is the one that cuts.
const RESETS: usize = 256;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

/// Serves one connection with h2: every request is answered with 200 and its own length in blanks. Says how
/// it ended, and how many requests there were. `resets`: streams that h2 lets the client reset before they
/// are looked at.
async fn serve(guard: Guard<TcpStream>, resets: usize) -> (Result<(), h2::Error>, usize) {
    let mut builder = h2::server::Builder::new();
    builder.max_pending_accept_reset_streams(resets);
    let mut connection = match builder.handshake(guard).await {
        Ok(connection) => connection,
        Err(error) => return (Err(error), 0),
    };
    let mut count = 0;
    while let Some(request) = connection.accept().await {
        let (request, mut respond) = match request {
            Ok(request) => request,
            Err(error) => return (Err(error), count),
        };
        count += 1;
        let mut body = request.into_body();
        tokio::task::spawn_local(async move {
            let mut length = 0;
            while let Some(Ok(data)) = body.data().await {
                length += data.len();
                // What is not given back is not sent again.
                let _ = body.flow_control().release_capacity(data.len());
            }
            if let Ok(mut sending) = respond.send_response(http::Response::new(()), false) {
                let _ = sending.send_data(Bytes::from(vec![b' '; length]), true);
            }
        });
    }
    (Ok(()), count)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET / HTTP/2` with nothing but what must be there, by the static table of HPACK.
const GET: [u8; 3] = [0x82, 0x84, 0x86];
const END: u8 = 0x5;

/// The error code of the GOAWAY that `bytes` end with.
fn goodbye(mut bytes: &[u8]) -> Option<u32> {
    let mut last = None;
    while let Some(head) = bytes.get(..9) {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = bytes.get(9..9 + length)?;
        last = (head[3] == 7).then(|| u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        bytes = &bytes[9 + length..];
    }
    last
}

/// What a client gets that sends `flood` at once; and what it was cut for.
async fn attack(flood: Vec<u8>, resets: usize) -> (Vec<u8>, Option<Flood>) {
    let (mut client, accepted) = pair().await;
    let guard = Guard::new(accepted, Limits::default());
    let watch = guard.watch();
    let local = tokio::task::LocalSet::new();
    let attacking = async {
        let hello = [PREFACE, &frame(4, 0, 0, &[])].concat();
        client.write_all(&hello).await.unwrap();
        // Until it has said its settings and acknowledged ours: then nothing of ours is half sent.
        let mut got = vec![0; 9];
        client.read_exact(&mut got).await.unwrap();
        // It may be cut before it has said all.
        let _ = client.write_all(&flood).await;
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest).await;
        got.extend(rest);
        got
    };
    let both = async { tokio::join!(serve(guard, resets), attacking) };
    let ((served, _), got) = timeout(PATIENCE, Box::pin(local.run_until(both))).await.unwrap();
    assert!(served.is_err(), "the connection ends");
    (got, watch.flood())
}

#[tokio::test]
async fn who_floods_is_told_and_cut() {
    let resets = (0..400_u32).flat_map(|number| {
        let stream = 2 * number + 1;
        let get = frame(1, END, stream, &GET);
        [get, frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
    });
    let continuations = || [frame(1, 1, 1, &GET), frame(9, 0, 1, &[]).repeat(50)].concat();
    let attacks = [
        (resets.collect(), Flood::RapidReset),
        (frame(6, 0, 0, &[0; 8]).repeat(300), Flood::Ping),
        (frame(4, 0, 0, &[]).repeat(300), Flood::Settings),
        (frame(2, 0, 9, &[0, 0, 0, 0, 1]).repeat(500), Flood::Priority),
        (frame(8, 0, 0, &1_u32.to_be_bytes()).repeat(3_000), Flood::WindowUpdate),
        (frame(0xee, 0, 0, &[1; 30]).repeat(300), Flood::Unknown),
        (continuations(), Flood::Continuation),
    ];
    for (bytes, flood) in attacks {
        let (got, found) = Box::pin(attack(bytes, RESETS)).await;
        assert_eq!(found, Some(flood));
        assert_eq!(goodbye(&got), Some(0xb), "{flood:?}: {got:?}");
    }
}

/// Streams that are half-closed get DATA: h2 resets them, and what it sends is counted.
#[tokio::test]
async fn resets_that_a_client_provokes_are_seen_in_what_we_send() {
    let provoked = (0..400_u32).flat_map(|number| {
        let stream = 2 * number + 1;
        [frame(1, END, stream, &GET), frame(8, 0, stream, &[0x7f, 0xff, 0xff, 0xff])].concat()
    });
    let (_, found) = Box::pin(attack(provoked.collect(), RESETS)).await;
    assert_eq!(found, Some(Flood::MadeReset));
}

/// h2 has limits of its own; it says goodbye itself, and what it was is counted all the same.
#[tokio::test]
async fn what_the_library_cuts_is_known() {
    // Few enough of each for us: h2 counts resets of streams that were never accepted.
    let resets: Vec<u8> = (0..120_u32)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            [frame(1, 4, stream, &GET), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
        })
        .collect();
    let (got, found) = Box::pin(attack(resets, 20)).await;
    assert_eq!(found, Some(Flood::Library));
    assert_eq!(goodbye(&got), Some(0xb));
}

/// A client of h2's own that means well: a thousand requests with bodies, a hundred at once.
#[tokio::test]
async fn an_honest_client_notices_nothing() {
    let (client, accepted) = pair().await;
    let guard = Guard::new(accepted, Limits::default());
    let watch = guard.watch();
    let asking = async {
        let (sender, connection) = h2::client::handshake(client).await.unwrap();
        let driven = tokio::task::spawn_local(connection);
        let mut tasks = tokio::task::JoinSet::new();
        for worker in 0..100_usize {
            let mut sender = sender.clone();
            tasks.spawn_local(async move {
                for number in 0..10 {
                    sender = sender.ready().await.unwrap();
                    let request = http::Request::post("http://eclusa.test/").body(()).unwrap();
                    let (response, mut sending) = sender.send_request(request, false).unwrap();
                    let body = vec![b'x'; worker * 100 + number];
                    sending.send_data(Bytes::from(body), true).unwrap();
                    let mut body = response.await.unwrap().into_body();
                    let mut length = 0;
                    while let Some(data) = body.data().await {
                        let data = data.unwrap();
                        length += data.len();
                        body.flow_control().release_capacity(data.len()).unwrap();
                    }
                    assert_eq!(length, worker * 100 + number);
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        drop(sender);
        driven.await.unwrap().unwrap();
    };
    let local = tokio::task::LocalSet::new();
    let both = Box::pin(local.run_until(async { tokio::join!(serve(guard, RESETS), asking) }));
    let ((served, count), ()) = timeout(PATIENCE, both).await.unwrap();
    served.unwrap();
    assert_eq!((count, watch.flood()), (1_000, None));
}

/// Whatever lies in the socket, and however often h2 asks: one turn hands it no more frames than it may, and
/// is followed by another.
#[tokio::test]
async fn a_turn_is_bounded() {
    let (mut client, accepted) = pair().await;
    let step = frame(8, 0, 0, &100_u32.to_be_bytes());
    let sent = [PREFACE, &frame(4, 0, 0, &[]), &step.repeat(1_900)].concat();
    client.write_all(&sent).await.unwrap();
    let mut guard = Guard::new(accepted, Limits::default());
    let (mut got, mut turns) = (Vec::new(), 0);
    let reading = poll_fn(|context| {
        let before = got.len();
        for _ in 0..50 {
            let mut room = [0; 5_000];
            let mut buffer = ReadBuf::new(&mut room);
            if let Poll::Ready(read) = Pin::new(&mut guard).poll_read(context, &mut buffer) {
                read.unwrap();
                assert!(!buffer.filled().is_empty(), "that would be the end of the connection");
                got.extend_from_slice(buffer.filled());
            }
        }
        let most = 256 * step.len() + PREFACE.len();
        assert!(got.len() - before <= most, "too much in one turn");
        turns += 1;
        if got.len() == sent.len() { Poll::Ready(()) } else { Poll::Pending }
    });
    timeout(PATIENCE, reading).await.unwrap();
    assert_eq!(got, sent, "nothing is lost or moved");
    assert!(turns > 1_900 / 256, "{turns}");
    assert!(guard.held.is_empty());
}
