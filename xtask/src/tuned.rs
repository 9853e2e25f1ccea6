//! `cargo xtask tuned`: the programs as they ship, their code laid out by a profile of what they do.
//!
//! What a balancer spends outside the kernel is to a good part the fetching of its own code: a small
//! request touches a hundred kilobytes of it once. Laid out by a profile it touches half as much. The
//! profile comes from a run of the bench's loads: counted, never timed.

use crate::deny::DAEMONS;
use crate::{Outcome, step};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What building in release may take.
const BUILD: Duration = Duration::from_secs(3600);
/// What the loads may take.
const LOADS: Duration = Duration::from_secs(600);

/// What the programs do while they are watched.
const WATCHED: [&str; 15] = [
    "http-small/64",
    "http-fields/64",
    "http-64k/64",
    "http-1m/16",
    "http-fresh/32",
    "https-small/64",
    "https-handshake/32",
    "h2-tls/8",
    "h2c/8",
    "grpc-unary/8",
    "http-websocket/100",
    "tcp-ping-pong",
    "tcp-connect-close",
    "tcp-bulk-down",
    "tcp-passthrough/32",
];

/// `cargo xtask tuned`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Lay them out by this profile, which `dist` has written beside its packages, instead of watching them.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

/// What was built.
#[derive(Debug)]
pub struct Tuned {
    /// Where the programs are.
    pub programs: PathBuf,
    /// What they were laid out by.
    pub profile: PathBuf,
}

/// Builds them and tells where they are.
///
/// # Errors
/// As [`build`].
pub fn run(options: &Options) -> Outcome {
    let tuned = build(options.profile.as_deref())?;
    for program in DAEMONS {
        println!("tuned: {}", tuned.programs.join(program).display());
    }
    Ok(())
}

/// Builds the programs, by `profile` or by one that is made for it.
///
/// # Errors
/// rustup's `llvm-tools` are missing, something does not build, the loads do not run.
pub fn build(profile: Option<&Path>) -> Outcome<Tuned> {
    let folder = step::target_directory().join("tuned");
    let profile = match profile {
        Some(profile) => fs::canonicalize(profile)
            .map_err(|error| format!("tuned: {}: {error}", profile.display()))?,
        None => watch(&folder)?,
    };
    // What has changed since the profile was made is built without one, and that is no trouble.
    let flags = format!("-Cprofile-use={}", profile.display());
    let command = build_with(&folder.join("laid-out"), &flags)?;
    let programs = compile(command, &folder.join("laid-out"), &DAEMONS)?;
    Ok(Tuned { programs, profile })
}

/// Makes a profile, unless there is one of this very program.
fn watch(folder: &Path) -> Outcome<PathBuf> {
    let merge = tool()?;
    // Counted in place, as what is confined can write no file when it ends; values cannot be noted so.
    let flags = "-Cprofile-generate -Cllvm-args=-runtime-counter-relocation=true -Cllvm-args=-disable-vp=true";
    let watched = folder.join("watched");
    let program = compile(build_with(&watched, flags)?, &watched, &["eclusa-edge"])?;
    let program = program.join("eclusa-edge");
    let profile = folder.join("eclusa.profdata");
    if is_newer(&profile, &program) {
        return Ok(profile);
    }
    let counts = Counts::new()?;
    let mut loads = step::cargo();
    loads.args(["run", "--release", "--locked", "--quiet", "-p", "bench", "--", "run"]);
    loads.args(WATCHED).args([
        "--candidates",
        "eclusa",
        "--rounds",
        "1",
        "--seconds",
        "1",
        "--closed",
    ]);
    loads.env("BENCH_ECLUSA", program);
    loads.env("LLVM_PROFILE_FILE", counts.0.join("%c%p.profraw"));
    told(&mut loads, BUILD + LOADS)?;
    let mut command = Command::new(merge);
    // Not `--sparse`: what never ran is to be known as such.
    command.args(["merge", "--output"]).arg(&profile).arg(&counts.0);
    told(&mut command, LOADS)?;
    Ok(profile)
}

/// What compiles for this machine with these flags of rustc's. With a target of its own nothing that runs while
/// it compiles has the flags.
///
/// As one piece, since here nobody waits for it. What is watched must be built so, too: cargo puts these settings
/// into the names of all functions, and by other names the compiler finds nothing in a profile, without a word.
fn build_with(folder: &Path, flags: &str) -> Outcome<Command> {
    let mut command = step::cargo();
    command.args(["build", "--release", "--locked", "--target", &step::host()?]);
    command.env("CARGO_TARGET_DIR", folder).env("RUSTFLAGS", flags);
    command.env("CARGO_PROFILE_RELEASE_LTO", "fat").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    Ok(command)
}

/// Compiles programs; yields where they are.
fn compile(mut command: Command, folder: &Path, programs: &[&str]) -> Outcome<PathBuf> {
    command.args(programs.iter().flat_map(|program| ["-p", *program]));
    told(&mut command, BUILD)?;
    Ok(folder.join(step::host()?).join("release"))
}

/// Whether a file is there and was written after the other.
fn is_newer(file: &Path, other: &Path) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    written(file).zip(written(other)).is_some_and(|(file, other)| file > other)
}

/// What merges profiles of this compiler.
fn tool() -> Outcome<PathBuf> {
    let libraries = step::said(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let tool = Path::new(&libraries).with_file_name("bin").join("llvm-profdata");
    match tool.is_file() {
        true => Ok(tool),
        false => Err("tuned: there is no `llvm-profdata` of this compiler; rustup component add llvm-tools, \
                      or build without a profile (`dist --untuned`)"
            .into()),
    }
}

fn told(command: &mut Command, limit: Duration) -> Outcome {
    match step::run_quietly(command, limit).trouble {
        None => Ok(()),
        Some(trouble) => Err(format!("tuned: {}: {trouble}", step::typed(command))),
    }
}

/// A directory in which whatever user may write counts; removed when dropped.
struct Counts(PathBuf);

impl Counts {
    fn new() -> Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("eclusa-counts-{}", std::process::id()));
        let made = fs::create_dir(&folder)
            .and_then(|()| fs::set_permissions(&folder, Permissions::from_mode(0o1777)));
        made.map_err(|error| format!("tuned: {}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        // What is left there is temporary.
        let _ = fs::remove_dir_all(&self.0);
    }
}
