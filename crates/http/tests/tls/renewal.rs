//! Certificates that are renewed while they are served.

use crate::support::{Authority, DAY, Dir, Issued, Key, Server, load, settings, visit};
use eclusa_http::tls::files::HostFiles;
use eclusa_http::tls::mistake::Mistake;
use eclusa_http::tls::store::{Live, Settings};
use eclusa_http::tls::terminate::{self, Terminator};
use eclusa_http::tls::tickets::Tickets;
use eclusa_http::tls::watch::{Change, INTERVAL, PATIENCE, Watcher};
use rustls::client::Resumption;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Certbot's directories.
struct Certbot {
    dir: Dir,
    count: usize,
}

impl Certbot {
    fn new(label: &str) -> Self {
        Self { dir: Dir::new(label), count: 0 }
    }

    /// A new file in the archive, and a link to it in the place of the old one, as certbot does it.
    fn put(&mut self, name: &str, what: &str, text: &str) {
        self.count += 1;
        let file = format!("archive/{name}/{what}{}.pem", self.count);
        self.dir.write(&file, text);
        let link = self.dir.at(&format!("live/{name}/{what}.pem"));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&link);
        symlink(format!("../../{file}"), link).unwrap();
    }

    fn renew(&mut self, name: &str, issued: &Issued) {
        self.put(name, "privkey", &issued.key);
        self.put(name, "fullchain", &issued.pem);
    }

    fn live(&self, name: &str) -> PathBuf {
        self.dir.at(&format!("live/{name}/fullchain.pem"))
    }

    fn settings(&self) -> Settings {
        settings(&[&self.dir.at("live")])
    }
}

/// A watcher whose time passes when it is told to.
struct Watched {
    watcher: Watcher,
    live: Live,
    now: Instant,
}

impl Watched {
    fn new(settings: &Settings) -> Self {
        let (live, now) = (load(settings).live(), Instant::now());
        let watcher = Watcher::new(Arc::new(HostFiles), settings.clone(), live.clone(), now);
        let mut watched = Self { watcher, live, now };
        assert_eq!(watched.after(INTERVAL * 3), [], "nothing has changed");
        watched
    }

    fn look(&mut self) -> Option<Change> {
        self.now += INTERVAL;
        self.watcher.look(self.now, SystemTime::now())
    }

    /// What has come of all looks within `time`.
    fn after(&mut self, time: Duration) -> Vec<Change> {
        let end = self.now + time;
        let mut changes = Vec::new();
        while self.now < end {
            changes.extend(self.look());
        }
        changes
    }

    /// Name and fingerprint of each certificate.
    fn served(&self) -> BTreeMap<String, [u8; 32]> {
        let store = self.live.load();
        let one = |certificate: &Arc<eclusa_http::tls::certificate::Certificate>| {
            (certificate.names().to_string(), *certificate.fingerprint())
        };
        store.certificates().iter().map(one).collect()
    }
}

fn swapped(files: &[PathBuf]) -> Change {
    Change::Swapped { renewed: files.to_vec(), gone: vec![], warnings: vec![] }
}

fn wrong(change: &[Change]) -> &[Mistake] {
    match change {
        [Change::Wrong(mistakes)] => mistakes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn certbot_s_links_are_seen_within_a_second() {
    let (mut certbot, ca) = (Certbot::new("certbot"), Authority::new("ca"));
    for name in ["a.test", "b.test"] {
        certbot.renew(name, &ca.issue(&[name], Key::Ecdsa));
    }
    let mut watched = Watched::new(&certbot.settings());
    let before = watched.served();
    certbot.renew("a.test", &ca.issue(&["a.test"], Key::Ecdsa));
    assert_eq!(watched.watcher.interval(), INTERVAL);
    assert_eq!(watched.after(INTERVAL), [], "it may not be all");
    assert_eq!(watched.watcher.interval(), INTERVAL / 2, "there is something to load");
    assert_eq!(watched.after(INTERVAL), [swapped(&[certbot.live("a.test")])]);
    let after = watched.served();
    assert_ne!(before["a.test"], after["a.test"]);
    assert_eq!(before["b.test"], after["b.test"]);
    assert_eq!(watched.after(PATIENCE * 2), []);
    // Another name, another that goes, and a link that is gone for a moment.
    certbot.renew("c.test", &ca.issue(&["c.test"], Key::Ecdsa));
    fs::remove_dir_all(certbot.dir.at("live/b.test")).unwrap();
    let change = Change::Swapped {
        renewed: vec![certbot.live("c.test")],
        gone: vec![certbot.live("b.test")],
        warnings: vec![],
    };
    assert_eq!(watched.after(INTERVAL * 3), [change]);
    assert!(watched.served().keys().eq(["a.test", "c.test"]));
}

#[test]
fn half_a_renewal_changes_nothing_and_is_told_once() {
    let (mut certbot, ca) = (Certbot::new("half"), Authority::new("ca"));
    for name in ["a.test", "b.test"] {
        certbot.renew(name, &ca.issue(&[name], Key::Ecdsa));
    }
    let mut watched = Watched::new(&certbot.settings());
    let before = watched.served();
    let (a, b) = (ca.issue(&["a.test"], Key::Ecdsa), ca.issue(&["b.test"], Key::Ecdsa));
    certbot.put("a.test", "fullchain", &a.pem);
    certbot.renew("b.test", &b);
    // The other one does not wait for it.
    assert_eq!(watched.after(INTERVAL * 2), [swapped(&[certbot.live("b.test")])]);
    assert_eq!(watched.served()["a.test"], before["a.test"]);
    assert_eq!(watched.after(PATIENCE - INTERVAL), []);
    let told = watched.after(PATIENCE);
    let said = wrong(&told)[0].to_string();
    let key = certbot.dir.at("live/a.test/privkey.pem");
    assert!(said.starts_with(&format!("{}: the key does not fit", key.display())), "{said}");
    assert_eq!(watched.after(PATIENCE * 20), [], "once");
    certbot.put("a.test", "privkey", &a.key);
    let live = certbot.live("a.test");
    assert_eq!(watched.after(INTERVAL * 3), [swapped(&[live]), Change::Right]);
    assert_eq!(watched.served().len(), 2);
}

#[test]
fn a_hasty_writer_is_waited_for() {
    let (dir, ca) = (Dir::new("hasty"), Authority::new("ca"));
    let middle = ca.below("middle");
    let old = middle.issue(&["a.test"], Key::Ecdsa);
    let file = dir.write("a.pem", format!("{}{}{}", old.pem, middle.pem, old.key));
    let mut watched = Watched::new(&settings(&[&file]));
    let new = middle.issue(&["a.test"], Key::Ecdsa);
    // What is there of it would do, but for the chain.
    dir.write("a.pem", new.both());
    assert_eq!(watched.look(), None);
    dir.write("a.pem", format!("{}{}{}", new.pem, middle.pem, new.key));
    assert_eq!(watched.look(), None);
    assert_eq!(watched.look(), Some(swapped(&[file])));
    let store = watched.live.load();
    let [certificate] = store.certificates() else { panic!("one") };
    assert_eq!(certificate.names().to_string(), "a.test");
}

#[test]
fn whatever_is_wrong_the_old_ones_stay() {
    let (dir, ca) = (Dir::new("wrong"), Authority::new("ca"));
    let (a, b) = (ca.issue(&["a.test"], Key::Ecdsa), ca.issue(&["b.test"], Key::Ecdsa));
    dir.write("certs/a.pem", a.both());
    dir.write("certs/b.pem", b.both());
    let named = dir.write("named.pem", ca.issue(&["c.test"], Key::Ecdsa).both());
    let mut watched = Watched::new(&settings(&[&dir.at("certs"), &named]));
    let before = watched.served();
    let past = ca.issue_with(&["a.test"], &Key::Ecdsa.pair(), |params| {
        params.not_before = (SystemTime::now() - 2 * DAY).into();
        params.not_after = (SystemTime::now() - DAY).into();
    });
    let table: [(&str, Vec<u8>, &str); 5] = [
        ("certs/a.pem", past.both().into(), "it has expired"),
        ("certs/a.pem", a.both().as_bytes()[..300].to_vec(), "it ends in the middle of a"),
        ("certs/a.pem", Vec::new(), "it is empty"),
        ("certs/0.pem", ca.issue(&["b.test"], Key::Ecdsa).both().into(), "two ECDSA certificates"),
        ("named.pem", a.pem.clone().into(), "there is no private key for it"),
    ];
    for (name, bytes, words) in table {
        let good = fs::read(dir.at(name)).ok();
        let path = dir.write(name, bytes);
        let told = watched.after(PATIENCE + INTERVAL * 4);
        let [mistake] = wrong(&told) else { panic!("{told:?}") };
        assert_eq!(mistake.file, path);
        assert!(mistake.what.contains(words), "{mistake}");
        assert_eq!(watched.served(), before, "{name}");
        match good {
            Some(good) => drop(dir.write(name, good)),
            None => fs::remove_file(path).unwrap(),
        }
        assert_eq!(watched.after(PATIENCE), [Change::Right], "{name}");
        assert_eq!(watched.served(), before, "{name}");
    }
    // All of it is gone.
    fs::rename(dir.at("certs"), dir.at("away")).unwrap();
    fs::remove_file(&named).unwrap();
    let told = watched.after(PATIENCE * 2);
    assert_eq!(wrong(&told).len(), 2);
    assert_eq!(watched.served(), before);
}

/// Ends the load.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The issue's bar: no handshake fails while certificates are renewed, and the new ones are seen.
#[test]
fn renewals_under_load_fail_no_handshake() {
    const RENEWALS: usize = 20;
    const THREADS: usize = 4;
    const EVERY: Duration = Duration::from_millis(20); // 4 / 20 ms = 200 a second.
    const TIME: Duration = Duration::from_secs(2);
    let (mut certbot, ca) = (Certbot::new("load"), Authority::new("ca"));
    certbot.renew("shop.test", &ca.issue(&["shop.test"], Key::Ecdsa));
    let mut watched = Watched::new(&certbot.settings());
    let tickets = Tickets::random(Instant::now());
    let offer = terminate::Settings::default();
    let terminator = Terminator::new(&HostFiles, &offer, watched.live.clone(), &tickets).unwrap();
    let servers = [(); 2].map(|()| Server::start(terminator.clone()));
    let (done, finished) = (AtomicUsize::new(0), AtomicBool::new(false));
    let addresses = [0, 1].map(|index: usize| servers[index].address);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let (ca, done, finished) = (&ca, &done, &finished);
        let load = move |index: usize| {
            let mut config = ca.client();
            if index.is_multiple_of(2) {
                config.resumption = Resumption::disabled();
            }
            let (config, mut seen) = (Arc::new(config), std::collections::BTreeSet::new());
            let address = addresses[index % 2];
            let mut due = start;
            while !finished.load(Ordering::Relaxed) {
                eclusa_testkit::wait::pause(due.saturating_duration_since(Instant::now()));
                due = due.max(Instant::now() - EVERY * 5) + EVERY;
                let visit = visit(address, &config, "shop.test").expect("a handshake that works");
                seen.insert(visit.certificate.map(|certificate| certificate.to_vec()));
                done.fetch_add(1, Ordering::Relaxed);
            }
            seen.len()
        };
        let threads: Vec<_> = (0..THREADS).map(|index| scope.spawn(move || load(index))).collect();
        // Also when this thread panics: the scope waits for the others.
        let finish = Finish(finished);
        let mut swaps = 0;
        for turn in 1..=RENEWALS {
            let due =
                start + TIME * u32::try_from(turn).unwrap() / u32::try_from(RENEWALS).unwrap();
            eclusa_testkit::wait::pause(due.saturating_duration_since(Instant::now()));
            certbot.renew("shop.test", &ca.issue(&["shop.test"], Key::Ecdsa));
            swaps += watched.after(INTERVAL * 2).len();
        }
        drop(finish);
        let seen: Vec<usize> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(swaps, RENEWALS);
        let (done, took) = (done.load(Ordering::Relaxed), start.elapsed());
        println!("{done} handshakes in {took:.1?}, {swaps} renewals, certificates seen: {seen:?}");
        // 400 where the machine has time for them.
        assert!(done > 2 * RENEWALS, "{done} handshakes");
        // Who resumes has seen its certificate before.
        assert!(seen.iter().step_by(2).all(|&seen| seen > RENEWALS / 4), "{seen:?}");
    });
    let refused = servers.iter().flat_map(|server| server.seen.try_iter()).filter(Result::is_err);
    assert_eq!(refused.count(), 0);
}
