//! The two programs as their shipped units start them, on a host of the cluster.

use eclusa_testkit::netns::Host;
use eclusa_testkit::process::{Runner, Running, Scratch, Unit, binary};
use eclusa_testkit::wait::wait_for;
use serde_json::Value;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

/// How long a start, an end or a record may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Which of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `eclusa-apiserver`
    Apiserver,
    /// `eclusa-edge`
    Edge,
}

impl Program {
    /// The name of its binary and its unit.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apiserver => "eclusa-apiserver",
            Self::Edge => "eclusa-edge",
        }
    }

    /// A runner for it as its unit would start it; arguments are to be added.
    ///
    /// # Panics
    /// The binary is not built, or there is no unit.
    #[must_use]
    #[track_caller]
    pub fn runner(self, host: Option<&Host>) -> Runner {
        let unit = Unit::shipped(self.name()).expect("the shipped unit");
        let program = binary(self.name()).unwrap_or_else(|error| panic!("{error}"));
        let runner = Runner::new(program).unit(&unit);
        match host {
            Some(host) => runner.host(host),
            None => runner,
        }
    }

    /// Starts it with `config` as its file and waits until it is ready.
    ///
    /// # Panics
    /// It cannot be started or does not become ready.
    #[must_use]
    #[track_caller]
    pub fn start(self, host: Option<&Host>, config: &str) -> Product {
        let mut product = self.launch(host, config);
        product.wait_ready();
        product
    }

    /// Starts it with `config` as its file; it may well end at once.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    #[track_caller]
    pub fn launch(self, host: Option<&Host>, config: &str) -> Product {
        self.launch_with(host, config, |runner| runner)
    }

    /// The same; `change` has the last word about how it is started.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    #[track_caller]
    pub fn launch_with(
        self,
        host: Option<&Host>,
        config: &str,
        change: impl FnOnce(Runner) -> Runner,
    ) -> Product {
        let file = ConfigFile::new(config);
        let runner = self.runner(host).args(["run", "-c"]).args([file.path()]);
        let running = change(runner).start().unwrap_or_else(|error| panic!("{error}"));
        Product { running, file: Some(file) }
    }

    /// Runs `check` on `config`, in the namespace of the test, as the test's user. The second
    /// value is the path of the file, which stands in the messages.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    #[track_caller]
    pub fn check(self, config: &str, options: &[&str]) -> (Output, PathBuf) {
        let file = ConfigFile::new(config);
        let program = binary(self.name()).unwrap_or_else(|error| panic!("{error}"));
        let mut command = std::process::Command::new(program);
        command.args(["check", "-c"]).arg(file.path()).args(options);
        (command.output().expect("the program runs"), file.path().to_owned())
    }
}

/// A configuration file that the unit's user may read; gone when dropped.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    _scratch: Scratch,
}

impl ConfigFile {
    /// Writes it.
    ///
    /// # Panics
    /// The file system does not let us.
    #[must_use]
    #[track_caller]
    pub fn new(text: &str) -> Self {
        let scratch = Scratch::new("config").expect("a directory");
        let path = scratch.write("eclusa.toml", text).expect("a file");
        Self { path, _scratch: scratch }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A running program; all that [`Running`] tells, and its records. Killed when dropped.
#[derive(Debug)]
pub struct Product {
    running: Running,
    file: Option<ConfigFile>,
}

impl Deref for Product {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl DerefMut for Product {
    fn deref_mut(&mut self) -> &mut Running {
        &mut self.running
    }
}

impl From<Running> for Product {
    fn from(running: Running) -> Self {
        Self { running, file: None }
    }
}

impl Product {
    /// Its configuration file, if it has one.
    #[must_use]
    pub fn config(&self) -> Option<&Path> {
        self.file.as_ref().map(ConfigFile::path)
    }

    /// Waits for its event `ready` and returns it.
    ///
    /// # Panics
    /// It does not come.
    #[track_caller]
    pub fn wait_ready(&mut self) -> Value {
        self.running.wait_for_event(PATIENCE, "ready", |event| event["event"] == "ready")
    }

    /// The records of ended sessions that `wanted` takes.
    #[must_use]
    pub fn sessions_where(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut sessions = self.running.sessions();
        sessions.retain(wanted);
        sessions
    }

    /// Waits until `count` sessions that `wanted` takes have ended, and returns their records.
    ///
    /// # Panics
    /// There are fewer after [`PATIENCE`]: with the program's last words.
    #[track_caller]
    pub fn wait_sessions(
        &self,
        count: usize,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let mut last = 0;
        let found = eclusa_testkit::wait::try_until(PATIENCE, what, || {
            last = self.sessions_where(&wanted).len();
            last >= count
        });
        if let Err(error) = found {
            panic!("{error} ({last} of {count}); {}", self.running.last_words());
        }
        self.sessions_where(wanted)
    }

    /// Waits for the record of the session of `client` at the listener called `listener`; of several
    /// the last. (A client has the same port at two listeners now and then.)
    ///
    /// # Panics
    /// It does not come.
    #[must_use]
    #[track_caller]
    pub fn session_of(&self, client: std::net::SocketAddr, listener: &str) -> Value {
        let client = client.to_string();
        let is_it = |record: &Value| {
            let peer = record.get("peer").unwrap_or(&record["client"]);
            record["listener"] == listener && *peer == client.as_str()
        };
        wait_for(PATIENCE, &format!("the record of {client}"), || {
            self.running.sessions().into_iter().rfind(is_it)
        })
    }

    /// The worker that carried the session of this record, of `workers`: the number at the end of
    /// its id says so.
    #[must_use]
    pub fn worker_of(record: &Value, workers: u64) -> Option<u64> {
        let (_, number) = record["id"].as_str()?.rsplit_once('-')?;
        Some(number.parse::<u64>().ok()? % workers)
    }
}

/// Whether everything in `part` stands in `whole`: objects by key, the rest by equality. Texts in
/// `part` that end in `…` need only be the beginning.
#[must_use]
pub fn matches(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, wanted)| matches(whole.get(key).unwrap_or(&Value::Null), wanted))
        }
        (Value::String(whole), Value::String(part)) => match part.strip_suffix('…') {
            Some(beginning) => whole.starts_with(beginning),
            None => whole == part,
        },
        (whole, part) => whole == part,
    }
}
