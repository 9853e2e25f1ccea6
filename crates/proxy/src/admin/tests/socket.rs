//! The file of the socket.

use super::*;
use crate::admin::socket::{Problem, SocketError};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;

fn scratch() -> Scratch {
    Scratch::new("socket").unwrap()
}

fn open(admin: &Admin, scratch: &Scratch) -> Result<Socket, SocketError> {
    Socket::open(admin, PROGRAM, scratch.path()).map(|(socket, _)| socket)
}

fn files(scratch: &Scratch) -> Vec<String> {
    let names = fs::read_dir(scratch.path()).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn its_mode_is_the_configured_one_and_it_goes_when_it_is_dropped() {
    let scratch = scratch();
    for mode in [0o660, 0o600, 0o666] {
        let socket = open(&Admin { mode, ..Admin::default() }, &scratch).unwrap();
        let path = scratch.path().join("apiserver.sock");
        assert_eq!(socket.place(), path);
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.mode() & 0o7777, mode);
        assert_eq!(files(&scratch), ["apiserver.sock"]);
        drop(socket);
        assert_eq!(files(&scratch), [""; 0]);
    }
    let edge = Socket::open(&Admin::default(), Program::Edge, scratch.path()).unwrap();
    assert_eq!(files(&scratch), ["edge.sock"]);
    drop(edge);
    let elsewhere = scratch.path().join("x.socket");
    let admin = Admin { socket: Some(elsewhere.clone()), ..Admin::default() };
    assert_eq!(open(&admin, &scratch).unwrap().place(), elsewhere);
}

#[test]
fn it_is_given_to_its_group_or_a_warning_says_why_not() {
    let scratch = scratch();
    let of = |group: &str| {
        let admin = Admin { group: Some(group.into()), ..Admin::default() };
        Socket::open(&admin, PROGRAM, scratch.path()).unwrap()
    };
    let own = rustix::process::getgid().as_raw();
    let (socket, warning) = of(&own.to_string());
    assert_eq!(warning, None);
    drop(socket);
    if rustix::process::getuid().is_root() {
        let (socket, warning) = of("4242");
        assert_eq!(warning, None);
        assert_eq!(fs::symlink_metadata(socket.place()).unwrap().gid(), 4242);
    }
    let (socket, warning) = of("nobody-knows-this");
    let warning = warning.unwrap();
    assert!(warning.contains("/etc/group has no `nobody-knows-this`"), "{warning}");
    assert_eq!(fs::symlink_metadata(socket.place()).unwrap().gid(), own);
}

#[test]
fn a_dead_instances_is_replaced_and_a_living_ones_is_not() {
    let scratch = scratch();
    let path = scratch.path().join("apiserver.sock");
    // A listener that is dropped leaves its file, as a process that is killed does.
    drop(UnixListener::bind(&path).unwrap());
    drop(UnixListener::bind(scratch.path().join(".apiserver.sock.new")).unwrap());
    let socket = open(&Admin::default(), &scratch).unwrap();
    assert_eq!(files(&scratch), ["apiserver.sock"]);
    UnixStream::connect(&path).unwrap();
    let error = open(&Admin::default(), &scratch).unwrap_err();
    assert!(matches!(error.problem, Problem::Living { .. }));
    let told = error.to_string();
    assert!(told.contains("a running program answers there"), "{told}");
    assert!(told.contains(&format!("pid {}", std::process::id())), "{told}");
    UnixStream::connect(&path).unwrap();
    drop(socket);
    assert_eq!(files(&scratch), [""; 0]);
}

#[test]
fn a_living_one_with_a_full_queue_lives() {
    let scratch = scratch();
    let path = scratch.path().join("apiserver.sock");
    let full = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    full.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    full.listen(0).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    let error = open(&Admin::default(), &scratch).unwrap_err();
    assert!(matches!(error.problem, Problem::Living { holder: None, .. }), "{error}");
    assert!(path.exists());
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let scratch = scratch();
    let path = scratch.path().join("apiserver.sock");
    fs::write(&path, "precious").unwrap();
    let error = open(&Admin::default(), &scratch).unwrap_err();
    assert!(matches!(error.problem, Problem::NoSocket(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    // A link to a file that somebody else has.
    let other = scratch.path().join("other");
    fs::write(&other, "precious").unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    open(&Admin::default(), &scratch).unwrap_err();
    assert!(path.is_symlink());
    fs::remove_file(&path).unwrap();
    // In the place of the first name, too.
    let first = scratch.path().join(".apiserver.sock.new");
    fs::write(&first, "precious").unwrap();
    open(&Admin::default(), &scratch).unwrap_err();
    assert_eq!(fs::read_to_string(&first).unwrap(), "precious");
    // A socket of another kind: somebody's, and nobody can say whether it is in use.
    fs::remove_file(&first).unwrap();
    let _datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let error = open(&Admin::default(), &scratch).unwrap_err();
    assert!(matches!(error.problem, Problem::Io(..)), "{error}");
}

#[test]
fn a_successors_is_not_removed() {
    let scratch = scratch();
    let path = scratch.path().join("apiserver.sock");
    let old = open(&Admin::default(), &scratch).unwrap();
    fs::remove_file(&path).unwrap();
    let new = open(&Admin::default(), &scratch).unwrap();
    drop(old);
    UnixStream::connect(new.place()).unwrap();
}

#[test]
fn a_path_that_cannot_be_is_told() {
    let scratch = scratch();
    let admin = |path: String| Admin { socket: Some(path.into()), ..Admin::default() };
    let long = format!("{}/{}", scratch.path().display(), "x".repeat(110));
    for path in [long, "/nonexistent/a.sock".to_owned(), "/dev/null/a.sock".to_owned()] {
        let error = open(&admin(path.clone()), &scratch).unwrap_err();
        assert!(matches!(error.problem, Problem::Io(..)), "{error}");
        assert!(error.to_string().contains(&path), "{error}");
    }
}

/// The engine's confinement leaves room for all of it: what is missing fails with EPERM or EACCES.
#[test]
fn it_works_in_a_confined_process() {
    let scratch = scratch();
    let test = "admin::tests::socket::in_confinement";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]);
    let child = command.env("PLACE", scratch.path()).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && out.contains("1 passed"), "{out}{err}");
}

#[test]
#[ignore = "a part of the test before, which gives it a process of its own"]
fn in_confinement() {
    use eclusa_sys::confine::{Files, Unlisted, restrict_calls, restrict_files};
    let place = PathBuf::from(std::env::var("PLACE").unwrap());
    drop(UnixListener::bind(place.join("apiserver.sock")).unwrap());
    let read = ["/etc/passwd", "/etc/group"].map(PathBuf::from).to_vec();
    restrict_files(&Files { read, write: vec![place.clone()] }).unwrap();
    restrict_calls(Unlisted::Refused).unwrap();
    let own = rustix::process::getgid().as_raw().to_string();
    let admin = Admin { group: Some(own.into()), ..Admin::default() };
    let (socket, warning) = Socket::open(&admin, PROGRAM, &place).unwrap();
    assert_eq!(warning, None);
    let (mut state, notices) = State::open(&place, PROGRAM, Moment::now());
    assert_eq!(notices, [""; 0]);
    let order = Override {
        pool: "apiserver".to_owned(),
        endpoint: "m1".to_owned(),
        order: Order::Weight(7),
        file: File { address: "10.0.0.11:6443".to_owned(), weight: 1 },
        at: Moment::now(),
        by: "root".to_owned(),
        until: None,
        reason: None,
    };
    assert_eq!(state.set(order), Kept::Kept);
    fs::write(place.join("apiserver.json"), "rubbish").unwrap();
    let (_, notices) = State::open(&place, PROGRAM, Moment::now());
    assert!(notices[0].contains("it is kept as"), "{notices:?}");
    let path = socket.place().to_owned();
    reactor().unwrap().block_on(async move {
        let (seen, report) = (Arc::default(), pages::report());
        let (under_way, recent) = (Rc::default(), Arc::default());
        let operate = Fixed { seen, report, size: 1, under_way, recent };
        let desk = Rc::new(Desk::new(operate, |_| {}));
        let serving = serve(socket, desk, Patience::default()).unwrap();
        let asked = tokio::task::spawn_blocking(move || Client::new(&path).is_served());
        assert!(asked.await.unwrap());
        drop(serving);
    });
    assert!(!place.join("apiserver.sock").exists());
}
