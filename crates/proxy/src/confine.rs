//! What the engine does without, once it has started: capabilities, most files, most system calls.

use crate::admin::state_directory;
use crate::keeper;
use crate::laid_out::archive_of;
use eclusa_config::plan::{Confine, Plan};
use eclusa_sys::confine::{
    Capability, Files, Unlisted, drop_capabilities, restrict_calls, restrict_files,
};
use std::path::{Path, PathBuf};

/// What the C library, the TLS library and the standard library read: names, time zones, CAs of the
/// host, modules for names, limits of the control group. Not all exist everywhere.
const READ: [&str; 32] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/passwd",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/ssl",
    "/etc/pki/tls",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/zoneinfo",
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/proc/self",
    "/proc/sys/net",
    "/sys/class/net",
    "/sys/devices",
    "/sys/fs/cgroup",
    "/dev/urandom",
    "/dev/random",
];

/// How much holds, in words for the log, and what could not be brought about.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    pub(crate) words: String,
    pub(crate) warnings: Vec<String>,
}

/// Confines this thread and all that it starts later; to be called before there are others.
/// `config` is the configuration file. With a keeper the files that the configuration names come
/// from it, and so do ports; without one, their directories stay readable, and low ports bindable.
///
/// A kernel that cannot do a part of it is no reason to carry no traffic: that is told.
pub(crate) fn confine(plan: &Plan, config: Option<&Path>, has_keeper: bool) -> InForce {
    let keep = (!has_keeper).then_some(Capability::NetBindService);
    hold(plan, keep, || {
        let mut files = files(plan, config, has_keeper);
        // Without one the start fails, with the reason.
        files.write.extend(keeper::run_directory(plan.run_directory.as_deref()).ok());
        files.write.push(state_directory());
        let haproxy = plan.haproxy_socket.as_ref().map(|haproxy| &haproxy.file);
        let sockets = plan.admin.iter().chain(haproxy).filter_map(|file| file.socket.as_deref());
        files.write.extend(sockets.flat_map(directories));
        files.write.extend(plan.dashboard.socket.iter().flat_map(|path| directories(path)));
        files
    })
}

/// The same for who observes: it writes nothing but the log. `read`: what it reads beside what the
/// configuration names.
pub(crate) fn confine_observer(plan: &Plan, config: &Path, read: Option<&Path>) -> InForce {
    hold(plan, None, || {
        let mut files = files(plan, Some(config), false);
        files.read.extend(read.into_iter().flat_map(directories));
        files
    })
}

fn hold(plan: &Plan, keep: Option<Capability>, files: impl FnOnce() -> Files) -> InForce {
    let mut warnings = Vec::new();
    let mut words = Vec::new();
    if plan.confine == Confine::Off {
        return InForce { words: "confined by nothing (confine = \"off\")".to_owned(), warnings };
    }
    match drop_capabilities(keep) {
        Ok(()) => words.push("no capabilities".to_owned()),
        Err(error) => warnings.push(format!("capabilities could not be dropped: {error}")),
    }
    if plan.confine == Confine::Strict {
        match restrict_files(&files()) {
            Ok(Some(abi)) => words.push(format!("files by Landlock (ABI {abi})")),
            Ok(None) => warnings.push("this kernel has no Landlock: files are not held".to_owned()),
            Err(error) => warnings.push(format!("files are not held: {error}")),
        }
    }
    let (unlisted, what) = match plan.confine {
        Confine::Strict => (Unlisted::Refused, "refused"),
        _ => (Unlisted::Logged, "logged"),
    };
    match restrict_calls(unlisted) {
        Ok(listed) => words.push(format!("{listed} system calls, others are {what}")),
        Err(error) => warnings.push(format!("system calls are not held: {error}")),
    }
    InForce { words: format!("confined: {}", words.join(", ")), warnings }
}

/// What is read, and where the log is written.
fn files(plan: &Plan, config: Option<&Path>, has_keeper: bool) -> Files {
    let mut files = Files { read: READ.map(PathBuf::from).to_vec(), ..Files::default() };
    // Editors write a new file in place of the old one: the directory, not the file.
    files.read.extend(config.into_iter().flat_map(directories));
    if !has_keeper {
        files.read.extend(plan.files().flat_map(directories));
        files.read.extend(plan.certificates().flat_map(of_certificates));
        // Who else listens on an address.
        files.read.push("/proc".into());
    }
    files.write.push("/dev/null".into());
    files.write.extend(plan.log.files().flat_map(|path| directories(path)));
    files
}

/// The directory of a file, and that of the file which it leads to if it is a link. Not the root:
/// that would be everything.
fn directories(path: &Path) -> Vec<PathBuf> {
    let real = std::fs::canonicalize(path).ok();
    let both = [Some(path), real.as_deref()];
    let parents = both.into_iter().flatten().filter_map(Path::parent);
    let parents = parents.map(|parent| match parent.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => parent.to_owned(),
    });
    parents.filter(|parent| parent.parent().is_some()).collect()
}

/// Of a directory of certificates: itself, and where certbot's links lead.
fn of_certificates(path: &Path) -> Vec<PathBuf> {
    let real = std::fs::canonicalize(path).ok().filter(|real| real.is_dir());
    real.into_iter().flat_map(|real| [archive_of(&real), Some(real)]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_no_directory_of_ours() {
        assert_eq!(directories(Path::new("/eclusa.toml")), Vec::<PathBuf>::new());
        assert_eq!(directories(Path::new("/nowhere/a.toml")), [PathBuf::from("/nowhere")]);
        assert_eq!(directories(Path::new("a.toml")), [PathBuf::from(".")]);
    }

    #[test]
    fn certificates_are_read_where_certbot_s_links_lead() {
        let name = format!("eclusa-confine-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let live = root.join("live/shop.test");
        std::fs::create_dir_all(&live).unwrap();
        std::fs::write(live.join("cert.pem"), "").unwrap();
        let root = root.canonicalize().unwrap();
        let of = |path: &str| of_certificates(&root.join(path));
        let at = |path: &str| root.join(path);
        assert_eq!(of("live"), [at("archive"), at("live")]);
        assert_eq!(of("live/shop.test"), [at("archive/shop.test"), at("live/shop.test")]);
        assert_eq!(of("live/shop.test/cert.pem"), Vec::<PathBuf>::new(), "its directory is");
        std::fs::remove_dir_all(root).unwrap();
    }
}
