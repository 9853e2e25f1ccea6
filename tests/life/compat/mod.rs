//! What knows HAProxy, against the real program: public clients read its socket, its table and its
//! metrics, field by field what `status --json` says, and give it orders.

mod compare;

use compare::Compared;
use e2e::ask::get;
use e2e::plain::{connect, echoes};
use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, full, size, wrong_of};
use e2e::python;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::{Scratch, Signal, binary};
use eclusa_testkit::wait::{wait_for, wait_until};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

const READER: &str = include_str!("reader.py");
/// Where Debian puts it.
const HATOP: &str = "/usr/bin/hatop";
const LISTENER: ([u8; 4], u16) = ([192, 168, 1, 2], 9000);
const OBSERVE: ([u8; 4], u16) = ([192, 168, 1, 2], 9644);

/// An edge with `up` endpoints that answer and `down` that do not.
struct Bed {
    edge: Product,
    client: Host,
    /// Where its socket is, and files for the reader.
    directory: PathBuf,
    _endpoints: Vec<Endpoint>,
    _cluster: Cluster,
    _scratch: Scratch,
}

impl Bed {
    fn start(up: u16, down: u16) -> Self {
        let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
        let scratch = Scratch::new("compat").unwrap();
        let directory = open_directory(&scratch);
        let worker = cluster.host("worker1");
        let start = |n: u16| {
            let address = SocketAddr::from(([10, 0, 1, 100], 9000 + n));
            worker.enter(|| Endpoint::start(address, Kind::Echo)).unwrap()
        };
        let endpoints: Vec<_> = (0..up).map(start).collect();
        let config = config(&directory, up, down);
        let edge = Program::Edge.start(Some(&cluster.host("edge")), &config);
        let client = cluster.host("outside1");
        let bed = Self {
            edge,
            client,
            directory,
            _endpoints: endpoints,
            _cluster: cluster,
            _scratch: scratch,
        };
        let verdicts = |verdict: &str| {
            let status = bed.status();
            let endpoints = status["pools"][0]["endpoints"].as_array().unwrap();
            endpoints.iter().filter(|endpoint| endpoint["verdict"] == verdict).count()
        };
        let all = |count: u16, verdict| verdicts(verdict) == usize::from(count);
        wait_until(PATIENCE, "verdicts", || all(up, "up") && all(down, "dead"));
        bed
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("haproxy.sock")
    }

    fn status(&self) -> Value {
        let mut command = Command::new(binary("eclusa-edge").unwrap());
        command.args(["status", "--json", "--socket"]);
        let output = command.arg(self.edge.run_directory().join("edge.sock")).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn connect(&self) -> TcpStream {
        connect(&self.client, LISTENER.into())
    }

    /// What public clients read.
    fn read(&self) -> Value {
        let told = self.directory.join("told.csv");
        let answer = get(&self.client, OBSERVE.into(), "/stats;csv");
        assert_eq!(answer.status, 200, "{}", answer.body);
        std::fs::write(&told, answer.body).unwrap();
        let mut reader = python::here();
        reader.args(["-W", "ignore", "-c", READER]).arg(self.socket()).arg(told);
        if Path::new(HATOP).exists() {
            reader.arg(HATOP);
        }
        let output = reader.output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Compares everything; each endpoint's, pool's and listener's fields.
    fn compare(&self) -> Compared {
        let (before, read) = (self.status(), self.read());
        let metrics = get(&self.client, OBSERVE.into(), "/metrics").body;
        compare::compare(&before, &read, &metrics)
    }
}

/// A directory where the service's user can make its socket.
fn open_directory(scratch: &Scratch) -> PathBuf {
    let directory = scratch.path().join("run");
    std::fs::create_dir(&directory).unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&directory, open).unwrap();
    directory
}

fn config(directory: &Path, up: u16, down: u16) -> String {
    let mut endpoints = String::new();
    for n in 0..up + down {
        // Nobody listens at the ports behind the first `up`.
        let more = if n == 1 { ", weight = 3, sessions_max = 50" } else { "" };
        let more = if n == 2 { ", backup = true" } else { more };
        let _ = writeln!(
            endpoints,
            "  {{ name = \"e{n}\", address = \"10.0.1.100:{}\"{more} }},",
            9000 + n
        );
    }
    format!(
        "workers = 2\nlame_duck = \"0s\"\n\
         haproxy_socket = {{ path = \"{}/haproxy.sock\", level = \"operator\", clients_max = 3 }}\n\
         observe = {{ listen = [\"192.168.1.2:9644\"], haproxy_stats = true, haproxy_names = true }}\n\
         [listener.web]\nlisten = [\"192.168.1.2:9000\"]\npool = \"pool\"\n\
         [pool.pool]\nbalance = \"round-robin\"\n\
         probe = {{ kind = \"tcp\", interval = \"200ms\", rise = 1, fall = 2 }}\n\
         endpoints = [\n{endpoints}]\n",
        directory.display()
    )
}

/// Says a line and hears the answer to its end.
fn say(socket: &Path, line: &str) -> String {
    // It is there a moment after the program is ready.
    let connected = || UnixStream::connect(socket).ok();
    let mut stream = wait_for(PATIENCE, "its socket", connected);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    writeln!(stream, "{line}").unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    told
}

/// An endpoint of a status.
fn endpoint<'a>(status: &'a Value, name: &str) -> &'a Value {
    let endpoints = status["pools"][0]["endpoints"].as_array().unwrap();
    endpoints.iter().find(|endpoint| endpoint["name"] == name).unwrap()
}

#[test]
fn public_clients_read_what_status_says() {
    let test = "public_clients_read_what_status_says";
    if skipped(test) || python::missing(test, &["haproxyadmin"]) {
        return;
    }
    let mut bed = Bed::start(4, size(40, 1));
    let standing: Vec<_> = (0..5).map(|_| bed.connect()).collect();
    assert!(standing.iter().all(|stream| echoes(stream, b"12345")));
    let done = "\n";
    let mut compared = bed.compare();
    let orders = [
        "set server pool/e0 state drain",
        "set weight pool/e1 200%",
        "disable server pool/e2",
        "set server pool/e4 weight 9",
    ];
    for order in orders {
        assert_eq!(say(&bed.socket(), order), done, "{order}");
    }
    let status = bed.status();
    let of = |name: &str| endpoint(&status, name);
    assert_eq!(of("e0")["admin"]["state"], "drain", "{status}");
    assert_eq!(of("e0")["admin"]["reason"], "over the HAProxy socket");
    assert_eq!((&of("e1")["weight"], &of("e1")["file_weight"]), (&6.into(), &3.into()));
    assert_eq!(say(&bed.socket(), "get weight pool/e1"), "6 (initial 3)\n\n");
    compared.add(bed.compare());
    let enabled = say(&bed.socket(), "enable server pool/e0; enable server pool/e2");
    assert_eq!(enabled, "\n\n");
    if full() {
        compared.add(bed.compare());
    }
    // Who ordered it stands in the log.
    let audited = |line: &str| {
        line.contains("\"event\":\"admin\"") && line.contains("endpoint drain pool/e0")
    };
    bed.edge.wait_for_line(PATIENCE, "the audit", audited);
    let readers = if compared.hatop { "haproxyadmin, hatop" } else { "haproxyadmin" };
    Item::new(format!("4.1 {readers}, a reader by names, exporter's names, beside status"))
        .bound("no field differs")
        .n(compared.fields)
        .record(
            compared.fields > 200 && compared.wrong.is_empty(),
            wrong_of(compared.fields, &compared.wrong),
        );
}

/// Runs Ansible's module by Ansible itself (PyPI's `ansible`), as a play on the host would; whether it was
/// content, and what it said.
fn ansible(bed: &Bed, arguments: &str) -> (bool, String) {
    let mut ansible = python::here();
    ansible.args(["-m", "ansible", "adhoc", "localhost", "--connection", "local"]);
    ansible.args(["--module-name", "community.general.haproxy", "--args"]);
    ansible.arg(format!("socket={} backend=pool {arguments}", bed.socket().display()));
    ansible.env("ANSIBLE_HOME", bed.directory.join("ansible"));
    let output = ansible.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

/// For a proof on a machine that has it: it takes seconds for each order.
#[test]
fn ansibles_module_gives_orders() {
    let test = "ansibles_module_gives_orders";
    let module = "import ansible_collections.community.general.plugins.modules.haproxy";
    if !full()
        || skipped(test)
        || !python::here().args(["-c", module]).output().unwrap().status.success()
    {
        return;
    }
    let bed = Bed::start(3, 0);
    let standing: Vec<_> = (0..6).map(|_| bed.connect()).collect();
    assert!(standing.iter().all(|stream| echoes(stream, b"12345")));
    let orders = [
        ("state=drain host=e0", "e0", "drain", true),
        ("state=enabled host=e0 weight=7 wait=true wait_interval=1", "e0", "ready", true),
        (
            "state=disabled host=e1 shutdown_sessions=true wait=true wait_interval=1",
            "e1",
            "maint",
            true,
        ),
        ("state=enabled host=e1", "e1", "ready", true),
        ("state=enabled host=e9 fail_on_not_found=true", "e1", "ready", false),
    ];
    let mut wrong = Vec::new();
    for (arguments, name, admin, content) in orders {
        let (was_content, said) = ansible(&bed, arguments);
        let status = bed.status();
        let found = endpoint(&status, name)["admin"]["state"].clone();
        if was_content != content || found != admin {
            wrong.push(format!("{arguments}: {found}, {said}"));
        }
    }
    let weight = endpoint(&bed.status(), "e0")["weight"].clone();
    wrong.extend((weight != 7).then(|| format!("weight {weight}")));
    Item::new("4.2 Ansible's module `community.general.haproxy`, by Ansible")
        .bound("each order is in force, and waited for where that is asked; one about nobody fails")
        .n(orders.len())
        .record(wrong.is_empty(), wrong_of(orders.len(), &wrong));
}

#[test]
fn orders_are_guarded_and_sessions_end() {
    if skipped("orders_are_guarded_and_sessions_end") {
        return;
    }
    let bed = Bed::start(2, 0);
    let standing: Vec<_> = (0..4).map(|_| bed.connect()).collect();
    assert!(standing.iter().all(|stream| echoes(stream, b"I stay")));
    let socket = bed.socket();
    let listed = say(&socket, "show sess");
    assert_eq!(listed.matches(" fe=web be=pool srv=e").count(), 4, "{listed}");
    // The last one is not taken away, and nothing here passes that by.
    assert_eq!(say(&socket, "set server pool/e0 state maint"), "\n");
    let refused = say(&socket, "set server pool/e1 state drain");
    assert!(
        refused.starts_with("Refused: pool pool would be left without an endpoint"),
        "{refused}"
    );
    assert_eq!(endpoint(&bed.status(), "e1")["admin"]["state"], "ready");
    assert_eq!(say(&socket, "enable server pool/e9"), "No such server.\n\n");
    assert_eq!(say(&socket, "set server x/e9 state ready"), "No such backend.\n\n");
    // Sessions of e0 end, those of e1 do not.
    let on_it = endpoint(&bed.status(), "e0")["sessions"].as_u64().unwrap();
    assert_eq!(say(&socket, "shutdown sessions server pool/e0"), "\n");
    wait_until(PATIENCE, "its sessions end", || endpoint(&bed.status(), "e0")["sessions"] == 0);
    let stays = standing.iter().filter(|stream| echoes(stream, b"still here")).count();
    assert!(on_it > 0 && on_it as usize + stays == 4, "{on_it} ended, {stays} stay");
    drop(standing);
    assert!(say(&socket, "show errors").starts_with("Total events captured on ["));
    assert!(get(&bed.client, OBSERVE.into(), "/haproxy?stats;csv").body.contains("pool,BACKEND,"));
    // A socket for questions alone, and no table where none is asked for.
    let config = config(&bed.directory, 2, 0).replace("haproxy.sock", "read.sock");
    let config = config.replace("level = \"operator\", ", "").replace("192.168.1.2", "127.0.0.1");
    let config = config.replace(", haproxy_stats = true, haproxy_names = true", "");
    let config = config.replace("1:9000\"]", "1:9005\"]").replace("1:9644", "1:9645");
    let mut reading = Program::Edge.start(Some(&bed.client), &config);
    let socket = bed.directory.join("read.sock");
    for order in ["set server pool/e1 state drain", "shutdown sessions server pool/e1"] {
        assert_eq!(say(&socket, order), "Permission denied\n\n");
    }
    assert!(say(&socket, "show stat").contains("pool,e1,"));
    let local = SocketAddr::from(([127, 0, 0, 1], 9645));
    assert_eq!(get(&bed.client, local, "/stats;csv").status, 404);
    assert!(!get(&bed.client, local, "/metrics").body.contains("haproxy_server"));
    reading.signal(Signal::TERM).unwrap();
    wait_until(PATIENCE, "its file goes with the program", || !socket.exists());
}

#[test]
fn below_quorum_nothing_is_taken_out() {
    if skipped("below_quorum_nothing_is_taken_out") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let host = cluster.host("worker1");
    let start = |n: u8| {
        let address = SocketAddr::from(([127, 0, 0, n], 7443));
        host.enter(|| Endpoint::start(address, Kind::Echo)).unwrap()
    };
    let _masters = [11, 12, 13].map(start);
    let scratch = Scratch::new("quorum").unwrap();
    let directory = open_directory(&scratch);
    let config = format!(
        "masters = [\"127.0.0.11\", \"127.0.0.12\", \"127.0.0.13\"]\nports = [7443]\n\
         listen = [\"127.0.0.1\"]\nprobe = {{ kind = \"tcp\", interval = \"200ms\" }}\n\
         haproxy_socket = {{ path = \"{}/haproxy.sock\", level = \"operator\" }}\n",
        directory.display()
    );
    let _balancer = Program::Apiserver.start(Some(&host), &config);
    let socket = directory.join("haproxy.sock");
    let up = || say(&socket, "show stat -1 4 -1 up").matches(",UP,").count() == 3;
    wait_until(PATIENCE, "three masters that are up", up);
    let state = say(&socket, "show servers state");
    let names: Vec<String> = state
        .lines()
        .skip(2)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            Some(format!("{}/{}", fields.get(1)?, fields.get(3)?))
        })
        .collect();
    assert_eq!(names.len(), 3, "{state}");
    assert_eq!(say(&socket, &format!("set server {} state maint", names[0])), "\n");
    for order in ["disable server NAME", "set server NAME state drain"] {
        let told = say(&socket, &order.replace("NAME", &names[1]));
        assert!(told.starts_with("Refused: pool ") && told.contains("can lose 0"), "{told}");
    }
    let state = say(&socket, "show servers state");
    let out = state.lines().skip(2).filter(|line| line.split(' ').nth(6) == Some("1")).count();
    assert_eq!(out, 1, "{state}");
}
