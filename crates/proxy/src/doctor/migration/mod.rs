//! What on this host has to do with HAProxy: files of others that order, ask or read it, its unit, its
//! processes, who is connected to its socket. For `doctor --migration`.
//!
//! | file | what |
//! |---|---|
//! | `places` | where it is looked for |
//! | `tree` | reads files, with bounds |
//! | `deed` | what a line does |
//! | `live` | processes, systemd, sockets |

mod deed;
mod live;
mod places;
mod tree;

pub(crate) use deed::Deed;
pub(super) use live::Haproxy;

use super::facts::UnitState;
use super::table::{CHECKS, Check, Group};
use deed::{Around, has_number, of, without_comment};
use places::{Comments, FAILOVER, PLACES, Place};
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use tree::{Text, Tree};

/// So many entries of directories are looked at for a check.
const ENTRIES_MAX: usize = 30_000;

/// So many files are read for a check; each no longer than `tree` bounds it.
const FILES_MAX: usize = 5_000;

/// So many lines of a check are kept.
const MENTIONS_MAX: usize = 1_000;

/// Below these are scripts that somebody has written for this host; elsewhere is what packages bring.
const SCRIPTS: [&str; 7] = ["/etc", "/home", "/opt", "/root", "/srv", "/usr/local", "/var/lib"];

/// The directories of units, those of the administrator first.
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What HAProxy's unit is called.
const UNIT: &str = "haproxy.service";

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Migration {
    /// Lines of files, by place and line.
    pub(crate) mentions: Vec<Mention>,
    /// Files that were read, by check.
    pub(crate) read: BTreeMap<&'static str, usize>,
    /// What could not be read, or not to its end: the check, the path, why.
    pub(crate) unread: Vec<(&'static str, PathBuf, String)>,
    /// HAProxy's unit, as its files say.
    pub(crate) unit: HaproxyUnit,
    /// The group `haproxy`: its number, and who is in it.
    pub(crate) group: Option<(u32, Vec<String>)>,
    /// The number of the user `haproxy`.
    pub(crate) user: Option<u32>,
    /// What runs; `None`: it was not looked at.
    pub(crate) running: Option<Haproxy>,
}

/// A line that has to do with HAProxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// The check that tells it.
    pub(crate) check: &'static str,
    pub(crate) path: PathBuf,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) deed: Deed,
    /// What it does, in words that are not the line's own.
    pub(crate) does: String,
    /// The line that runs the script which this line is in.
    pub(crate) through: Option<(PathBuf, usize)>,
}

/// The unit `haproxy.service`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HaproxyUnit {
    /// Where its file is.
    pub(crate) file: Option<PathBuf>,
    /// What makes it masked: a link to `/dev/null`, or an empty file (systemd.unit(5)).
    pub(crate) mask: Option<PathBuf>,
    /// Links that start it with the host.
    pub(crate) wanted_by: Vec<PathBuf>,
    /// Drop-ins.
    pub(crate) drop_ins: Vec<PathBuf>,
}

impl HaproxyUnit {
    /// Its file is where a mask would have to be.
    pub(crate) fn is_in_the_way(&self) -> bool {
        let own = |path: &PathBuf| path.starts_with(UNITS[0]) && self.mask.as_ref() != Some(path);
        self.file.as_ref().is_some_and(own)
    }
}

/// Looks through the files below `root`. `ports`: where the balancer listens.
///
/// # Errors
/// There is no such root.
pub(super) fn look(root: &Path, ports: &[u16]) -> io::Result<Migration> {
    let tree = Tree::new(root)?;
    let around = Around { sockets: sockets(&tree), ports: ports.to_vec(), has_port: false };
    let mut search = Search {
        tree: &tree,
        around,
        home: home(&tree),
        check: "",
        entries: 0,
        files: 0,
        seen: HashSet::new(),
        found: Migration::default(),
    };
    for place in PLACES {
        search.place(place);
    }
    let mut found = search.found;
    found.unit = unit(&tree);
    (found.user, found.group) = accounts(&tree);
    Ok(found)
}

/// The same on this host, and what runs. `state`: what systemd says of HAProxy's unit.
pub(super) fn here(ports: &[u16], state: Option<UnitState>) -> Migration {
    let root = Path::new("/");
    let mut found = look(root, ports).unwrap_or_else(|error| {
        let unread = |check: &Check| (check.name, root.to_owned(), error.to_string());
        let checks = CHECKS.iter().filter(|check| check.group == Group::Migration);
        Migration { unread: checks.map(unread).collect(), ..Migration::default() }
    });
    let sockets = Tree::new(root).map(|tree| sockets(&tree)).unwrap_or_default();
    found.running = Some(live::look(&sockets, state));
    found
}

struct Search<'a> {
    tree: &'a Tree,
    around: Around,
    /// Of root.
    home: String,
    /// For which check it looks, and what is left of that one's bounds.
    check: &'static str,
    entries: usize,
    files: usize,
    /// Files that were read for a check: they may have several names.
    seen: HashSet<(&'static str, (u64, u64))>,
    found: Migration,
}

impl Search<'_> {
    fn place(&mut self, place: &Place) {
        if self.check != place.check {
            (self.check, self.entries, self.files) = (place.check, ENTRIES_MAX, FILES_MAX);
        }
        let path = match place.path.strip_prefix('~') {
            Some(rest) => PathBuf::from(format!("{}{rest}", self.home)),
            None => PathBuf::from(place.path),
        };
        match place.depth {
            0 => self.file(place, &path),
            depth => self.folder(place, &path, depth),
        }
    }

    fn folder(&mut self, place: &Place, folder: &Path, depth: usize) {
        let (names, more) = match self.tree.names(folder) {
            Ok(names) => names.unwrap_or_default(),
            Err(error) => return self.unread(place.check, folder, &error.to_string()),
        };
        if more {
            self.unread(place.check, folder, "it holds too much: only a part of it was looked at");
        }
        for name in names {
            let Some(left) = self.entries.checked_sub(1) else {
                return self.unread(
                    place.check,
                    folder,
                    "there is too much in all these directories",
                );
            };
            self.entries = left;
            let path = folder.join(&name);
            let name = name.to_string_lossy();
            if self.tree.is_folder(&path) {
                if depth > 1 && place.enters(&name) {
                    self.folder(place, &path, depth - 1);
                }
            } else if place.wants(&name, true) {
                self.file(place, &path);
            }
        }
    }

    fn file(&mut self, place: &Place, path: &Path) {
        let Some(read) = self.read(place.check, path, false) else { return };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if place.wants(&name, read.runs) && self.seen.insert((place.check, read.id)) {
            *self.found.read.entry(place.check).or_default() += 1;
            self.lines(place, place.comments, path, &read, None);
        }
    }

    fn read(&mut self, check: &'static str, path: &Path, script: bool) -> Option<Text> {
        let Some(left) = self.files.checked_sub(1) else {
            self.unread(check, path, "there are too many files");
            return None;
        };
        match self.tree.read(path, script) {
            Ok(read) => {
                self.files = left + usize::from(read.is_none());
                let read = read?;
                if read.cut {
                    self.unread(check, path, "it is too long: only its beginning was read");
                }
                Some(read)
            }
            Err(error) => {
                self.unread(check, path, &error.to_string());
                None
            }
        }
    }

    fn unread(&mut self, check: &'static str, path: &Path, why: &str) {
        let unread = (check, path.to_owned(), why.to_owned());
        if self.found.unread.len() < MENTIONS_MAX && !self.found.unread.contains(&unread) {
            self.found.unread.push(unread);
        }
    }

    /// `through`: the line that runs this script.
    fn lines(
        &mut self,
        place: &Place,
        comments: Comments,
        path: &Path,
        read: &Text,
        through: Option<&(PathBuf, usize)>,
    ) {
        let mut around = self.around.clone();
        if place.check == FAILOVER {
            let mut lines = read.text.lines().map(|line| without_comment(line, comments));
            around.has_port =
                lines.any(|line| around.ports.iter().any(|port| has_number(line, *port)));
        } else {
            around.ports.clear();
        }
        let mut scripts: Vec<(PathBuf, usize)> = Vec::new();
        for (index, line) in read.text.lines().enumerate() {
            let line = without_comment(line, comments);
            if let Some((deed, does)) = of(line, &around) {
                let (check, path) = (place.check, path.to_owned());
                let through = through.cloned();
                self.keep(Mention { check, path, line: index + 1, deed, does, through });
            }
            if place.follow && through.is_none() {
                scripts.extend(named_scripts(line).map(|script| (script, index + 1)));
            }
        }
        for (script, line) in scripts {
            let Some(read) = self.read(place.check, &script, true) else { continue };
            if self.seen.insert((place.check, read.id)) {
                let from = (path.to_owned(), line);
                self.lines(place, Comments::Hash, &script, &read, Some(&from));
            }
        }
    }

    fn keep(&mut self, mention: Mention) {
        let of_check = |known: &&Mention| known.check == mention.check;
        if self.found.mentions.iter().filter(of_check).count() < MENTIONS_MAX {
            self.found.mentions.push(mention);
        }
    }
}

/// Paths in a line that may be scripts of this host.
fn named_scripts(line: &str) -> impl Iterator<Item = PathBuf> {
    let is_end = |c: char| c.is_whitespace() || "\"'`=,;|&()<>[]{}".contains(c);
    let words = line.split(is_end).map(|word| word.trim_start_matches(['-', '+', '@', '!', ':']));
    let is_one = |word: &&str| {
        let below = SCRIPTS.iter().any(|folder| Path::new(word).starts_with(folder));
        below && word.len() < 4_096 && *word != "/etc/init.d/haproxy"
    };
    words.filter(is_one).map(PathBuf::from)
}

/// What a directory holds, as far as it can be read.
fn listed(tree: &Tree, folder: &Path) -> Vec<OsString> {
    tree.names(folder).ok().flatten().map(|(names, _)| names).unwrap_or_default()
}

/// The sockets that HAProxy's own files name, and the one that Debian's does.
fn sockets(tree: &Tree) -> Vec<String> {
    let mut found = vec!["/run/haproxy/admin.sock".to_owned()];
    let folder = Path::new("/etc/haproxy");
    let names = listed(tree, folder);
    let paths = names.into_iter().map(|name| folder.join(name));
    let more = Path::new("/etc/haproxy/conf.d");
    let inner = listed(tree, more);
    let paths = paths.chain(inner.into_iter().map(|name| more.join(name)));
    for path in paths.filter(|path| path.extension().is_some_and(|end| end == "cfg")) {
        let Ok(Some(read)) = tree.read(&path, false) else { continue };
        for line in read.text.lines() {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            let ["stats", "socket", at, ..] = words[..] else { continue };
            let at = at.trim_start_matches("unix@");
            if at.starts_with('/') && !found.iter().any(|known| known == at) {
                found.push(at.to_owned());
            }
        }
    }
    found.truncate(16);
    found
}

fn unit(tree: &Tree) -> HaproxyUnit {
    let mut unit = HaproxyUnit::default();
    // On a host of today one leads to the other.
    let merged = tree.link(Path::new("/lib")).is_some();
    for folder in UNITS.map(Path::new) {
        if merged && folder.starts_with("/lib") {
            continue;
        }
        let path = folder.join(UNIT);
        let target = tree.link(&path);
        let length = tree.own_length(&path);
        let masks = target.as_deref() == Some(Path::new("/dev/null")) || length == Some(0);
        if masks && unit.file.is_none() && unit.mask.is_none() {
            unit.mask = Some(path);
        } else if (target.is_some() || length.is_some()) && unit.file.is_none() && !masks {
            unit.file = Some(path);
        }
        for name in listed(tree, folder) {
            let text = name.to_string_lossy();
            let inner = folder.join(&name);
            if text.ends_with(".wants") || text.ends_with(".requires") {
                let link = inner.join(UNIT);
                unit.wanted_by.extend(tree.link(&link).map(|_| link));
            } else if text == "haproxy.service.d" {
                let names = listed(tree, &inner);
                let is_drop_in =
                    |name: &OsString| Path::new(name).extension().is_some_and(|end| end == "conf");
                unit.drop_ins.extend(names.into_iter().filter(is_drop_in).map(|it| inner.join(it)));
            }
        }
    }
    unit
}

/// The home of root.
fn home(tree: &Tree) -> String {
    let users = tree.read(Path::new("/etc/passwd"), false).ok().flatten();
    let text = users.map(|read| read.text).unwrap_or_default();
    let root = text.lines().find(|line| line.starts_with("root:"));
    let home = root.and_then(|line| line.split(':').nth(5)).filter(|home| home.starts_with('/'));
    home.unwrap_or("/root").trim_end_matches('/').to_owned()
}

/// The user and the group `haproxy`.
fn accounts(tree: &Tree) -> (Option<u32>, Option<(u32, Vec<String>)>) {
    let read = |path: &str| tree.read(Path::new(path), false).ok().flatten();
    let line = |text: Text| {
        let line = text.text.lines().find(|line| line.starts_with("haproxy:"))?.to_owned();
        Some(line.split(':').map(str::to_owned).collect::<Vec<_>>())
    };
    let user = read("/etc/passwd").and_then(line).and_then(|it| it.get(2)?.parse().ok());
    let group = read("/etc/group").and_then(line).and_then(|it| {
        let members = it.get(3).map_or("", String::as_str).split(',').map(str::trim);
        let members = members.filter(|name| !name.is_empty() && *name != "haproxy");
        Some((it.get(2)?.parse().ok()?, members.map(str::to_owned).collect()))
    });
    (user, group)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use eclusa_testkit::process::Scratch;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A tree with these files; those that begin with `#!` may be run.
    pub(crate) fn planted(files: &[(&str, &str)]) -> Scratch {
        let scratch = Scratch::new("doctor-migration").unwrap();
        for (path, text) in files {
            let path = scratch.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        scratch
    }

    fn looked(files: &[(&str, &str)]) -> Migration {
        look(planted(files).path(), &[6443]).unwrap()
    }

    #[test]
    fn a_script_that_is_named_is_looked_into_and_told_with_who_runs_it() {
        let found = looked(&[
            ("/etc/cron.d/renew", "# haproxy\n\n0 3 * * * root /usr/local/bin/renew.sh --all\n"),
            ("/usr/local/bin/renew.sh", "#!/bin/sh\n/opt/next.sh\nsystemctl reload haproxy # x\n"),
            ("/opt/next.sh", "#!/bin/sh\nsystemctl restart haproxy\n"),
        ]);
        let mention = Mention {
            check: "haproxy-cron",
            path: "/usr/local/bin/renew.sh".into(),
            line: 3,
            deed: Deed::Orders,
            does: "systemctl reload haproxy".into(),
            through: Some(("/etc/cron.d/renew".into(), 3)),
        };
        // One step, no further.
        assert_eq!(found.mentions, [mention]);
        assert_eq!(found.read["haproxy-cron"], 1);
    }

    #[test]
    fn what_is_not_run_is_not_told() {
        let hook = "systemctl reload haproxy\n";
        let found = looked(&[
            ("/etc/letsencrypt/renewal-hooks/deploy/off", hook),
            ("/etc/cron.daily/off", hook),
            ("/etc/cron.d/renew.dpkg-old", hook),
            ("/etc/monit/conf-available/haproxy", "check process haproxy\n"),
            ("/etc/systemd/system/haproxy.service.d/x.conf", "[Service]\nExecReload=haproxy -c\n"),
        ]);
        assert_eq!(found.mentions, []);
        assert_eq!(
            found.unit.drop_ins,
            [PathBuf::from("/etc/systemd/system/haproxy.service.d/x.conf")]
        );
    }

    #[test]
    fn sockets_are_those_of_haproxys_own_file() {
        let found = looked(&[
            ("/etc/haproxy/haproxy.cfg", "global\n  stats socket unix@/run/lb.sock mode 660\n"),
            ("/etc/telegraf/telegraf.d/lb.conf", "[[inputs.x]]\n  servers = [\"/run/lb.sock\"]\n"),
        ]);
        let [mention] = &found.mentions[..] else { panic!("{found:#?}") };
        assert_eq!((mention.line, mention.deed), (2, Deed::Reads));
    }

    #[test]
    fn a_file_with_two_names_is_told_once_and_a_pipe_not_at_all() {
        let scratch = planted(&[("/etc/cron.d/a", "@daily root systemctl reload haproxy\n")]);
        let cron = scratch.path().join("etc/cron.d");
        symlink("a", cron.join("b")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, cron.join("pipe"), mode).unwrap();
        let found = look(scratch.path(), &[]).unwrap();
        assert_eq!(found.mentions.len(), 1, "{found:#?}");
        assert_eq!(found.unread, []);
    }

    #[test]
    fn a_unit_is_masked_by_a_link_to_nothing() {
        let packaged = ("/usr/lib/systemd/system/haproxy.service", "[Service]\n");
        let scratch = planted(&[packaged]);
        let system = scratch.path().join("etc/systemd/system");
        fs::create_dir_all(system.join("multi-user.target.wants")).unwrap();
        let wanted = system.join("multi-user.target.wants/haproxy.service");
        symlink("/lib/systemd/system/haproxy.service", wanted).unwrap();
        let unit = || look(scratch.path(), &[]).unwrap().unit;
        let enabled = unit();
        assert_eq!(enabled.file.as_deref(), Some(Path::new(packaged.0)));
        assert_eq!((enabled.mask.is_none(), enabled.wanted_by.len()), (true, 1));
        assert!(!enabled.is_in_the_way());
        symlink("/dev/null", system.join("haproxy.service")).unwrap();
        let masked = unit();
        assert_eq!(masked.mask.as_deref(), Some(Path::new("/etc/systemd/system/haproxy.service")));
        assert!(!masked.is_in_the_way());
        fs::remove_file(system.join("haproxy.service")).unwrap();
        fs::write(system.join("haproxy.service"), "[Service]\n").unwrap();
        assert!(unit().is_in_the_way() && unit().mask.is_none());
    }

    #[test]
    fn the_group_says_who_reads() {
        let found = looked(&[
            ("/etc/passwd", "root:x:0:0::/:/bin/sh\nhaproxy:x:107:113::/var/lib/haproxy:/x\n"),
            ("/etc/group", "haproxy:x:113:telegraf, zabbix\n"),
        ]);
        assert_eq!(found.user, Some(107));
        assert_eq!(found.group, Some((113, vec!["telegraf".into(), "zabbix".into()])));
    }

    #[test]
    fn an_endless_tree_ends() {
        let files: Vec<(String, String)> = (0..3_000)
            .map(|n| (format!("/etc/zabbix/{}/{n}", n % 3), "haproxy\n".to_owned()))
            .collect();
        let files: Vec<_> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let found = looked(&files);
        assert_eq!(found.mentions.len(), MENTIONS_MAX);
        let whole = planted(&[("/etc/crontab", "x\n")]);
        // Directories that lead back into themselves.
        symlink(".", whole.path().join("etc/opt")).unwrap();
        symlink("/etc", whole.path().join("etc/zabbix")).unwrap();
        assert_eq!(look(whole.path(), &[]).unwrap().mentions, []);
    }
}
