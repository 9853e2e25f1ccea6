//! `cargo xtask dist`: what operators install. For each program a Debian package, a tarball of the same
//! files and an SBOM, and the checksums of all of it.
//!
//! The same commit, built by the same compiler at the same place by the same profile, yields the same bytes:
//! every time stamp is that of the commit (`SOURCE_DATE_EPOCH`), and what packs is told to keep an order.

mod changelog;
mod deb;
mod files;
mod notices;
mod sbom;

use crate::deny::DAEMONS;
use crate::{Outcome, step, tree, tuned};
use files::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

/// What building in release may take.
const BUILD: Duration = Duration::from_secs(3600);

/// The version that is packed.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `cargo xtask dist`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where to; `dist` in cargo's target directory if not said.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The packages' version, for builds between releases: `0.1.0+1`.
    #[arg(long, value_name = "VERSION", default_value = VERSION)]
    version: String,
    /// Pack the programs in this directory instead of building them.
    #[arg(long, value_name = "DIR", env = "ECLUSA_BINARIES")]
    binaries: Option<PathBuf>,
    /// Lay the programs out by this profile, which an earlier run has written, instead of making one.
    #[arg(long, value_name = "FILE", conflicts_with = "binaries")]
    profile: Option<PathBuf>,
    /// Build the programs as `cargo build --release` does.
    #[arg(long, conflicts_with_all = ["binaries", "profile"])]
    untuned: bool,
}

impl Options {
    /// To that folder, of that version or the one of this checkout.
    pub fn new(out: PathBuf, version: Option<&str>) -> Self {
        let version = version.unwrap_or(VERSION).to_owned();
        // Programs that are at hand: for whoever tries the packages without building in release.
        Self {
            out: Some(out),
            version,
            binaries: std::env::var_os("ECLUSA_BINARIES").map(Into::into),
            profile: None,
            untuned: false,
        }
    }
}

/// What is packed, for one program.
#[derive(Debug)]
pub struct Package<'a> {
    /// `eclusa-edge`.
    pub program: &'a str,
    /// As Debian writes it.
    pub version: &'a str,
    /// Seconds since 1970, of everything in it.
    pub epoch: u64,
    /// `NAME <ADDRESS>`.
    pub maintainer: &'a str,
    /// Where the built programs are.
    pub binaries: &'a Path,
}

impl Package<'_> {
    /// `edge`, as in the names of the configuration file and the examples.
    pub fn short(&self) -> &str {
        self.program.strip_prefix("eclusa-").unwrap_or(self.program)
    }
}

/// Builds, packs and tells what it has written.
///
/// # Errors
/// A program is missing that packs, the build fails, a file cannot be read or written.
pub fn run(options: &Options) -> Outcome {
    let written = write(options)?;
    for path in &written {
        println!("dist: {}", path.display());
    }
    Ok(())
}

/// The same; yields the files.
///
/// # Errors
/// As [`run`].
pub fn write(options: &Options) -> Outcome<Vec<PathBuf>> {
    let missing: Vec<_> = TOOLS.iter().filter(|(tool, _)| !has(tool)).collect();
    if let Some((tool, package)) = missing.first() {
        return Err(format!("dist: there is no `{tool}`; apt-get install {package}"));
    }
    let version = &options.version;
    if !is_version(version) {
        return Err(format!(
            "dist: `{version}` is no version of a package: write digits and letters, `.`, `+`, `~`, \
             with a digit first, such as {VERSION}+1"
        ));
    }
    let (binaries, profile) = match &options.binaries {
        Some(folder) => (folder.clone(), None),
        None if options.untuned => (build()?, None),
        None => {
            let tuned = tuned::build(options.profile.as_deref())?;
            (tuned.programs, Some(tuned.profile))
        }
    };
    let out = options.out.clone().unwrap_or_else(|| step::target_directory().join("dist"));
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let (epoch, maintainer) = commit()?;
    let mut written = Vec::new();
    for program in DAEMONS {
        let (maintainer, binaries) = (maintainer.as_str(), binaries.as_path());
        let package = Package { program, version, epoch, maintainer, binaries };
        written.extend(package_all(&package, &out)?);
    }
    if let Some(profile) = profile {
        let copy = out.join(format!("eclusa_{version}.profdata"));
        fs::copy(&profile, &copy).map_err(|error| format!("{}: {error}", copy.display()))?;
        written.push(copy);
    }
    written.push(checksums(&written, &out)?);
    Ok(written)
}

/// What must be installed, and the Debian package of each.
const TOOLS: [(&str, &str); 5] = [
    ("dpkg-deb", "dpkg"),
    ("dpkg-shlibdeps", "dpkg-dev"),
    ("gzip", "gzip"),
    ("tar", "tar"),
    ("git", "git"),
];

fn has(tool: &str) -> bool {
    let mut command = Command::new(tool);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A native version without epoch (deb-version(7)).
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+~".contains(c))
}

/// Builds what ships as it ships; yields where it is.
fn build() -> Outcome<PathBuf> {
    let mut command = step::programs("release");
    match step::run(&mut command, BUILD).trouble {
        None => Ok(step::target_directory().join("release")),
        Some(trouble) => Err(format!("dist: {}: {trouble}", step::typed(&command))),
    }
}

/// The time of the last commit, and who made it: the maintainer. `SOURCE_DATE_EPOCH` comes first.
fn commit() -> Outcome<(u64, String)> {
    let log = said(step::program("git").args(["log", "-1", "--format=%ct %an <%ae>"]), &[])?;
    let log = String::from_utf8_lossy(&log).trim().to_owned();
    let (time, author) = log.split_once(' ').ok_or("dist: git log says nothing")?;
    let time = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| time.to_owned());
    let time = time.parse().map_err(|error| format!("dist: SOURCE_DATE_EPOCH {time}: {error}"))?;
    Ok((time, author.to_owned()))
}

/// Package, tarball and SBOM of one program.
fn package_all(package: &Package<'_>, out: &Path) -> Outcome<Vec<PathBuf>> {
    let graph = sbom::Graph::read(package.program)?;
    let sbom = out.join(format!("{}_{}.cdx.json", package.program, package.version));
    put(&sbom, sbom::render(package, &graph).as_bytes())?;
    let notices = notices::render(&graph)?;
    let files = files::all(package, &notices)?;
    let [deb, tarball] = pack(package, &files, out)?;
    Ok(vec![deb, tarball, sbom])
}

/// Package and tarball of these files.
fn pack(package: &Package<'_>, files: &[File], out: &Path) -> Outcome<[PathBuf; 2]> {
    let stage = Stage::new(out, package)?;
    Ok([deb::build(package, files, &stage, out)?, tarball(package, files, &stage, out)?])
}

/// A directory in which files are laid out to be packed; removed when dropped.
#[derive(Debug)]
struct Stage(PathBuf);

impl Stage {
    /// An empty one.
    fn new(out: &Path, package: &Package<'_>) -> Outcome<Self> {
        let folder = out.join(format!(".stage-{}-{}", package.program, std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left is hidden, and of no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The same files for hosts that are no Debian: to be unpacked at `/`.
fn tarball(package: &Package<'_>, files: &[File], stage: &Stage, out: &Path) -> Outcome<PathBuf> {
    let name = format!("{}-{}-{}-linux", package.program, package.version, std::env::consts::ARCH);
    let folder = stage.0.join(&name);
    // What is only Debian's business stays out.
    let files: Vec<_> = files.iter().filter(|file| !file.path.contains("/lintian/")).collect();
    files::lay_out(&folder, &files)?;
    let path = out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--sort=name",
        "--format=gnu",
        "--numeric-owner",
        "--owner=0",
        "--group=0",
    ]);
    tar.arg(format!("--mtime=@{}", package.epoch)).arg("--directory").arg(&stage.0).arg(&name);
    put(&path, &gzip(&said(&mut tar, &[])?)?)?;
    Ok(path)
}

/// `SHA256SUMS` beside the files.
fn checksums(written: &[PathBuf], out: &Path) -> Outcome<PathBuf> {
    let names = written.iter().filter_map(|path| path.file_name());
    let sums = said(Command::new("sha256sum").current_dir(out).arg("--").args(names), &[])?;
    let path = out.join("SHA256SUMS");
    put(&path, &sums)?;
    Ok(path)
}

/// Compressed, without name and time.
fn gzip(bytes: &[u8]) -> Outcome<Vec<u8>> {
    said(Command::new("gzip").args(["-9", "-n"]), bytes)
}

fn put(path: &Path, bytes: &[u8]) -> Outcome {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// What a program that is given `input` writes to standard output.
fn said(command: &mut Command, input: &[u8]) -> Outcome<Vec<u8>> {
    let typed = step::typed(command);
    let failed = |error: &dyn std::fmt::Display| format!("dist: {typed}: {error}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let stdin = child.stdin.take();
    // Beside the reading, or both could wait for each other.
    let output = thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    });
    let output = output.map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(output.stdout)
}

/// A text file of the repository.
fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(tree::root().join(path)).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests;
