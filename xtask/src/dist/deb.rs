//! The Debian package, packed by Debian's own `dpkg-deb`.

use super::files::{self, Content, File};
use super::{Package, Stage, put, said};
use crate::Outcome;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Scripts that `dpkg` runs.
pub const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Packs it; yields the file.
///
/// # Errors
/// Debian's tools refuse, or a file cannot be written.
pub fn build(package: &Package<'_>, files: &[File], stage: &Stage, out: &Path) -> Outcome<PathBuf> {
    let root = stage.0.join("deb");
    files::lay_out(&root, &files.iter().collect::<Vec<_>>())?;
    let architecture = said(Command::new("dpkg").arg("--print-architecture"), &[])?;
    let architecture = String::from_utf8_lossy(&architecture).trim().to_owned();
    let libraries = libraries(package, stage)?;
    let size = files.iter().map(|file| kibibytes(&root.join(&file.path))).sum();
    let folder = root.join("DEBIAN");
    fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    mode(&folder, 0o755)?;
    let control = control(package, &architecture, &libraries, size);
    put(&folder.join("control"), control.as_bytes())?;
    put(&folder.join("conffiles"), conffiles(files).as_bytes())?;
    put(&folder.join("md5sums"), &md5sums(files, &root)?)?;
    for name in ["control", "conffiles", "md5sums"] {
        mode(&folder.join(name), 0o644)?;
    }
    for name in SCRIPTS {
        let path = folder.join(name);
        put(&path, files::script(package, name)?.as_bytes())?;
        mode(&path, 0o755)?;
    }
    let path = out.join(format!("{}_{}_{architecture}.deb", package.program, package.version));
    let mut dpkg = Command::new("dpkg-deb");
    // One thread: with several what xz yields depends on the machine.
    dpkg.args(["--root-owner-group", "--threads-max=1", "-Zxz", "--build"]).arg(&root).arg(&path);
    said(dpkg.env("SOURCE_DATE_EPOCH", package.epoch.to_string()), &[])?;
    Ok(path)
}

fn mode(path: &Path, mode: u32) -> Outcome {
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(|error| format!("{}: {error}", path.display()))
}

/// The libraries that the program wants, with the least versions that have what it calls.
fn libraries(package: &Package<'_>, stage: &Stage) -> Outcome<String> {
    // The tool looks for a source package around it.
    let source = stage.0.join("source");
    let folder = source.join("debian");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    put(&folder.join("control"), b"Source: eclusa\n\nPackage: eclusa\nArchitecture: any\n")?;
    let binary = package.binaries.join(package.program);
    let binary = binary.canonicalize().map_err(|error| format!("{}: {error}", binary.display()))?;
    let mut command = Command::new("dpkg-shlibdeps");
    let said = said(command.current_dir(&source).args(["-O", "-e"]).arg(binary), &[])?;
    let said = String::from_utf8_lossy(&said);
    let libraries = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    libraries.map(ToOwned::to_owned).ok_or_else(|| format!("dpkg-shlibdeps says: {said}"))
}

/// What a file takes, rounded up as `Installed-Size` wants it (deb-substvars(5)).
fn kibibytes(path: &Path) -> u64 {
    let file = path.metadata().ok().filter(std::fs::Metadata::is_file);
    file.map_or(1, |file| file.len().div_ceil(1024))
}

/// deb-control(5). What makes the service's user is wanted before it is configured.
fn control(package: &Package<'_>, architecture: &str, libraries: &str, size: u64) -> String {
    let (about, description) = match package.short() {
        "edge" => ("load balancer in front of a Kubernetes cluster's ingress", EDGE),
        _ => ("load balancer of the masters of a Kubernetes cluster", APISERVER),
    };
    let (program, version) = (package.program, package.version);
    let maintainer = package.maintainer;
    format!(
        "Package: {program}\nVersion: {version}\nArchitecture: {architecture}\n\
         Maintainer: {maintainer}\nInstalled-Size: {size}\n\
         Depends: {libraries}, systemd | systemd-standalone-sysusers | systemd-sysusers\n\
         Suggests: logrotate, keepalived\nSection: net\nPriority: optional\n\
         Description: {about}\n{description}"
    )
}

const EDGE: &str = " Stands in the DMZ and takes connections from outside to the virtual IPs of the
 ingress controllers: TCP and TLS by server name without decrypting, PROXY
 protocol both ways, TLS termination, HTTP/1.1, HTTP/2, WebSocket and gRPC with
 routes and rules.
 .
 The service is neither enabled nor started by the package: it has no
 configuration yet. An upgrade does not restart it.
";

const APISERVER: &str =
    " Stands between the nodes and the apiservers: TCP, TLS end to end. Masters are
 judged by /readyz and /livez; sessions are cut only where that helps.
 .
 The service is neither enabled nor started by the package: it has no
 configuration yet. An upgrade does not restart it.
";

/// What is kept as the operator changed it: files below `/etc`.
fn conffiles(files: &[File]) -> String {
    let is_ours =
        |file: &&File| file.path.starts_with("etc/") && !matches!(file.content, Content::Directory);
    files.iter().filter(is_ours).fold(String::new(), |mut list, file| {
        let _ = writeln!(list, "/{}", file.path);
        list
    })
}

/// For `dpkg --verify`, which leaves conffiles out.
fn md5sums(files: &[File], root: &Path) -> Outcome<Vec<u8>> {
    let paths = files.iter().map(|file| file.path.as_str());
    let paths = paths.filter(|path| !path.ends_with('/') && !path.starts_with("etc/"));
    said(Command::new("md5sum").current_dir(root).arg("--").args(paths), &[])
}
