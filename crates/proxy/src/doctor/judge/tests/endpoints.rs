//! What endpoints answer, and what masters show.

use super::*;

#[test]
fn a_proxy_header_is_missed_or_not_understood() {
    let finding = told(Program::Edge, EDGE, "proxy-header", |facts| {
        first(facts).without = Answer::Closed;
        first(facts).with = Answer::Understood("TLS".into());
    });
    has(
        &finding,
        Severity::Error,
        &["wants a PROXY header", "[pool.web] send_proxy = \"v2\"", "every session"],
    );
    let finding = told(Program::Edge, EDGE, "proxy-header", |facts| {
        first(facts).send_proxy = Some(1);
        first(facts).with = Answer::Strange("HTTP 400".into());
    });
    has(&finding, Severity::Error, &["send_proxy = \"v1\"", "HTTP 400", "take `send_proxy` out"]);
    // Who takes both is right either way.
    for send_proxy in [None, Some(2)] {
        let mut both = facts(Program::Edge, EDGE);
        first(&mut both).send_proxy = send_proxy;
        first(&mut both).with = Answer::Understood("TLS".into());
        assert_eq!(judge(&both).only("proxy-header").severity, Severity::Ok);
    }
    let finding = told(Program::Edge, EDGE, "endpoints", |facts| {
        first(facts).without = Answer::Silent;
    });
    has(&finding, Severity::Warning, &["understands neither", "keeps silent"]);
    let finding = told(Program::Edge, EDGE, "endpoints", |facts| {
        first(facts).without = Answer::Unreachable("Connection refused".into());
        first(facts).with = Answer::Unreachable("Connection refused".into());
    });
    has(&finding, Severity::Warning, &["web/10.0.1.100:443", "Connection refused", "sport = 443"]);
    let mut unknown = facts(Program::Edge, EDGE);
    (first(&mut unknown).without, first(&mut unknown).with) = (Answer::Unasked, Answer::Unasked);
    assert!(judge(&unknown).skipped.iter().any(|it| it.check == "proxy-header"));
}

#[test]
fn an_edge_must_not_reach_an_apiserver() {
    let finding = told(Program::Edge, EDGE, "apiserver-reach", |facts| {
        let network = facts.network.as_mut().unwrap();
        network.apiservers =
            vec![("10.0.0.11".parse().unwrap(), true), ("10.0.0.12".parse().unwrap(), false)];
    });
    has(&finding, Severity::Warning, &["at 10.0.0.11", "eclusa-edge drop-in", "docs/firewall.md"]);
    assert!(!finding.found.contains("10.0.0.12"), "{}", finding.found);
}

fn certificate(facts: &mut Facts) -> &mut Seen {
    first(facts).certificate.as_mut().unwrap()
}

#[test]
fn masters_certificates_are_looked_at() {
    let check = "endpoint-certificates";
    let finding =
        told(Program::Apiserver, MASTERS, check, |facts| certificate(facts).not_after = NOW - 60);
    has(&finding, Severity::Error, &["10.0.0.11", "expired at", "kubeadm certs renew apiserver"]);
    let finding =
        told(Program::Apiserver, MASTERS, check, |facts| certificate(facts).not_before = NOW + 60);
    has(&finding, Severity::Error, &["not valid before"]);
    let finding = told(Program::Apiserver, MASTERS, check, |facts| {
        certificate(facts).not_after = NOW + 9 * DAY
    });
    has(&finding, Severity::Warning, &["ends at"]);
    let finding =
        told(Program::Apiserver, MASTERS, check, |facts| certificate(facts).addresses.clear());
    has(&finding, Severity::Warning, &["10.0.0.10 not among its names", "certSANs", "x509"]);
    // A name that clients use in its place; one label for a wildcard, as clients count.
    let named = |name: &str| {
        let mut facts = facts(Program::Apiserver, MASTERS);
        facts.names = vec![name.to_owned()];
        judge(&facts).worst()
    };
    assert_eq!(named("api.k8s.test"), Severity::Ok);
    assert_eq!(named("KUBERNETES"), Severity::Ok);
    assert_eq!(named("a.b.k8s.test"), Severity::Warning);
    // On all addresses one of this host's must do.
    let everywhere = "masters = [\"10.0.0.11\"]\nlisten = [\"0.0.0.0\"]\n";
    assert_eq!(judge(&facts(Program::Apiserver, everywhere)).worst(), Severity::Ok);
    let finding =
        told(Program::Apiserver, everywhere, check, |facts| certificate(facts).addresses.clear());
    has(&finding, Severity::Warning, &["10.0.0.10 not among"]);
}

#[test]
fn a_master_of_another_cluster_is_found() {
    // kubeadm calls the CA of every cluster "kubernetes": the key tells.
    let finding = told(Program::Apiserver, MASTERS, "cluster", |facts| {
        *certificate(facts) = seen("cluster-ca", "bb");
    });
    has(&finding, Severity::Error, &["10.0.0.11", "2 of 3", "endpoint drain", "another cluster"]);
}

#[test]
fn clocks_are_compared() {
    let finding =
        told(Program::Apiserver, MASTERS, "clock", |facts| first(facts).clock_ahead = Some(60_000));
    has(&finding, Severity::Error, &["10.0.0.11", "60 s ahead"]);
    let finding = told(Program::Apiserver, MASTERS, "clock", |facts| {
        let asked = &mut facts.network.as_mut().unwrap().asked;
        asked.iter_mut().for_each(|asked| asked.clock_ahead = Some(10_000));
    });
    has(&finding, Severity::Warning, &["this host's clock is 10 s behind 3 endpoints"]);
    let finding = told(Program::Apiserver, MASTERS, "clock", |facts| {
        facts.host.clock =
            Some(ClockState { synchronised: false, error_max: Duration::from_secs(16) });
    });
    has(&finding, Severity::Warning, &["unsynchronised", "timedatectl set-ntp true"]);
}
