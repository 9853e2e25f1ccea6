//! Files of users, read again when they change.

use crate::tls::files::{Files, Kind, Stamp};
use arc_swap::ArcSwap;
use eclusa_policy::rules::{Basic, PasswordHash, Users};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The files of users of a listener.
#[derive(Debug, Default)]
pub(crate) struct UserFiles(HashMap<PathBuf, UserFile>);

/// One of them.
#[derive(Debug)]
struct UserFile {
    users: ArcSwap<Users>,
    watch: Mutex<Watch>,
}

/// What the looks at a file have seen; `None`: there was no file.
#[derive(Debug, Default)]
struct Watch {
    last: Option<Option<Stamp>>,
    loaded: Option<Option<Stamp>>,
    /// It was told to be wrong.
    wrong: bool,
}

impl UserFiles {
    /// Reads these.
    ///
    /// # Errors
    /// What is wrong with one of them: the file, the mistake and the remedy.
    pub(crate) fn read<'p>(
        files: &dyn Files,
        paths: impl Iterator<Item = &'p Path>,
    ) -> Result<Self, String> {
        let mut all = HashMap::new();
        for path in paths {
            let users = ArcSwap::from_pointee(load(files, path)?);
            all.insert(path.to_owned(), UserFile { users, watch: Mutex::default() });
        }
        Ok(Self(all))
    }

    /// What `with` makes of the hash of a user's password, `true` beside it; where there is no such
    /// user, of the hash of another, which `pick` chooses. `None`: there is nobody at all.
    pub(super) fn find<T>(
        &self,
        basic: &Basic,
        user: &str,
        pick: u64,
        with: impl FnOnce(&PasswordHash, bool) -> T,
    ) -> Option<T> {
        let file = basic.file.as_ref().and_then(|path| self.0.get(path));
        let others = file.map(|file| file.users.load());
        let (written, others) = (&*basic.users, others.as_ref().map(|others| &***others));
        let lists = [Some(written), others];
        let lists = || lists.into_iter().flatten();
        // What stands in the configuration itself comes first.
        if let Some(hash) = lists().find_map(|users| users.get(user)) {
            return Some(with(hash, true));
        }
        lists().find_map(|users| users.any(pick)).map(|hash| with(hash, false))
    }

    /// Looks once at each file, and reads it again if two looks in a row saw the same change. Blocks
    /// while it is read: not for workers.
    pub(crate) fn look_after(&self, files: &dyn Files, tell: &dyn Fn(&'static str, String)) {
        for (path, file) in &self.0 {
            file.look(files, path, tell);
        }
    }
}

impl UserFile {
    fn look(&self, files: &dyn Files, path: &Path, tell: &dyn Fn(&'static str, String)) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = match files.look(path) {
            Ok(Kind::File(stamp)) => Some(stamp),
            _ => None,
        };
        if watch.last.replace(stamp) != Some(stamp) || watch.loaded == Some(stamp) {
            return;
        }
        watch.loaded = Some(stamp);
        match load(files, path) {
            Ok(users) => {
                let wrong = std::mem::take(&mut watch.wrong);
                let changed = **self.users.load() != users;
                if changed {
                    self.users.store(users.into());
                }
                if changed || wrong {
                    tell("users", format!("{}: read again", path.display()));
                }
            }
            Err(why) => {
                watch.wrong = true;
                tell("warning", format!("{why}; who could log in before still can"));
            }
        }
    }
}

fn load(files: &dyn Files, path: &Path) -> Result<Users, String> {
    let wrong = |what: &str, remedy: &str| format!("{}: {what}: {remedy}", path.display());
    let bytes = files.read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => wrong("there is no such file", "make it by `htpasswd -cB`"),
        io::ErrorKind::PermissionDenied => {
            wrong("it may not be read", "let the service's user read it")
        }
        _ => wrong(&error.to_string(), "it must be a file that `htpasswd -B` has made"),
    })?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| wrong("it is no UTF-8 text", "make it anew by `htpasswd -cB`"))?;
    let users = Users::parse(text)
        .map_err(|error| wrong(&error.to_string(), "mend the line, or make it by `htpasswd -B`"))?;
    if users.is_empty() {
        return Err(wrong("it has no user in it", "add one by `htpasswd -B`"));
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::files::HostFiles;
    use eclusa_testkit::process::Scratch;
    use std::cell::RefCell;
    use std::sync::Arc;

    const HASH: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

    #[test]
    fn a_file_that_changes_is_read_again_and_a_broken_one_is_not() {
        let scratch = Scratch::new("users").unwrap();
        let path = scratch.write("users", &format!("alice:{HASH}\n")).unwrap();
        let files = UserFiles::read(&HostFiles, [&*path].into_iter()).unwrap();
        let line = format!("carol:{HASH}");
        let users = Arc::new(Users::parse(&line).unwrap());
        let basic = Basic { realm: "x".into(), users, file: Some(path.clone()) };
        let knows = |user: &str| files.find(&basic, user, 7, |_, is_there| is_there);
        let told = RefCell::new(Vec::new());
        let tell = |kind: &'static str, words: String| told.borrow_mut().push((kind, words));
        let look = || (0..3).for_each(|_| files.look_after(&HostFiles, &tell));
        look();
        assert_eq!(*told.borrow(), [], "nothing has changed");
        assert_eq!(
            (knows("alice"), knows("bob"), knows("carol")),
            (Some(true), Some(false), Some(true))
        );
        scratch.write("users", &format!("bob:{HASH}\n")).unwrap();
        files.look_after(&HostFiles, &tell);
        assert_eq!(knows("bob"), Some(false), "it may still be written");
        look();
        assert_eq!((knows("alice"), knows("bob")), (Some(false), Some(true)));
        scratch.write("users", "bob:secret\n").unwrap();
        look();
        std::fs::remove_file(&path).unwrap();
        look();
        assert_eq!(knows("bob"), Some(true));
        scratch.write("users", &format!("bob:{HASH}\n")).unwrap();
        look();
        let told = told.into_inner();
        let kinds: Vec<_> = told.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, ["users", "warning", "warning", "users"], "{told:?}");
        assert!(
            told[1].1.contains("users: line 1: ") && told[1].1.contains("htpasswd"),
            "{told:?}"
        );
        assert!(told.iter().all(|(_, words)| !words.contains("secret")), "{told:?}");
    }

    #[test]
    fn what_is_wrong_is_told_with_a_remedy() {
        let scratch = Scratch::new("users").unwrap();
        for (text, what) in
            [("# nobody\n", "has no user"), ("alice\n", "line 1"), ("", "has no user")]
        {
            let path = scratch.write("users", text).unwrap();
            let error = UserFiles::read(&HostFiles, [&*path].into_iter()).unwrap_err();
            assert!(error.contains(what) && error.contains("htpasswd"), "{error}");
        }
        let nowhere = Path::new("/nowhere/users");
        let error = UserFiles::read(&HostFiles, [nowhere].into_iter()).unwrap_err();
        assert!(error.starts_with("/nowhere/users: there is no such file: "), "{error}");
    }
}
