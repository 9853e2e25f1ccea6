//! What the configuration file names, and so what an engine may have: addresses to listen on, and
//! files to read. An engine in the wrong hands gets no other port, and no other file.
//!
//! And the text that was in force last, for an engine that crashes while the file is broken. The engine
//! says which one that is; the text itself is what was read here, so that no engine can hand down one
//! of its own to the next.

use eclusa_config::plan::{Plan, Program};
use eclusa_config::{Diagnostics, Mode};
use rustix::fs::{Mode as FileMode, OFlags, ResolveFlags, openat2};
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What tells one state of the file from another: device, inode, length, last change.
type Stamp = (u64, u64, u64, i64, i64);

/// What the configuration names.
#[derive(Debug)]
pub(super) struct Listed {
    program: Program,
    file: PathBuf,
    stamp: Option<Stamp>,
    /// The file as it was read last, and was right.
    now: Rc<Names>,
    /// As it was when an engine took it.
    in_force: Option<Rc<Names>>,
}

/// A text, and what it names.
#[derive(Debug)]
struct Names {
    text: String,
    digest: u64,
    /// Read from it when somebody asks: a large file takes a while, and a reload waits.
    named: OnceCell<Named>,
}

#[derive(Debug, Default)]
struct Named {
    addresses: BTreeSet<SocketAddr>,
    files: BTreeSet<PathBuf>,
}

impl Names {
    /// The file, read and checked.
    fn read(program: Program, file: &Path) -> Result<(Self, Plan), Diagnostics> {
        let names = Self::of(eclusa_config::text_of(program, file)?);
        let plan = names.plan(program, file)?;
        let _ = names.named.set(Named::of(&plan));
        Ok((names, plan))
    }

    fn of(text: String) -> Self {
        Self { digest: eclusa_config::digest(&text), text, named: OnceCell::new() }
    }

    fn plan(&self, program: Program, file: &Path) -> Result<Plan, Diagnostics> {
        let name = file.display().to_string();
        Ok(eclusa_config::parse(program, &name, &self.text, Mode::Offline)?.plan)
    }

    /// What it names: nothing, where it is wrong.
    fn named(&self, program: Program, file: &Path) -> &Named {
        let read = || self.plan(program, file).map(|plan| Named::of(&plan)).unwrap_or_default();
        self.named.get_or_init(read)
    }
}

impl Named {
    fn of(plan: &Plan) -> Self {
        let files = plan.files().map(Path::to_owned).collect();
        Self { addresses: plan.addresses().collect(), files }
    }
}

impl Listed {
    /// Reads the file; with the plan as it is without a look at the host.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn read(program: Program, file: &Path) -> Result<(Self, Plan), Diagnostics> {
        let stamp = stamp(file);
        let (names, plan) = Names::read(program, file)?;
        let (file, now) = (file.to_owned(), Rc::new(names));
        Ok((Self { program, file, stamp, now, in_force: None }, plan))
    }

    /// Reads the file again if it has changed. A file that is wrong changes nothing: no engine runs
    /// with it.
    fn refresh(&mut self) {
        let now = stamp(&self.file);
        if now == self.stamp || now.is_none() {
            return;
        }
        if let Ok((names, _)) = Names::read(self.program, &self.file) {
            self.now = Rc::new(names);
            self.stamp = now;
            if self.in_force.as_ref().is_some_and(|names| names.digest == self.now.digest) {
                self.in_force = Some(self.now.clone());
            }
        }
    }

    /// An engine has taken the text of this digest; says whether that is known here, as what the file
    /// says or as what was in force before.
    pub(super) fn confirm(&mut self, digest: u64) -> bool {
        if self.in_force.as_ref().is_some_and(|names| names.digest == digest) {
            return true;
        }
        if self.now.digest == digest {
            self.in_force = Some(self.now.clone());
            return true;
        }
        // An engine that runs with it has checked it.
        let read = eclusa_config::text_of(self.program, &self.file).map(Names::of);
        let Some(names) = read.ok().filter(|names| names.digest == digest) else { return false };
        self.in_force = Some(Rc::new(names));
        true
    }

    /// Whether the file says something else than what was in force last.
    pub(super) fn has_changed(&mut self) -> bool {
        self.refresh();
        self.in_force.as_ref().is_some_and(|names| names.digest != self.now.digest)
    }

    /// The text that was in force last.
    pub(super) fn in_force(&self) -> Option<&str> {
        self.in_force.as_ref().map(|names| &*names.text)
    }

    /// What the file names, and what is in force does.
    fn both(&mut self) -> impl Iterator<Item = &Named> {
        self.refresh();
        let all = [Some(&self.now), self.in_force.as_ref()].into_iter().flatten();
        let (program, file) = (self.program, &*self.file);
        all.map(move |names| names.named(program, file))
    }

    /// Whether the configuration listens on this address.
    pub(super) fn has_address(&mut self, address: SocketAddr) -> bool {
        self.both().any(|named| named.addresses.contains(&address))
    }

    /// Opens a file that the configuration names.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn open(&mut self, path: &Path) -> Result<File, Refusal> {
        if !self.both().any(|named| named.files.contains(path)) {
            return Err(Refusal::NotListed(path.to_owned(), self.file.clone()));
        }
        open_below(path)
    }
}

/// Why a file is not opened.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The configuration does not name it.
    NotListed(PathBuf, PathBuf),
    /// A link leads out of its directory.
    LeadsAway { path: PathBuf, target: PathBuf, tree: PathBuf },
    /// It is a directory, a device, a socket.
    NoFile(PathBuf),
    /// The system says so.
    System(io::Error),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotListed(path, file) => {
                write!(f, "{} is not named in {}", path.display(), file.display())
            }
            Self::LeadsAway { path, target, tree } => write!(
                f,
                "{} leads to {}, which is not below {}: name the file itself",
                path.display(),
                target.display(),
                tree.display()
            ),
            Self::NoFile(path) => write!(f, "{} is no regular file", path.display()),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// The directory that links may not lead out of: that of the file; in certbot's layout the one above
/// `live`, for `live/NAME/privkey.pem` leads to `archive/NAME/privkey1.pem`.
fn tree_of(path: &Path) -> Option<&Path> {
    let directory = path.parent()?;
    let above = directory.parent();
    if above.and_then(Path::file_name).is_some_and(|name| name == "live") {
        return above?.parent();
    }
    Some(directory)
}

/// Opens a file whose links stay in its tree. Where they lead is found out first, and that place
/// opened without following any more links, so that nobody can change them in between.
fn open_below(path: &Path) -> Result<File, Refusal> {
    let tree = tree_of(path).ok_or_else(|| Refusal::NoFile(path.to_owned()))?;
    let tree = fs::canonicalize(tree)?;
    let target = fs::canonicalize(path)?;
    let Ok(below) = target.strip_prefix(&tree) else {
        return Err(Refusal::LeadsAway { path: path.to_owned(), target, tree });
    };
    let directory = File::open(&tree)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // Not blocking: the file could have become a pipe that nobody writes to.
    let how = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = openat2(&directory, below, how, FileMode::empty(), resolve);
    let file = File::from(opened.map_err(io::Error::from)?);
    if !file.metadata()?.is_file() {
        return Err(Refusal::NoFile(path.to_owned()));
    }
    Ok(file)
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    Some((metadata.dev(), metadata.ino(), metadata.len(), seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    struct Tree(PathBuf);

    impl Tree {
        fn new(label: &str) -> Self {
            let name = format!("eclusa-listed-{}-{label}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(path.join("live/shop.test")).unwrap();
            fs::create_dir_all(path.join("archive/shop.test")).unwrap();
            Self(path.canonicalize().unwrap())
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.join(path)
        }

        /// A configuration whose probe has this token.
        fn listed(&self, token: &Path) -> Listed {
            let file = self.at("edge.toml");
            self.write(&file, token);
            Listed::read(Program::Edge, &file).unwrap_or_else(|_| panic!("a right file")).0
        }

        fn write(&self, file: &Path, token: &Path) {
            let text = format!(
                "[listener.web]\nlisten = [\"127.0.0.1:443\"]\npool = \"web\"\n[pool.web]\n\
                 endpoints = [\"127.0.0.1:80\"]\n\
                 [pool.web.probe]\nkind = \"https\"\npath = \"/\"\nserver_name = \"shop.test\"\n\
                 ca = \"/nowhere/ca.pem\"\ntoken_file = \"{}\"\n",
                token.display()
            );
            fs::write(file, text).unwrap();
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn text(file: Result<File, Refusal>) -> String {
        let mut text = String::new();
        file.unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn only_what_the_configuration_names_is_opened() {
        let tree = Tree::new("named");
        fs::write(tree.at("token"), "of the file").unwrap();
        fs::write(tree.at("other"), "not for you").unwrap();
        let mut listed = tree.listed(&tree.at("token"));
        assert_eq!(text(listed.open(&tree.at("token"))), "of the file");
        for other in ["other", "live/../token", "edge.toml"] {
            let refusal = listed.open(&tree.at(other)).unwrap_err();
            assert!(refusal.to_string().contains("is not named in"), "{other}: {refusal}");
        }
        assert!(listed.has_address("127.0.0.1:443".parse().unwrap()));
        assert!(!listed.has_address("127.0.0.1:22".parse().unwrap()));
        // The file is what counts, at the moment of the question; a wrong one changes nothing.
        tree.write(&tree.at("edge.toml"), &tree.at("other"));
        assert_eq!(text(listed.open(&tree.at("other"))), "not for you");
        assert!(listed.open(&tree.at("token")).is_err());
        fs::write(tree.at("edge.toml"), "nonsense").unwrap();
        assert_eq!(text(listed.open(&tree.at("other"))), "not for you");
    }

    #[test]
    fn what_an_engine_took_is_kept_as_it_was_read_here() {
        let tree = Tree::new("in-force");
        let file = tree.at("edge.toml");
        for name in ["one", "two"] {
            fs::write(tree.at(name), name).unwrap();
        }
        let mut listed = tree.listed(&tree.at("one"));
        let first = fs::read_to_string(&file).unwrap();
        assert_eq!(listed.in_force(), None, "no engine has taken it");
        assert!(!listed.confirm(eclusa_config::digest("whatever an engine says")));
        assert_eq!(listed.in_force(), None);
        assert!(listed.confirm(eclusa_config::digest(&first)));
        fs::write(&file, "nonsense").unwrap();
        assert!(listed.confirm(eclusa_config::digest(&first)), "it is still in force");
        assert_eq!(listed.in_force(), Some(&*first));
        // Right again, and not taken: the engine may have what either names.
        tree.write(&file, &tree.at("two"));
        assert_eq!(text(listed.open(&tree.at("two"))), "two");
        assert_eq!(text(listed.open(&tree.at("one"))), "one");
        let second = fs::read_to_string(&file).unwrap();
        assert!(listed.confirm(eclusa_config::digest(&second)));
        assert_eq!(listed.in_force(), Some(&*second));
        assert!(listed.open(&tree.at("one")).is_err());
    }

    #[test]
    fn certbot_s_links_are_followed_and_others_are_not() {
        let tree = Tree::new("links");
        let (live, archive) = (tree.at("live/shop.test/key.pem"), "archive/shop.test/key1.pem");
        fs::write(tree.at(archive), "the key").unwrap();
        symlink("../../archive/shop.test/key1.pem", &live).unwrap();
        assert_eq!(text(tree.listed(&live).open(&live)), "the key");
        // Kubernetes mounts secrets as links beside each other, to a directory that is one itself.
        fs::create_dir(tree.at("..2026")).unwrap();
        fs::write(tree.at("..2026/token"), "mounted").unwrap();
        symlink("..2026", tree.at("..data")).unwrap();
        symlink("..data/token", tree.at("token")).unwrap();
        assert_eq!(text(tree.listed(&tree.at("token")).open(&tree.at("token"))), "mounted");
        // Somebody has put a link to a foreign file in the place of ours.
        for foreign in ["/etc/passwd", "../edge.toml"] {
            let link = tree.at("archive/away");
            symlink(foreign, &link).unwrap();
            let refusal = tree.listed(&link).open(&link).unwrap_err().to_string();
            assert!(refusal.contains("is not below"), "{foreign}: {refusal}");
            fs::remove_file(link).unwrap();
        }
        // A directory, a device, nothing.
        symlink("/dev/zero", tree.at("zero")).unwrap();
        for wrong in ["live", "zero", "nothing"] {
            assert!(tree.listed(&tree.at(wrong)).open(&tree.at(wrong)).is_err(), "{wrong}");
        }
    }
}
