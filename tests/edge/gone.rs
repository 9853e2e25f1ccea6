//! Clients that reset their connections before they were heard.

use crate::bed::{Bed, PLAIN};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::process::Signal;
use socket2::SockRef;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

/// What such a client has asked for.
const ASKED: [&str; 2] = [
    "GET /gone HTTP/1.1\r\nHost: app.test\r\n\r\n",
    "POST /gone-too HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2\r\n\r\nhi",
];

/// A storm of them would else use up the ports towards the endpoints, and the worker's time.
#[test]
fn for_a_client_that_has_gone_no_endpoint_is_asked() {
    if skipped("for_a_client_that_has_gone_no_endpoint_is_asked") {
        return;
    }
    let mut bed = Bed::without_nginx("");
    // While it stands still, they come, ask and go.
    bed.edge.signal(Signal::STOP).unwrap();
    bed.client.enter(|| ASKED.iter().for_each(|request| ask_and_go(request)));
    bed.edge.signal(Signal::CONT).unwrap();
    for target in ["/gone", "/gone-too"] {
        let record = bed.exchange_for(target);
        assert_eq!((&record["tries"], &record["endpoint"]), (&0.into(), &().into()), "{record}");
        assert_eq!(record["ended_by"], "client", "{record}");
    }
    assert_eq!(bed.recorder.seen(), Vec::<Vec<u8>>::new());
    assert_eq!(bed.connect().get("app.test", "/here").unwrap().text(), "/here");
}

fn ask_and_go(request: &str) {
    let mut stream = TcpStream::connect(PLAIN).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}
