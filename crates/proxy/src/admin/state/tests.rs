//! What was ordered, across restarts, changed files and broken disks.

use super::*;
use eclusa_config::{Mode, parse};
use eclusa_testkit::process::Scratch;
use std::fs;
use std::time::Duration;

const PROGRAM: Program = Program::Apiserver;
const NOW: Moment = Moment::from_unix(1_795_582_800);

fn later(seconds: u64) -> Moment {
    NOW.after(Duration::from_secs(seconds))
}

fn scratch() -> Scratch {
    Scratch::new("state").unwrap()
}

fn order(endpoint: &str, order: Order) -> Override {
    Override {
        pool: "apiserver".to_owned(),
        endpoint: endpoint.to_owned(),
        order,
        file: File { address: format!("{endpoint}:6443"), weight: 1 },
        at: NOW,
        by: "root".to_owned(),
        until: None,
        reason: Some("new kernel".to_owned()),
    }
}

fn drain(endpoint: &str) -> Override {
    order(endpoint, Order::Admin(AdminState::Drain))
}

/// A state that must have nothing to tell.
fn open(scratch: &Scratch) -> State {
    let (state, notices) = State::open(scratch.path(), PROGRAM, NOW);
    assert_eq!(notices, [""; 0]);
    state
}

fn plan(masters: &str) -> Plan {
    let text = format!("masters = [{masters}]\n");
    parse(PROGRAM, "plan", &text, Mode::Offline).unwrap().plan
}

fn files(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(scratch.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_was_ordered_survives_a_restart() {
    let scratch = scratch();
    let mut state = open(&scratch);
    assert_eq!(files(&scratch), [""; 0], "nothing was ordered");
    assert_eq!(state.set(drain("10.0.0.11")), Kept::Kept);
    assert_eq!(state.set(order("10.0.0.11", Order::Weight(20))), Kept::Kept);
    let maint = Override {
        until: Some(later(7_200)),
        ..order("10.0.0.12", Order::Admin(AdminState::Maint))
    };
    assert_eq!(state.set(maint), Kept::Kept);
    assert_eq!(files(&scratch), ["apiserver.json"]);
    let reopened = open(&scratch);
    assert_eq!(reopened.orders, state.orders);
    let (admin, why) = reopened.admin("apiserver", "10.0.0.11").unwrap();
    assert_eq!((admin, why.reason.as_deref()), (AdminState::Drain, Some("new kernel")));
    assert_eq!(reopened.weight("apiserver", "10.0.0.11").unwrap().0, 20);
    assert!(reopened.weight("apiserver", "10.0.0.12").is_none());
    assert!(reopened.admin("other", "10.0.0.11").is_none());
    let report = reopened.report();
    assert_eq!(report.len(), 3);
    assert_eq!(
        (&*report[1].order, &*report[1].file, report[1].kept),
        ("weight 20", "weight 1", true)
    );
    // The other program's is another file.
    let (edge, notices) = State::open(scratch.path(), Program::Edge, NOW);
    assert!(edge.orders.is_empty() && notices.is_empty());
}

#[test]
fn the_last_order_counts_and_what_the_file_says_ends_it() {
    let scratch = scratch();
    let mut state = open(&scratch);
    let endpoint = "10.0.0.11";
    for (given, left) in [
        (Order::Admin(AdminState::Drain), 1),
        (Order::Admin(AdminState::Maint), 1),
        (Order::Weight(7), 2),
        (Order::Weight(1), 1),
        (Order::Admin(AdminState::Ready), 0),
    ] {
        assert_eq!(state.set(order(endpoint, given)), Kept::Kept);
        assert_eq!(state.orders.len(), left, "{given}");
        assert_eq!(open(&scratch).orders, state.orders);
    }
    let _ = state.set(drain(endpoint));
    let _ = state.set(order(endpoint, Order::Weight(7)));
    let _ = state.set(drain("10.0.0.12"));
    let (ended, kept) = state.reset("apiserver", endpoint);
    assert_eq!((ended.len(), kept), (2, Kept::Kept));
    assert_eq!(open(&scratch).orders.len(), 1);
}

#[test]
fn time_runs_while_the_program_does_not() {
    let scratch = scratch();
    let mut state = open(&scratch);
    let until = |seconds| Some(later(seconds));
    let _ = state.set(Override { until: until(7_200), ..drain("10.0.0.11") });
    let _ = state.set(Override { until: until(60), ..order("10.0.0.11", Order::Weight(9)) });
    let _ = state.set(drain("10.0.0.12"));
    assert_eq!(state.next_expiry(), until(60));
    assert_eq!(state.expire(later(59)), []);
    assert_eq!(state.expire(later(60)).len(), 1);
    assert_eq!(state.next_expiry(), until(7_200));
    drop(state);
    let (state, notices) = State::open(scratch.path(), PROGRAM, later(7_199));
    assert_eq!((state.orders.len(), notices.len()), (2, 0));
    let (state, notices) = State::open(scratch.path(), PROGRAM, later(7_200));
    assert_eq!(state.orders.len(), 1);
    assert_eq!(
        notices,
        ["apiserver/10.0.0.11: drain until 2026-11-25T07:00:00Z, ordered by root at \
          2026-11-25T05:00:00Z (new kernel): its time is over"]
    );
    assert_eq!(open(&scratch).orders, state.orders, "and not asked again");
}

#[test]
fn where_the_file_changed_it_wins() {
    let scratch = scratch();
    let mut state = open(&scratch);
    for endpoint in ["10.0.0.11", "10.0.0.12", "10.0.0.13"] {
        let _ = state.set(drain(endpoint));
        let _ = state.set(order(endpoint, Order::Weight(9)));
    }
    let same = "\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"";
    assert_eq!(state.reconcile(&plan(same)), []);
    // One has another weight, one is gone, one is another machine by the same name.
    let changed = "{ address = \"10.0.0.11\", weight = 4 }, \
                   { address = \"10.0.0.99\", name = \"10.0.0.13\" }, \"10.0.0.14\"";
    let dropped = state.reconcile(&plan(changed));
    let told: Vec<_> = dropped
        .iter()
        .map(|dropped| (&*dropped.order.endpoint, dropped.order.order, &*dropped.why))
        .collect();
    let (drain, weight) = (Order::Admin(AdminState::Drain), Order::Weight(9));
    let gone = "the file has no such endpoint";
    let moved = "for the file has it at 10.0.0.99:6443 now";
    assert_eq!(
        told,
        [
            ("10.0.0.11", weight, "for the file says weight 4 now, and said weight 1"),
            ("10.0.0.12", drain, gone),
            ("10.0.0.12", weight, gone),
            ("10.0.0.13", drain, moved),
            ("10.0.0.13", weight, moved),
        ]
    );
    assert!(dropped[0].to_string().contains(": ended, for the file says"), "{}", dropped[0]);
    assert_eq!(open(&scratch).orders, state.orders);
    assert_eq!(state.orders.len(), 1);
}

#[test]
fn names_of_the_plan_are_those_of_the_orders() {
    let plan = plan("\"10.0.0.11\", { address = \"m2.example:7443\", name = \"second\" }");
    let files: Vec<_> = plan.pools[0].endpoints.iter().map(File::of).collect();
    assert_eq!(files[0], File { address: "10.0.0.11:6443".to_owned(), weight: 1 });
    assert_eq!(files[1].address, "m2.example:7443");
    assert_eq!((&*plan.pools[0].name, &*plan.pools[0].endpoints[1].name), ("apiserver", "second"));
}

/// Killed between writing and renaming: what was there before holds.
#[test]
fn half_a_file_is_no_file() {
    let scratch = scratch();
    let mut state = open(&scratch);
    let _ = state.set(drain("10.0.0.11"));
    let whole = fs::read_to_string(scratch.path().join("apiserver.json")).unwrap();
    for left in [&whole[..whole.len() / 2], ""] {
        scratch.write("apiserver.json.new", left).unwrap();
        let mut reopened = open(&scratch);
        assert_eq!(reopened.orders, state.orders);
        assert_eq!(files(&scratch), ["apiserver.json"]);
        // Nor is one that comes while the program runs.
        scratch.write("apiserver.json.new", left).unwrap();
        assert_eq!(reopened.set(drain("10.0.0.11")), Kept::Kept);
    }
    // Not even one that could write elsewhere.
    let precious = scratch.write("precious", "precious").unwrap();
    std::os::unix::fs::symlink(&precious, scratch.path().join("apiserver.json.new")).unwrap();
    assert_eq!(state.set(drain("10.0.0.12")), Kept::Kept);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[test]
fn what_cannot_be_used_is_put_aside_and_told() {
    let whole = {
        let scratch = scratch();
        let _ = open(&scratch).set(drain("10.0.0.11"));
        fs::read_to_string(scratch.path().join("apiserver.json")).unwrap()
    };
    for (text, told) in [
        (
            whole.replace("\"version\": 1", "\"version\": 2"),
            "has version 2, and this program writes 1",
        ),
        (whole.replace("\"version\": 1", "\"version\": 1, \"new\": {}"), "unknown field `new`"),
        (whole.replace("eclusa-apiserver", "eclusa-edge"), "is not of eclusa-apiserver"),
        (whole.replace("drain", "explode"), "unknown variant `explode`"),
        (whole.replace("new kernel", "\\u001b[2J"), "without control characters"),
        (whole.replace("10.0.0.11\"", "\\u0000\""), "cannot be a name"),
        (whole.replace("2026-11-25", "soon"), "is no moment"),
        (whole[..whole.len() - 9].to_owned(), "is not what this program writes"),
        (String::new(), "is not what this program writes"),
        ("\u{1b}[2J".to_owned(), "is not what this program writes"),
        ("[".repeat(100_000), "is not what this program writes"),
    ] {
        let scratch = scratch();
        scratch.write("apiserver.json", &text).unwrap();
        let (mut state, notices) = State::open(scratch.path(), PROGRAM, NOW);
        assert!(state.orders.is_empty(), "{told}");
        assert_eq!(notices.len(), 1);
        assert!(notices[0].contains(told), "{}", notices[0]);
        assert!(!notices[0].contains(char::is_control), "{:?}", notices[0]);
        assert_eq!(files(&scratch), ["apiserver.json.bad"]);
        assert_eq!(fs::read_to_string(scratch.path().join("apiserver.json.bad")).unwrap(), text);
        // It goes on from there.
        assert_eq!(state.set(drain("10.0.0.12")), Kept::Kept);
        assert_eq!(open(&scratch).orders.len(), 1);
    }
}

#[test]
fn bytes_and_things_that_are_no_file() {
    let scratch = scratch();
    fs::write(scratch.path().join("apiserver.json"), [0xff, 0xfe, 0]).unwrap();
    let (_, notices) = State::open(scratch.path(), PROGRAM, NOW);
    assert!(notices[0].contains("it is kept as"), "{notices:?}");
    // A pipe would be waited for, a directory cannot be read.
    let path = scratch.path().join("apiserver.json");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    let (_, notices) = State::open(scratch.path(), PROGRAM, NOW);
    assert!(notices[0].contains("it is no file"), "{notices:?}");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let (mut state, notices) = State::open(scratch.path(), PROGRAM, NOW);
    assert!(notices[0].contains("it is no file"), "{notices:?}");
    let kept = state.set(drain("10.0.0.11"));
    assert!(matches!(kept, Kept::UntilRestart(_)), "{kept:?}");
    assert!(path.is_dir());
    // A link is not followed.
    fs::remove_dir(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    let (_, notices) = State::open(scratch.path(), PROGRAM, NOW);
    assert!(notices[0].contains("cannot be read"), "{notices:?}");
}

/// Says so to whoever orders, once to the log, and tries again with the next order.
fn holds_until_restart(directory: &Path, told: &str, mend: impl FnOnce()) {
    let (mut state, _) = State::open(directory, PROGRAM, NOW);
    for endpoint in ["10.0.0.11", "10.0.0.12"] {
        let Kept::UntilRestart(message) = state.set(drain(endpoint)) else { panic!("it is kept") };
        assert!(message.starts_with("kept until the next restart only: "), "{message}");
        assert!(message.contains(told), "{message}");
    }
    let warning = state.take_warning().unwrap();
    assert!(warning.starts_with("what was ordered is kept until the next restart only"));
    assert_eq!(state.take_warning(), None, "once");
    assert_eq!(state.orders.len(), 2, "they hold");
    assert!(state.report().iter().all(|order| !order.kept));
    mend();
    assert_eq!(state.set(drain("10.0.0.13")), Kept::Kept);
    assert!(state.report().iter().all(|order| order.kept));
    let (reopened, notices) = State::open(directory, PROGRAM, NOW);
    assert_eq!(notices, [""; 0]);
    assert_eq!(reopened.orders, state.orders);
}

#[test]
fn without_a_directory_an_order_holds_until_the_restart() {
    let scratch = scratch();
    let directory = scratch.path().join("not").join("there");
    holds_until_restart(&directory, "No such file", || {
        fs::create_dir(directory.parent().unwrap()).unwrap();
    });
    let mut state = State::in_memory();
    assert!(matches!(state.set(drain("10.0.0.11")), Kept::UntilRestart(_)));
    assert_eq!((state.take_warning(), state.orders.len()), (None, 1));
}

/// In a mount namespace of its own, where a disk can be full or read-only even for root.
#[test]
fn a_full_or_read_only_disk_is_survived() {
    let scratch = scratch();
    let place = scratch.directory("disk", None).unwrap();
    let script = "mount -t tmpfs -o size=4k,nr_inodes=20 tmpfs \"$PLACE\" && exec \"$0\" \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["admin::state::tests::on_a_tiny_disk", "--exact", "--ignored", "--nocapture"]);
    let output = command.env("PLACE", &place).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if err.contains("unshare:") || err.contains("mount:") {
        eprintln!("no mount namespace here: {err}");
        return;
    }
    assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
}

#[test]
#[ignore = "a part of the test before, which gives it a disk of one page"]
fn on_a_tiny_disk() {
    let place = PathBuf::from(std::env::var("PLACE").unwrap());
    let ballast = place.join("ballast");
    fs::write(&ballast, "x").unwrap();
    holds_until_restart(&place, "No space left", || fs::remove_file(&ballast).unwrap());
    let before = fs::read(place.join("apiserver.json")).unwrap();
    // The old one takes the page: the new one has no room beside it, and the old one stays.
    let (mut state, _) = State::open(&place, PROGRAM, NOW);
    assert!(matches!(state.set(drain("10.0.0.14")), Kept::UntilRestart(_)));
    assert_eq!(fs::read(place.join("apiserver.json")).unwrap(), before);
    assert!(!place.join("apiserver.json.new").exists());
    fs::remove_file(place.join("apiserver.json")).unwrap();
    let remount = |how: &str| {
        let options = format!("remount,{how}");
        let mut mount = std::process::Command::new("mount");
        assert!(mount.args(["-o", &options]).arg(&place).status().unwrap().success());
    };
    remount("ro");
    holds_until_restart(&place, "Read-only file system", || remount("rw"));
    // Rubbish on a disk that cannot be written to.
    fs::write(place.join("apiserver.json"), "rubbish").unwrap();
    remount("ro");
    let (state, notices) = State::open(&place, PROGRAM, NOW);
    assert!(state.orders.is_empty());
    assert!(notices[0].contains("it cannot be put aside"), "{notices:?}");
}

/// What a reload on trial ends comes back with what was before, in the next engine as well.
#[test]
fn what_is_on_trial_ends_no_order_for_good() {
    let scratch = scratch();
    let mut state = open(&scratch);
    let weight = order("10.0.0.12", Order::Weight(20));
    for order in [drain("10.0.0.11"), weight.clone()] {
        assert_eq!(state.set(order), Kept::Kept);
    }
    let (all, one) = (plan("\"10.0.0.11\", \"10.0.0.12\""), plan("\"10.0.0.13\""));
    assert_eq!(state.reconcile_on_trial(&one).len(), 2);
    assert!(state.is_empty());
    // Somebody orders otherwise meanwhile.
    let other = order("10.0.0.12", Order::Weight(7));
    assert_eq!(state.set(other.clone()), Kept::Kept);
    let mut next = open(&scratch);
    assert_eq!((next.orders.len(), next.reconcile(&all).len()), (2, 0), "in force again");
    assert_eq!(next.weight("apiserver", "10.0.0.12").unwrap().0, 7);
    state.resume(NOW);
    assert_eq!(state.orders, next.orders);
    assert_eq!(state.reconcile(&all), []);
    // Ordered otherwise meanwhile: that holds.
    assert_eq!(state.reconcile_on_trial(&one).len(), 2);
    let _ = state.reset("apiserver", "10.0.0.12");
    assert_eq!(state.set(order("10.0.0.11", Order::Admin(AdminState::Ready))), Kept::Kept);
    state.resume(NOW);
    assert!(state.is_empty());
    for order in [drain("10.0.0.11"), weight] {
        assert_eq!(state.set(order), Kept::Kept);
    }
    // Confirmed: they are over.
    assert_eq!(state.reconcile_on_trial(&one).len(), 2);
    state.settle();
    state.resume(NOW);
    assert!(state.is_empty());
    assert!(open(&scratch).is_empty());
}

/// What was added and removed, and what a file makes of it.
#[test]
fn what_is_there_by_order_ends_when_the_file_says_the_same() {
    let scratch = scratch();
    let mut state = open(&scratch);
    let removed = order("10.0.0.11", Order::Removed);
    let file = File { address: "10.0.0.14".to_owned(), weight: 1 };
    let added = Override { file, ..order("four", Order::Added(2)) };
    let before = state.snapshot();
    state.stage(vec![added.clone(), removed.clone()]);
    state.restore(before);
    assert!(state.is_empty(), "as if nothing had been said");
    state.stage(vec![added.clone(), removed.clone()]);
    assert_eq!(state.commit(), Kept::Kept);
    let mut state = open(&scratch);
    let amended = |state: &State, masters: &str| {
        let text = format!("masters = [{masters}]\n");
        let read = |text: &str| parse(PROGRAM, "plan", text, Mode::Offline);
        let amended = state.amend(PROGRAM, read(&text).unwrap(), read);
        let plan = amended.loaded.plan;
        let names = plan.pools[0].endpoints.iter().map(|it| (it.name.to_string(), it.weight));
        (names.collect::<Vec<_>>(), amended.overtaken)
    };
    let one = |name: &str, weight| (name.to_owned(), weight);
    let (names, overtaken) = amended(&state, "\"10.0.0.11\", \"10.0.0.12\"");
    assert_eq!((names, overtaken), (vec![one("10.0.0.12", 1), one("four", 2)], Vec::new()));
    // Listed by now under another name, and the other no more: both are over.
    let (names, overtaken) = amended(&state, "\"10.0.0.12\", \"10.0.0.14\"");
    assert_eq!(names, [one("10.0.0.12", 1), one("10.0.0.14", 1)]);
    let why: Vec<_> = overtaken.iter().map(|dropped| dropped.why.as_str()).collect();
    assert!(why.iter().any(|why| why.contains("no such endpoint")), "{why:?}");
    assert!(why.iter().any(|why| why.contains("the same address")), "{why:?}");
    state.overtake(&overtaken, true);
    assert!(state.is_empty());
    state.resume(NOW);
    assert_eq!(state.orders.len(), 2, "on trial only");
    state.overtake(&overtaken, false);
    assert!(open(&scratch).is_empty());
    // The opposite of an order ends it.
    state.stage(vec![added.clone(), removed.clone()]);
    let file = File { address: "10.0.0.11".to_owned(), weight: 1 };
    let back = Override { file, ..order("10.0.0.11", Order::Added(1)) };
    state.stage(vec![order("four", Order::Removed), back]);
    assert!(state.is_empty());
}
