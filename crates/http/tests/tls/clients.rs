//! Certificates of clients: asked for or not, believed or not, told or not.

use crate::support::{Authority, DAY, Dir, Key, Server, der, live, tls_error, visit};
use eclusa_http::tls::failure::Who;
use eclusa_http::tls::files::HostFiles;
use eclusa_http::tls::terminate::{Clients, Settings, Terminator};
use eclusa_http::tls::tickets::Tickets;
use rcgen::{DnType, SanType};
use rustls::{AlertDescription, ClientConfig, Error};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

fn server(dir: &Dir, ca: &Authority, clients: Clients) -> Server {
    let live = live(dir, &ca.issue(&["shop.test"], Key::Ecdsa));
    let settings = Settings { clients, ..Settings::default() };
    let tickets = Tickets::random(Instant::now());
    Server::start(Terminator::new(&HostFiles, &settings, live, &tickets).unwrap())
}

/// What the server says of a client that is refused, and the alert that this one sees.
fn refused(server: &Server, client: ClientConfig) -> (String, AlertDescription) {
    let error = visit(server.address, &Arc::new(client), "shop.test").unwrap_err();
    let Some(Error::AlertReceived(alert)) = tls_error(&error) else { panic!("{error}") };
    let failure = server.next().unwrap_err();
    assert_eq!(failure.who, Who::Client);
    (failure.to_string(), *alert)
}

#[test]
fn who_a_client_is_stands_in_its_certificate() {
    let (dir, ca) = (Dir::new("identity"), Authority::new("ca"));
    let believed = dir.write("clients", format!("{}{}", ca.pem, Authority::new("more").pem));
    let shown = ca.issue_with(&["Worker.test"], &Key::Ecdsa.pair(), |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "worker 1");
        params.subject_alt_names.extend([
            SanType::URI("spiffe://cluster/worker".try_into().unwrap()),
            SanType::Rfc822Name("me@worker.test".try_into().unwrap()),
            SanType::IpAddress("10.0.0.21".parse().unwrap()),
        ]);
    });
    let client = Arc::new(ca.client_with(&shown));
    for clients in
        [Clients::Optional { ca: believed.clone() }, Clients::Required { ca: believed.clone() }]
    {
        let server = server(&dir, &ca, clients);
        visit(server.address, &client, "shop.test").unwrap();
        let identity = server.next().unwrap().identity.unwrap();
        assert_eq!(identity.common_name.as_deref(), Some("worker 1"));
        assert_eq!(identity.dns_names, ["worker.test".into()]);
        let others = ["uri:spiffe://cluster/worker", "email:me@worker.test", "ip:10.0.0.21"];
        assert_eq!(identity.other_names, others.map(Into::into));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der(&shown));
        assert_eq!(identity.fingerprint, digest.as_ref());
        assert_eq!(identity.fingerprint_hex().len(), 64);
        assert!(identity.not_after > SystemTime::now() + 80 * DAY);
    }
    // Where nobody asks nobody is told.
    let server = server(&dir, &ca, Clients::Unasked);
    visit(server.address, &client, "shop.test").unwrap();
    assert_eq!(server.next().unwrap().identity, None);
}

#[test]
fn a_name_that_could_mean_two_is_none() {
    let (dir, ca) = (Dir::new("two-names"), Authority::new("ca"));
    let server = server(&dir, &ca, Clients::Required { ca: dir.write("clients", &ca.pem) });
    let name = |names: &[&str]| {
        let shown = ca.issue_with(&["w.test"], &Key::Ecdsa.pair(), |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (index, name) in names.iter().enumerate() {
                // rcgen takes each type once; the second is the same type by its number.
                let kind = match index {
                    0 => DnType::CommonName,
                    _ => DnType::CustomDnType(vec![2, 5, 4, 3]),
                };
                params.distinguished_name.push(kind, *name);
            }
        });
        visit(server.address, &Arc::new(ca.client_with(&shown)), "shop.test").unwrap();
        server.next().unwrap().identity.unwrap().common_name.clone()
    };
    assert_eq!(name(&["alice"]).as_deref(), Some("alice"));
    assert_eq!(name(&["alice", "bob"]), None);
    assert_eq!(name(&[]), None);
    assert_eq!(name(&["alice\r\nX-Admin: yes"]), None);
    assert_eq!(name(&["alice\0.evil"]), None);
}

#[test]
fn who_is_not_believed_is_told_why() {
    let (dir, ca, stranger) = (Dir::new("refused"), Authority::new("ca"), Authority::new("ca"));
    let believed = dir.write("clients", &ca.pem);
    let expired = ca.issue_with(&["w.test"], &Key::Ecdsa.pair(), |params| {
        params.not_before = (SystemTime::now() - 2 * DAY).into();
        params.not_after = (SystemTime::now() - DAY).into();
    });
    let of_server = ca.issue_with(&["w.test"], &Key::Ecdsa.pair(), |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let mut unknown = ca.client_with(&stranger.issue(&["w.test"], Key::Ecdsa));
    unknown.alpn_protocols = Vec::new();
    let optional = server(&dir, &ca, Clients::Optional { ca: believed.clone() });
    let required = server(&dir, &ca, Clients::Required { ca: believed });
    visit(optional.address, &Arc::new(ca.client()), "shop.test").unwrap();
    assert_eq!(optional.next().unwrap().identity, None);
    let none = ("client showed no certificate".to_owned(), AlertDescription::CertificateRequired);
    assert_eq!(refused(&required, ca.client()), none);
    for server in [optional, required] {
        let words = |what: &str| format!("certificate of the client: {what}");
        let said = refused(&server, ca.client_with(&expired));
        assert_eq!(said, (words("it has expired"), AlertDescription::CertificateExpired));
        let said = refused(&server, unknown.clone());
        let what = words("its signature is wrong");
        assert_eq!(said, (what, AlertDescription::DecryptError), "a CA of the same name");
        let said = refused(&server, ca.client_with(&of_server)).0;
        assert_eq!(said, words("it may not be used for this (extended key usage)"));
    }
}

#[test]
fn a_bundle_that_is_none_names_its_file() {
    let (dir, ca) = (Dir::new("bundle"), Authority::new("ca"));
    let live = live(&dir, &ca.issue(&["shop.test"], Key::Ecdsa));
    let said = |ca| {
        let settings = Settings { clients: Clients::Required { ca }, ..Settings::default() };
        let tickets = Tickets::random(Instant::now());
        let made = Terminator::new(&HostFiles, &settings, live.clone(), &tickets);
        made.unwrap_err().to_string().replace(dir.at("").to_str().unwrap(), "")
    };
    let missing = said(dir.at("nowhere"));
    assert_eq!(missing, "nowhere: there is no such file: mend the path, or put the file there");
    let key = Key::Ecdsa.pair().serialize_pem();
    let only_key = said(dir.write("key", key));
    assert!(only_key.starts_with("key: there is no certificate in it, only a PRIVATE KEY: "));
}
