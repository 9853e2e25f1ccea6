//! Files with a mistake, and what is to be told of each.

use super::file::TIGHT;
use eclusa_testkit::ca::Ca;
use eclusa_testkit::process::Scratch;
use std::path::Path;

/// A port on which another program listens.
pub const TAKEN: u16 = 7999;

/// How a file that is right becomes wrong.
#[derive(Debug)]
enum Edit {
    /// The first of these texts in it is another.
    Swap(&'static str, String),
    /// All of these texts in it are another.
    SwapAll(&'static str, &'static str),
    /// It has one more line at its top.
    Top(&'static str),
    /// It has more at its end.
    End(String),
    /// It ends where this text begins.
    Cut(&'static str),
    /// It is something else.
    Whole(Vec<u8>),
    /// It is not there.
    Gone,
}

/// A file with a mistake.
#[derive(Debug)]
pub struct Broken {
    edit: Edit,
    /// What stands in the message.
    pub told: String,
    /// The exit code of `reload`.
    pub code: i32,
}

impl Broken {
    fn new(edit: Edit, told: impl Into<String>) -> Self {
        Self { edit, told: told.into(), code: 1 }
    }

    /// The guard refuses: `--force` would pass.
    fn guarded(self) -> Self {
        Self { code: 3, ..self }
    }

    /// The bytes of the file that `good` becomes; `None`: there is none.
    #[track_caller]
    pub fn of(&self, good: &str) -> Option<Vec<u8>> {
        let text = match &self.edit {
            Edit::Swap(from, to) => {
                assert!(good.contains(from), "no `{from}` in {good}");
                good.replacen(from, to, 1)
            }
            Edit::SwapAll(from, to) => good.replace(from, to),
            Edit::Top(line) => format!("{line}\n{good}"),
            Edit::End(more) => format!("{good}{more}"),
            Edit::Cut(at) => {
                let (kept, _) = good.split_once(at).unwrap_or_else(|| panic!("no `{at}`"));
                kept.to_owned()
            }
            Edit::Whole(bytes) => return Some(bytes.clone()),
            Edit::Gone => return None,
        };
        Some(text.into_bytes())
    }
}

fn swap(from: &'static str, to: impl Into<String>, told: impl Into<String>) -> Broken {
    Broken::new(Edit::Swap(from, to.into()), told)
}

fn top(line: &'static str, told: &str) -> Broken {
    Broken::new(Edit::Top(line), told)
}

fn end(more: impl Into<String>, told: impl Into<String>) -> Broken {
    Broken::new(Edit::End(more.into()), told)
}

/// All of them, kind by kind.
#[must_use]
pub fn all(scratch: &Scratch, ca: &Ca) -> Vec<Broken> {
    let mut all = keys();
    all.extend(values());
    all.extend(names());
    all.extend(contradictions());
    all.extend(texts());
    all.extend(files(scratch, ca));
    all.extend(host());
    all.extend(shrunk());
    all
}

/// Keys that nobody knows, or not there, and what lacks.
fn keys() -> Vec<Broken> {
    vec![
        top("idle_timout = \"1h\"", "unknown key `idle_timout` at the top level"),
        swap("pool = \"tight\"", "pol = \"tight\"", "did you mean `pool`?"),
        swap("slow_start", "slow_strat", "unknown key `slow_strat` in `pool.masters`"),
        top("masters = [\"10.0.0.11\"]", "`masters` is a key of eclusa-apiserver"),
        end("[listner.more]\n", "unknown key `listner` at the top level"),
        swap("[\"192.168.1.2:7001\"]\npeek", "[]\npeek", "`listen` is empty"),
        swap("endpoints = [\n", "endpoint = [\n", "`endpoints` is missing in `pool.masters`"),
        swap("pool = \"tight\"\n", "", "no pool in `listener.tight`"),
    ]
}

/// Values of the wrong type, out of range, or none at all.
fn values() -> Vec<Broken> {
    vec![
        swap("workers = 2", "workers = \"2\"", "`workers` is a string"),
        swap("fail_open = true", "fail_open = \"yes\"", "`fail_open` is a string"),
        swap("slow_start = \"0s\"", "slow_start = 0", "`slow_start` is a whole number"),
        top("log = \"stderr\"", "`log` is a string"),
        swap("probe = { kind = \"none\" }", "probe = [\"none\"]", "`probe` is a list"),
        swap("workers = 2", "workers = 0", "`workers` is out of range"),
        swap("weight = 2 }]", "weight = 257 }]", "`weight` is out of range"),
        swap("slow_start = \"0s\"", "slow_start = \"60\"", "`60` has no unit"),
        swap("slow_start = \"0s\"", "slow_start = \"2h\"", "`2h` is too long"),
        swap("stop_deadline = \"2", "stop_deadline = \"soon 2", "is no duration"),
        swap("balance = \"", "balance = \"not-", "is none of the choices"),
        swap("\"192.168.1.2:7001\"", "\"192.168.1.2\"", "`192.168.1.2` has no port"),
        swap("path = \"/readyz\"", "path = \"readyz\"", "`readyz` is no path"),
        swap("\"203.0.113.12\"", "\"203.0.113.12/24\"", "`203.0.113.12/24` has host bits set"),
    ]
}

/// Names of what is not there, or there twice.
fn names() -> Vec<Broken> {
    vec![
        swap("pool = \"tight\"", "pool = \"tihgt\"", "there is no pool `tihgt`"),
        swap("source = [", "when = { named = \"inside\" }\n#", "there is no condition `inside`"),
        end("[pool.tight]\nendpoints = [\"10.0.1.100:1\"]\n", "`tight` is there twice"),
    ]
}

/// What cannot be together.
fn contradictions() -> Vec<Broken> {
    vec![
        swap("192.168.1.2:7001", "0.0.0.0:6443", "are in each other's way"),
        swap("192.168.1.2:7001", "192.168.1.2:6443", "is listened on twice"),
        swap("\"10.0.1.100:7001\"", "\"192.168.1.2:7443\"", "connections would go in circles"),
        swap("[pool.green]", "[pool.green]\nqueue = 5", "`queue` says nothing: without a limit"),
        swap("fall = ", "fast_interval = \"5s\"\nfall = ", "`fast_interval` is longer"),
        top("upstreams_within = [\"10.0.1.0/24\"]", "`10.0.0.11` lies outside `upstreams_within`"),
        swap("kind = \"none\"", "kind = \"none\", path = \"/\"", "`path` says nothing to a probe"),
    ]
}

/// What is no TOML, or no text.
fn texts() -> Vec<Broken> {
    let whole = |bytes: &[u8], told: &str| Broken::new(Edit::Whole(bytes.to_vec()), told);
    vec![
        whole(b"frontend https\n    bind *:443\n", ":1:"),
        swap("endpoints = [\n", "endpoints = [[\n", "is not closed before this"),
        whole(b"log.target = \"/var/log/caf\xe9.log\"\n", "the file is not UTF-8 text"),
        Broken::new(Edit::Cut("[pool.green]"), "there is no pool `green`"),
        whole(b"", "no listener: there is nothing to do"),
        whole(&[b'#'; (16 << 20) + 1], "16777217 bytes are too many"),
        Broken::new(Edit::Gone, "cannot be read: No such file or directory"),
    ]
}

/// Files that are named and cannot be used.
fn files(scratch: &Scratch, ca: &Ca) -> Vec<Broken> {
    let with = |ca: &Path, told: &str| {
        swap("\nca = \"", format!("\nca = \"{}\" # \"", ca.display()), told)
    };
    let write = |name: &str, text: &str| scratch.write(name, text).unwrap();
    let no_certificate = write("none.pem", "nothing\n");
    let broken = write("broken.pem", &ca.pem().replace("-----END", "*-----END"));
    let [one, other] = ["one", "other"].map(|name| ca.leaf(&[name]).write(scratch.path(), name));
    let (one, other) = (one.unwrap(), other.unwrap());
    let pair = format!(
        "server_name = \"kubernetes\"\ncertificate = \"{}\"\nkey = \"{}\"",
        one.certificate.display(),
        other.key.display()
    );
    vec![
        with(&scratch.path().join("gone.pem"), "gone.pem` cannot be read: No such file"),
        with(scratch.path(), "cannot be read: "),
        with(&no_certificate, "none.pem` has no certificate in it"),
        with(&broken, "broken.pem` is broken"),
        swap("server_name = \"kubernetes\"", pair, "keys may not be consistent: KeyMismatch"),
    ]
}

/// What this host does not have, or others have.
fn host() -> Vec<Broken> {
    let listener = |address: &str| {
        format!("[listener.more]\nlisten = [\"{address}\"]\npeek = \"none\"\npool = \"tight\"\n")
    };
    let taken = format!("192.168.1.2:{TAKEN}");
    vec![
        end(listener(&taken), format!("{taken} is taken by")),
        swap("[pool.green]", "[pool.green]\nsource = [\"192.0.2.1\"]", "is no address to connect"),
        top("run_directory = \"/dev/null/eclusa\"", "`run_directory` cannot be used"),
    ]
}

/// What would take away too much.
fn shrunk() -> Vec<Broken> {
    let alone = format!(
        "workers = 2\n[listener.tight]\nlisten = [\"192.168.1.2:{TIGHT}\"]\npool = \"tight\"\n\
         [pool.tight]\nendpoints = [\"10.0.1.100:{TIGHT}\"]\nprobe = {{ kind = \"none\" }}\n"
    );
    let others = Edit::SwapAll("address = \"10.0.0.1", "address = \"10.0.0.10");
    let other = swap(
        "\"10.0.1.100:7001\"",
        "\"10.0.1.110:7001\"",
        "pool tight would lose 1 of 1 endpoints that are up; if that is meant: `reload --force`",
    );
    vec![
        other.guarded(),
        Broken::new(Edit::Whole(alone.into_bytes()), "pools that serve would be gone").guarded(),
        Broken::new(others, "pool masters would lose").guarded(),
    ]
}
