//! Probes of gRPC's health service at endpoints that have none, and hardly HTTP/2. (Real ones: `tests/edge/grpc`.)

use crate::common;
use crate::common::Balancer;
use crate::common::probed::{Bed, LIMIT, Wish};
use eclusa_config::plan::{GrpcProbe, Pool, Probe, TlsProbe};
use eclusa_policy::verdict::{NO_ANSWER, NO_GRPC, Reason, Report, Settings, TlsFault, Verdict};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

fn probe(tls: Option<&TlsProbe>) -> Probe {
    Probe::Grpc(GrpcProbe {
        tls: tls.cloned(),
        service: "shop.v1.Orders".into(),
        host: None,
        token_file: None,
    })
}

fn judge() -> Settings {
    Settings {
        interval: Duration::from_millis(200),
        late_after: Duration::from_millis(1000),
        ..Settings::edge()
    }
}

/// Waits for the verdict of an endpoint that is asked without TLS.
fn wait_for(endpoint: SocketAddr, verdict: Verdict, reason: Reason) {
    let balancer = Balancer::start(&[endpoint], |plan| {
        let (probe, judge) = (probe(None), judge());
        plan.pools[0] = Arc::new(Pool { probe, judge, ..(*plan.pools[0]).clone() });
    });
    let report = || -> Report { balancer.engine().status().pools[0].endpoints()[0].report() };
    let seen = || (report().verdict, report().reason) == (verdict, reason);
    let waited = eclusa_testkit::wait::try_until(LIMIT, "its verdict", seen);
    assert!(waited.is_ok(), "{:?}, not {verdict:?} for {reason:?}", report());
}

/// An endpoint that hears something, answers so, and waits for the end.
fn answering(answer: &'static [u8]) -> SocketAddr {
    common::serve(move |mut stream: TcpStream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(answer);
        let _ = stream.shutdown(Shutdown::Write);
        while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    })
}

#[test]
fn what_is_no_http2_is_told_apart_from_no_answer() {
    let old = answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    wait_for(old, Verdict::Draining, Reason::NotReady(NO_GRPC));
    wait_for(answering(b""), Verdict::Draining, Reason::NotReady(NO_ANSWER));
    wait_for(common::unused_address(), Verdict::Dead, Reason::Refused);
}

#[test]
fn who_takes_the_call_and_says_nothing_is_late() {
    let silent =
        common::serve(|mut stream| while stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {});
    wait_for(silent, Verdict::Draining, Reason::Slow);
}

#[test]
fn over_tls_an_endpoint_must_choose_http2_and_speak_grpc() {
    let wish =
        || Wish { masters: 1, probe: |tls| probe(Some(tls)), judge: judge(), ..Wish::default() };
    // The fake masters answer any path, in HTTP alone.
    let bed = Bed::new(Wish { master: |_, it| it.alpn = vec!["h2".to_owned()], ..wish() });
    bed.wait_for(0, Verdict::Draining, Reason::NotReady(NO_GRPC));
    let bed = Bed::new(Wish { master: |_, it| it.alpn = Vec::new(), ..wish() });
    bed.wait_for(0, Verdict::Draining, Reason::NotReady(NO_GRPC));
    let bed = Bed::new(Wish { master: |_, it| it.alpn = vec!["http/1.1".to_owned()], ..wish() });
    bed.wait_for(0, Verdict::Dead, Reason::Tls(TlsFault::Protocol));
}
