//! Each refusal from facts that are in order but for one thing, and what is told.

use super::judge::{Tracked, judge};
use super::*;
use crate::admin::{ListenerStatus, Moment, PoolStatus, StatusReport, WorkerStatus};
use crate::listening::{Holder, Listening};

const FILE: &str =
    "masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"]\nlisten = [\"0.0.0.0:16443\"]\n";

fn plan(program: Program, text: &str) -> Plan {
    let loaded = eclusa_config::parse(program, "a.toml", text, Mode::Known);
    loaded.unwrap_or_else(|errors| panic!("{errors}")).plan
}

/// A service in order that goes by this plan.
fn status(plan: &Plan) -> StatusReport {
    let listener = |one: &eclusa_config::plan::Listener| ListenerStatus {
        name: one.name.to_string(),
        addresses: one.addresses.iter().map(|listen| listen.address).collect(),
        sessions: 17,
    };
    let pool = |name: &str| PoolStatus {
        name: name.to_owned(),
        availability: "fine".to_owned(),
        correlated: false,
        quorum: None,
        queued: 0,
        endpoints: Vec::new(),
    };
    StatusReport {
        program: "eclusa-apiserver".to_owned(),
        version: "0.1.0".to_owned(),
        pid: 99,
        generation: 1,
        at: Moment::from_unix(0),
        uptime_seconds: 60,
        stopping: false,
        last_reload: None,
        file_refused: None,
        gone_back: None,
        unconfirmed: None,
        drill: None,
        workers: vec![WorkerStatus { alive: true, sessions: 17 }],
        listeners: plan.listeners.iter().map(listener).collect(),
        pools: plan.pools.iter().map(|one| pool(&one.name)).collect(),
        certificates: Vec::new(),
        overrides: Vec::new(),
    }
}

fn listens(address: &str, name: &str, pid: u32) -> (Listening, Vec<Holder>) {
    let address = address.parse().unwrap();
    (Listening { address, inode: u64::from(pid) }, vec![Holder { name: name.to_owned(), pid }])
}

/// A host in order: HAProxy at 10.0.0.5:6443, ours as `text` says.
fn facts(text: &str) -> Facts {
    let plan = plan(Program::Apiserver, text);
    let mut listening = vec![listens("10.0.0.5:6443", "haproxy", 12)];
    listening.extend(plan.addresses().map(|own| listens(&own.to_string(), "eclusa-apiserve", 99)));
    let networks = ["127.0.0.1/8", "10.0.0.10/22", "10.0.0.5/32", "2001:db8::10/64"];
    let network = |text: &str| {
        let (address, bits) = text.split_once('/').unwrap();
        (address.parse().unwrap(), bits.parse().unwrap())
    };
    Facts {
        program: Program::Apiserver,
        take: "10.0.0.5:6443".parse().unwrap(),
        listener: None,
        status: Ok(Box::new(status(&plan))),
        plan,
        networks: networks.map(network).to_vec(),
        listening,
        tracked: Some(Tracked { count: 100, max: 262_144, connections: 1000 }),
        found: Found::default(),
        moved: 0,
        passes: Passes::default(),
    }
}

/// The refusals of facts that are in order but for `change`.
fn refused(text: &str, change: impl FnOnce(&mut Facts)) -> String {
    let mut facts = facts(text);
    change(&mut facts);
    let refusals = judge(&facts).expect_err("a refusal");
    refusals.iter().map(|one| format!("{one}\n")).collect()
}

#[track_caller]
fn has(told: &str, words: &[&str]) {
    assert_eq!(told.lines().count(), 1, "{told}");
    words.iter().for_each(|word| assert!(told.contains(word), "no `{word}` in: {told}"));
}

fn allowed(text: &str, change: impl FnOnce(&mut Facts)) -> Way {
    let mut facts = facts(text);
    change(&mut facts);
    judge(&facts).unwrap_or_else(|refusals| panic!("{refusals:?}"))
}

fn report(facts: &mut Facts) -> &mut StatusReport {
    facts.status.as_mut().unwrap()
}

fn take(facts: &mut Facts, address: &str) {
    facts.take = address.parse().unwrap();
}

fn standing(to: &str) -> Standing {
    let take = "10.0.0.5:6443".parse().unwrap();
    Standing {
        table: Table::of(Program::Apiserver, take),
        take,
        share: "5%".parse().unwrap(),
        to: to.parse().unwrap(),
        listener: Some("apiserver".to_owned()),
        set: "taken".to_owned(),
        left: Some(3540),
        seen: 1204,
        moved: 61,
        returned: 0,
    }
}

#[test]
fn the_way_is_by_port_where_the_listener_has_the_address() {
    let way = allowed(FILE, |_| {});
    assert_eq!((way.to.to_string().as_str(), way.from.as_str()), (":16443", "haproxy (pid 12)"));
    assert_eq!((way.at.to_string().as_str(), way.is_away), ("0.0.0.0:16443", false));
    // Its own address comes before all.
    let both = FILE.replace("\"0.0.0.0:16443\"", "\"0.0.0.0:17443\", \"10.0.0.5:16443\"");
    assert_eq!(allowed(&both, |_| {}).to.to_string(), ":16443");
    let other = FILE.replace("0.0.0.0:16443", "10.0.0.10:6443");
    assert_eq!(allowed(&other, |_| {}).to.to_string(), "10.0.0.10:6443");
    // All addresses of this host, and HAProxy at all of them.
    let way = allowed(FILE, |facts| {
        take(facts, "0.0.0.0:6443");
        facts.listening[0] = listens("0.0.0.0:6443", "haproxy", 12);
    });
    assert_eq!(way.to.to_string(), ":16443");
    let six = FILE.replace("0.0.0.0:16443", "[::]:16443");
    let way = allowed(&six, |facts| {
        take(facts, "[2001:db8::10]:6443");
        facts.listening[0] = listens("[::]:6443", "haproxy", 12);
    });
    assert_eq!(way.to.to_string(), ":16443");
}

#[test]
fn addresses_that_cannot_be_taken() {
    let told = refused(FILE, |facts| {
        take(facts, "127.0.0.1:6443");
        facts.listening.push(listens("127.0.0.1:6443", "haproxy", 12));
    });
    has(&told, &["127.0.0.1 is the loopback address", "10.0.0.10, 10.0.0.5)"]);
    let told = refused(FILE, |facts| {
        take(facts, "10.0.0.7:6443");
        facts.listening[0] = listens("0.0.0.0:6443", "haproxy", 12);
    });
    has(&told, &["10.0.0.7 is on no interface of this host", "add --vip"]);
    let way = allowed(FILE, |facts| {
        take(facts, "10.0.0.7:6443");
        facts.listening[0] = listens("0.0.0.0:6443", "haproxy", 12);
        facts.passes.vip = true;
    });
    assert!(way.is_away);
    let told = refused(FILE, |facts| {
        facts.listening[0] = listens("10.0.0.5:443", "haproxy", 12);
    });
    has(&told, &["nobody listens at 10.0.0.5:6443", "haproxy listens at 10.0.0.5:443"]);
    let told = refused(FILE, |facts| {
        take(facts, "224.0.0.1:6443");
        facts.listening[0] = listens("0.0.0.0:6443", "haproxy", 12);
    });
    has(&told, &["no address that clients connect to"]);
}

#[test]
fn listeners_that_cannot_get_them() {
    let told = refused(FILE, |facts| facts.listener = Some("other".to_owned()));
    has(&told, &["there is no listener `other`", "there are: "]);
    let several = FILE.replace("listen", "ports = [6443, 9345]\nlisten").replace(":16443", "");
    let told = refused(&several, |_| {});
    has(&told, &["the file has 2 listeners", "--listener NAME"]);
    let told = refused(&FILE.replace("0.0.0.0", "[::]"), |_| {});
    has(&told, &["has no IPv4 address", "listen = [\"0.0.0.0:16443\"]"]);
    let told = refused(&FILE.replace(":16443", ""), |_| {});
    has(&told, &["listens at 0.0.0.0:6443, where these connections go already", "0.0.0.0:16443"]);
    let told = refused(&FILE.replace("0.0.0.0", "127.0.0.1"), |_| {});
    has(&told, &["127.0.0.1:16443, where connections to 10.0.0.5:6443 cannot be moved to"]);
    // On no interface: nothing would come there.
    let told = refused(&FILE.replace("0.0.0.0", "10.0.0.7"), |_| {});
    has(&told, &["cannot be moved to"]);
    // Somebody else's addresses would get those of all.
    let told = refused(&FILE.replace("0.0.0.0", "10.0.0.10"), |facts| {
        take(facts, "0.0.0.0:6443");
        facts.listening[0] = listens("0.0.0.0:6443", "haproxy", 12);
    });
    has(&told, &["cannot be moved to"]);
    let told = refused(FILE, |facts| drop(facts.listening.pop()));
    has(&told, &["nobody listens at 0.0.0.0:16443"]);
}

#[test]
fn a_header_must_be_expected_by_both_or_by_none() {
    let expects = FILE.replace("listen", "proxy_from = [\"10.0.0.0/8\"]\nlisten");
    let told = refused(&expects, |_| {});
    has(&told, &["expects a PROXY header", "accept-proxy", "--proxied"]);
    allowed(&expects, |facts| facts.passes.proxied = true);
    let told = refused(FILE, |facts| facts.passes.proxied = true);
    has(&told, &["expects no PROXY header"]);
}

#[test]
fn a_service_that_is_not_fit_gets_nobody() {
    let told = refused(FILE, |facts| facts.status = Err("no socket at /run/eclusa".to_owned()));
    has(&told, &["no socket at /run/eclusa", "systemctl status eclusa-apiserver"]);
    has(&refused(FILE, |facts| report(facts).stopping = true), &["about to stop"]);
    has(&refused(FILE, |facts| report(facts).workers[0].alive = false), &["sign of life"]);
    let told = refused(FILE, |facts| {
        report(facts).listeners[0].addresses = vec!["0.0.0.0:6443".parse().unwrap()];
    });
    has(&told, &["has no listener", "at 0.0.0.0:16443", "eclusa-apiserver reload"]);
    for (availability, words) in [("nobody", "no endpoint that takes"), ("panic", "in panic")] {
        let change = |facts: &mut Facts| {
            report(facts).pools[0].availability = availability.to_owned();
        };
        has(&refused(FILE, change), &[words, "--force"]);
        allowed(FILE, |facts| {
            change(facts);
            facts.passes.force = true;
        });
    }
    has(&refused(FILE, |facts| report(facts).pools.clear()), &["has no pool"]);
}

#[test]
fn a_kernel_that_could_not_track_all_is_left_alone() {
    for (count, connections) in [(210_000, 1000), (100, 210_000)] {
        let told = refused(FILE, |facts| {
            facts.tracked = Some(Tracked { count, max: 262_144, connections });
        });
        has(&told, &["has 262144 places", "nf_conntrack_max=1048576"]);
    }
    allowed(FILE, |facts| facts.tracked = None);
}

#[test]
fn tables_of_others_and_other_targets() {
    let told = refused(FILE, |facts| {
        facts.found.foreign = vec![Table::of(Program::Apiserver, facts.take)];
    });
    has(
        &told,
        &["that is no canary of ours", "nft delete table ip eclusa_canary_apiserver_10.0.0.5_6443"],
    );
    let told = refused(FILE, |facts| {
        facts.found.standing = vec![standing(":17443")];
        facts.moved = 3;
    });
    has(&told, &["were moved to :17443, and 3 of them stand there"]);
    allowed(FILE, |facts| facts.found.standing = vec![standing(":17443")]);
    allowed(FILE, |facts| {
        facts.found.standing = vec![standing(":16443")];
        facts.moved = 3;
    });
}

#[test]
fn everything_that_speaks_against_it_is_told_at_once() {
    let told = refused(&FILE.replace("0.0.0.0", "127.0.0.1"), |facts| {
        take(facts, "10.0.0.7:6443");
        facts.tracked = Some(Tracked { count: 9, max: 10, connections: 0 });
    });
    assert_eq!(told.lines().count(), 4, "{told}");
}

fn told(change: impl FnOnce(&mut Standing)) -> (String, serde_json::Value) {
    let mut one = standing(":16443");
    change(&mut one);
    let found = Found { standing: vec![one], foreign: Vec::new() };
    let status = status(&plan(Program::Apiserver, FILE));
    let told = show::told(&found, Ok(&status), |_| 14);
    let json = serde_json::from_str(&show::json(&told)).unwrap();
    (show::text(Program::Apiserver, &told, None), json)
}

#[test]
fn what_is_in_force_is_told() {
    let name = &*plan(Program::Apiserver, FILE).listeners[0].name.to_string();
    let named = |one: &mut Standing| one.listener = Some(name.to_owned());
    let (text, json) = told(named);
    assert_eq!(
        text,
        format!(
            "10.0.0.5:6443: 5% of new connections go to listener `{name}` at :16443, for 59 min more\n\
             \x20 new connections  1204, of which 61 were moved\n\
             \x20 standing         14 connections at :16443; the listener has 17 sessions\n"
        )
    );
    let one = &json["canaries"][0];
    assert_eq!(
        (&one["share_percent"], &one["moved"], &one["sessions"]),
        (&5.0.into(), &61.into(), &17.into())
    );
    assert_eq!((&one["moving"], &one["ends_in_seconds"]), (&true.into(), &3540.into()));
    let (text, _) = told(|one| one.set = "held_77".to_owned());
    assert!(text.contains("while process 77 holds it"), "{text}");
    let (text, json) = told(|one| {
        one.left = None;
        one.returned = 4;
    });
    for part in [
        "nothing is moved any more (it was 5%",
        "returned         4: without an answer from :16443",
        "let port 16443 in?",
        "takes it away when they have ended",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert_eq!(json["canaries"][0]["moving"], false);
    let nothing = show::told(&Found::default(), Err(&"gone".to_owned()), |_| 0);
    assert_eq!(
        show::text(Program::Edge, &nothing, Some(&"gone".to_owned())),
        "no canary is in force\n"
    );
}

#[test]
fn what_was_done_is_told_with_its_end() {
    let facts = facts(FILE);
    let way = judge(&facts).unwrap();
    let rule = |end| Rule {
        table: Table::of(Program::Apiserver, facts.take),
        take: facts.take,
        share: "5%".parse().unwrap(),
        to: way.to,
        listener: way.listener.clone(),
        end,
    };
    let told = done(&rule(End::After(USUAL)), &way);
    assert!(told.contains("at :16443, for 1 h; then all go to haproxy (pid 12) again"), "{told}");
    let away = Way { is_away: true, ..way.clone() };
    let told = done(&rule(End::Held(1)), &away);
    assert!(
        told.contains("while this command runs") && told.contains("not on this host now"),
        "{told}"
    );
}

#[test]
fn options_without_a_share_are_not_passed_over() {
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        canary: Canary,
    }
    let said = |words: &[&str]| {
        let cli = Cli::try_parse_from([&["canary"][..], words].concat());
        cli.map_err(|error| error.to_string()).and_then(|cli| checked(&cli.canary))
    };
    for fine in [
        &["5%", "--take", "10.0.0.5:6443", "--for", "10m"][..],
        &["100", "--hold", "--vip", "--proxied", "--force"],
        &["off"],
        &["off", "--take", "10.0.0.5:6443"],
        &["--json"],
    ] {
        assert_eq!(said(fine), Ok(()), "{fine:?}");
    }
    for wrong in [
        &["off", "--hold"][..],
        &["--for", "10m"],
        &["5%", "--json"],
        &["0%"],
        &["on"],
        &["5%", "--hold", "--for", "10m"],
        &["5%", "--for", "0s"],
        &["5%", "--for", "31d"],
        &["5%", "--take", "10.0.0.5"],
    ] {
        assert!(said(wrong).is_err(), "{wrong:?}");
    }
}
