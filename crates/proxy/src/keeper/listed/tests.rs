//! What an engine gets of the host's files, and what it does not.

use super::*;
use std::ffi::OsStr;
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

    /// A configuration whose listener has these certificates.
    fn with_certificates(&self, paths: &[&Path]) -> Listed {
        let file = self.at("edge.toml");
        let paths: Vec<_> =
            paths.iter().map(|path| format!("{:?}", path.display().to_string())).collect();
        let text = format!(
            "[listener.web]\nlisten = [\"127.0.0.1:443\"]\npool = \"web\"\n\
             tls = {{ certificates = [{}] }}\n[pool.web]\nendpoints = [\"127.0.0.1:80\"]\n",
            paths.join(", ")
        );
        fs::write(&file, text).unwrap();
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

/// A link in place of what is there, if anything is.
fn link(target: &str, at: PathBuf) {
    let _ = fs::remove_file(&at);
    symlink(target, at).unwrap();
}

fn refused(listed: &mut Listed, path: &Path) -> String {
    match listed.open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn certbot_s_directory_is_opened_as_certbot_lays_it_out() {
    let tree = Tree::new("certbot");
    let live = tree.at("live");
    let mut listed = tree.with_certificates(&[&live]);
    for name in ["fullchain", "privkey"] {
        fs::write(tree.at(&format!("archive/shop.test/{name}1.pem")), name).unwrap();
        let target = format!("../../archive/shop.test/{name}1.pem");
        link(&target, tree.at(&format!("live/shop.test/{name}.pem")));
    }
    fs::write(tree.at("live/README"), "of certbot").unwrap();
    let key = tree.at("live/shop.test/privkey.pem");
    assert_eq!(text(listed.open(&key)), "privkey");
    let entries = listed.list(&live).unwrap();
    let shop = entries.iter().find(|entry| entry.name == "shop.test").unwrap();
    let mut inside: Vec<&OsStr> = shop.inside.iter().map(|entry| &*entry.name).collect();
    inside.sort();
    assert_eq!(inside, ["fullchain.pem", "privkey.pem"]);
    assert!(shop.inside.iter().all(|entry| matches!(entry.kind, Kind::File(_))));
    assert!(matches!(listed.look(&key), Ok(Kind::File(stamp)) if stamp.length == 7));
    assert!(matches!(listed.look(&live), Ok(Kind::Directory)));
    // What the layout does not name, wherever it is.
    fs::create_dir_all(tree.at("accounts")).unwrap();
    for other in ["accounts/key.pem", "archive/shop.test/privkey1.pem", "live/shop.test/deep/a.pem"]
    {
        fs::create_dir_all(tree.at(other).parent().unwrap()).unwrap();
        fs::write(tree.at(other), "not for you").unwrap();
        assert!(refused(&mut listed, &tree.at(other)).contains("is not named in"), "{other}");
        assert!(listed.look(&tree.at(other)).is_err(), "{other}");
    }
    let by_way = live.join("../accounts/key.pem");
    assert!(refused(&mut listed, &by_way).contains("is not named in"));
    assert!(refused(&mut listed, &tree.at("live/README")).contains("is not named in"));
    assert!(refused(&mut listed, &tree.at("live/shop.test")).contains("is not named in"));
    for directory in ["archive", "live/shop.test", ""] {
        let refusal = listed.list(&tree.at(directory)).unwrap_err().to_string();
        assert!(refusal.contains("is not named in"), "{directory}: {refusal}");
    }
    // Links that certbot does not make: to other names, other files, other places.
    fs::create_dir_all(tree.at("archive/other.test")).unwrap();
    fs::write(tree.at("archive/other.test/privkey1.pem"), "another's").unwrap();
    fs::write(tree.at("archive/shop.test/token"), "no key").unwrap();
    for target in [
        "../../archive/other.test/privkey1.pem",
        "../../archive/shop.test/fullchain1.pem",
        "../../archive/shop.test/token",
        "../../accounts/key.pem",
        "/etc/passwd",
    ] {
        link(target, key.clone());
        assert!(refused(&mut listed, &key).contains("is not below"), "{target}");
    }
    // A whole directory that leads away, to what looks like certbot's.
    fs::create_dir_all(tree.at("elsewhere/live/n")).unwrap();
    fs::create_dir_all(tree.at("elsewhere/archive/n")).unwrap();
    fs::write(tree.at("elsewhere/archive/n/privkey1.pem"), "away").unwrap();
    symlink("../../archive/n/privkey1.pem", tree.at("elsewhere/live/n/privkey.pem")).unwrap();
    symlink(tree.at("elsewhere/live/n"), tree.at("live/n")).unwrap();
    assert!(refused(&mut listed, &tree.at("live/n/privkey.pem")).contains("is not below"));
}

#[test]
fn one_name_of_certbot_s_and_haproxy_s_directory() {
    let tree = Tree::new("haproxy");
    let (name, certs) = (tree.at("live/shop.test"), tree.at("certs"));
    fs::create_dir_all(&certs).unwrap();
    let mut listed = tree.with_certificates(&[&name, &certs]);
    fs::write(tree.at("archive/shop.test/privkey12.pem"), "certbot's").unwrap();
    link("../../archive/shop.test/privkey12.pem", name.join("privkey.pem"));
    assert_eq!(text(listed.open(&name.join("privkey.pem"))), "certbot's");
    for file in ["a.pem", "a.pem.key", "b.crt", "b.key", "c.pem.ecdsa"] {
        fs::write(certs.join(file), file).unwrap();
        assert_eq!(text(listed.open(&certs.join(file))), file);
    }
    for file in ["a.conf", ".a.pem", "shadow"] {
        fs::write(certs.join(file), file).unwrap();
        assert!(refused(&mut listed, &certs.join(file)).contains("is not named in"), "{file}");
    }
    link("../archive/shop.test/privkey12.pem", certs.join("a.pem"));
    assert!(refused(&mut listed, &certs.join("a.pem")).contains("is not below"));
    // As Kubernetes mounts secrets.
    fs::create_dir(certs.join("..2026")).unwrap();
    fs::write(certs.join("..2026/tls.crt"), "mounted").unwrap();
    symlink("..2026", certs.join("..data")).unwrap();
    symlink("..data/tls.crt", certs.join("tls.crt")).unwrap();
    assert_eq!(text(listed.open(&certs.join("tls.crt"))), "mounted");
    link("/dev/zero", certs.join("b.crt"));
    assert!(listed.open(&certs.join("b.crt")).is_err());
    // Nobody waits for who writes into a pipe.
    fs::remove_file(certs.join("b.key")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        certs.join("b.key"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(refused(&mut listed, &certs.join("b.key")).contains("is no regular file"));
}

#[test]
fn a_key_beside_a_certificate_is_opened_and_nothing_else_is() {
    let tree = Tree::new("beside");
    let certificate = tree.at("shop.pem");
    let chain = tree.at("live/shop.test/fullchain.pem");
    let mut listed = tree.with_certificates(&[&certificate, &chain]);
    for file in ["shop.pem", "shop.pem.key", "shop.key", "other.key", "privkey.pem"] {
        fs::write(tree.at(file), file).unwrap();
    }
    for file in ["shop.pem", "shop.pem.key", "shop.key"] {
        assert_eq!(text(listed.open(&tree.at(file))), file);
    }
    for file in ["other.key", "privkey.pem"] {
        assert!(refused(&mut listed, &tree.at(file)).contains("is not named in"), "{file}");
    }
    assert!(listed.list(&certificate).is_err(), "it is no directory");
    fs::write(tree.at("archive/shop.test/privkey1.pem"), "certbot's").unwrap();
    link("../../archive/shop.test/privkey1.pem", tree.at("live/shop.test/privkey.pem"));
    assert_eq!(text(listed.open(&tree.at("live/shop.test/privkey.pem"))), "certbot's");
    link("../../other.key", tree.at("live/shop.test/privkey.pem"));
    let refusal = refused(&mut listed, &tree.at("live/shop.test/privkey.pem"));
    assert!(refusal.contains("is not below"), "{refusal}");
}

/// Whatever becomes of the file meanwhile: what is not confirmed does not outlive its engine, and what
/// somebody went back from does not come by itself.
#[test]
fn a_trial_ends_with_its_engine_and_what_was_gone_back_from_stays_away() {
    let tree = Tree::new("trial");
    let file = tree.at("edge.toml");
    for name in ["one", "two", "three"] {
        fs::write(tree.at(name), name).unwrap();
    }
    let mut listed = tree.listed(&tree.at("one"));
    let digest = |text: &str| eclusa_config::digest(text);
    let first = fs::read_to_string(&file).unwrap();
    assert!(listed.confirm(digest(&first)));
    assert_eq!(listed.lapse(), None);
    // On trial, and the file is changed once more: the engine may have what either names.
    tree.write(&file, &tree.at("two"));
    let second = fs::read_to_string(&file).unwrap();
    assert!(listed.on_trial(digest(&second)));
    tree.write(&file, &tree.at("three"));
    for name in ["one", "two", "three"] {
        assert_eq!(text(listed.open(&tree.at(name))), name);
    }
    assert_eq!(listed.in_force(), Some(&*first));
    assert_eq!(listed.lapse(), Some(NotTheFile::Unconfirmed));
    assert_eq!(listed.lapse(), Some(NotTheFile::GoneBack), "the one after that as well");
    assert_eq!(listed.in_force(), Some(&*first));
    assert!(listed.open(&tree.at("two")).is_err(), "it is neither in force nor in the file");
    // Confirmed.
    fs::write(&file, &second).unwrap();
    assert!(listed.on_trial(digest(&second)) && listed.confirm(digest(&second)));
    assert_eq!((listed.lapse(), listed.in_force()), (None, Some(&*second)));
    // Back again: what it names is opened only for an engine that goes there.
    assert!(listed.open(&tree.at("one")).is_err());
    assert_eq!(listed.before(), Some(&*first));
    assert_eq!(text(listed.open(&tree.at("one"))), "one");
    assert!(listed.gone_back(digest(&first)));
    assert_eq!(listed.in_force(), Some(&*first));
    assert_eq!(listed.before(), None);
    assert_eq!(listed.lapse(), Some(NotTheFile::GoneBack));
    // Somebody reloads: the file is what counts again.
    assert!(listed.confirm(digest(&second)));
    assert_eq!(listed.lapse(), None);
    // Read by an engine, and gone before it was read here: it ends with its engine all the same.
    assert!(!listed.on_trial(digest("whatever an engine says")));
    assert_eq!(listed.lapse(), Some(NotTheFile::Unconfirmed));
    assert_eq!(listed.in_force(), Some(&*second));
}

#[test]
fn what_nobody_has_confirmed_is_not_taken_by_the_next_keeper_either() {
    let tree = Tree::new("recalled");
    let file = tree.at("edge.toml");
    for name in ["one", "two"] {
        fs::write(tree.at(name), name).unwrap();
    }
    let mut listed = tree.listed(&tree.at("one"));
    let good = fs::read_to_string(&file).unwrap();
    assert!(listed.confirm(eclusa_config::digest(&good)));
    assert_eq!(listed.to_remember(), None);
    tree.write(&file, &tree.at("two"));
    let tried = fs::read_to_string(&file).unwrap();
    assert!(listed.on_trial(eclusa_config::digest(&tried)));
    let on_trial = Remembered::new(eclusa_config::digest(&tried), true, &good);
    assert_eq!(listed.to_remember(), Some(on_trial.clone()));
    assert!(listed.gone_back(eclusa_config::digest(&good)));
    let gone_back = Remembered { on_trial: false, ..on_trial.clone() };
    assert_eq!(listed.to_remember(), Some(gone_back.clone()));
    // Another keeper, which knows the file alone.
    for (remembered, why) in
        [(&on_trial, NotTheFile::Unconfirmed), (&gone_back, NotTheFile::GoneBack)]
    {
        let mut next = Listed::read(Program::Edge, &file).unwrap_or_else(|_| panic!()).0;
        assert!(next.recall(remembered));
        assert_eq!((next.lapse(), next.in_force()), (Some(why), Some(&*good)));
        assert_eq!(text(next.open(&tree.at("one"))), "one");
        // As its engine says then, and the one after that.
        assert!(next.gone_back(eclusa_config::digest(&good)));
        assert_eq!(next.to_remember(), Some(gone_back.clone()));
        assert!(next.confirm(eclusa_config::digest(&tried)));
        assert_eq!(next.to_remember(), None);
    }
    // A file that says something else by now is the operator's word.
    fs::write(&file, good.replace("shop.test", "other.test")).unwrap();
    let mut next = Listed::read(Program::Edge, &file).unwrap_or_else(|_| panic!()).0;
    assert!(!next.recall(&on_trial) && next.lapse().is_none());
    fs::write(&file, &tried).unwrap();
    let mut next = Listed::read(Program::Edge, &file).unwrap_or_else(|_| panic!()).0;
    assert!(!next.recall(&Remembered { text: "nonsense".to_owned(), ..on_trial }));
}
