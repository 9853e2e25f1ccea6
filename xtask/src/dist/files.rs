//! Which files a package has, and from where.

use super::{Package, changelog, gzip, read};
use crate::{Outcome, tree};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file as it will be installed.
#[derive(Debug)]
pub struct File {
    /// Where, without the `/` at the beginning. One that ends in `/` is a directory.
    pub path: String,
    /// Permissions.
    pub mode: u32,
    /// What is in it.
    pub content: Content,
}

/// What is in a file.
#[derive(Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What this file has.
    Of(PathBuf),
    /// Nothing: a directory.
    Directory,
}

const PROGRAM: u32 = 0o755;
const DATA: u32 = 0o644;

/// Documents that are of one program only.
const OF_EDGE: [&str; 1] = ["edge.md"];

/// Folders of `docs` with pages for operators.
const BOOK: [&str; 3] = ["alerts", "pt-BR", "pt-BR/alerts"];

/// All files of a package. `notices` are the licences of what it is made of.
///
/// # Errors
/// A file of the repository or the built program is missing.
pub fn all(package: &Package<'_>, notices: &str) -> Outcome<Vec<File>> {
    let program = package.program;
    let doc = format!("usr/share/doc/{program}");
    let mut files = vec![
        File {
            path: format!("usr/bin/{program}"),
            mode: PROGRAM,
            content: Content::Of(package.binaries.join(program)),
        },
        File { path: "etc/eclusa/".into(), mode: PROGRAM, content: Content::Directory },
        copied(format!("usr/lib/systemd/system/{program}.service"), &unit(program))?,
        copied(format!("usr/lib/sysusers.d/{program}.conf"), "systemd/eclusa.sysusers")?,
        copied(format!("etc/logrotate.d/{program}"), "systemd/eclusa.logrotate")?,
        copied(format!("{doc}/examples/90-eclusa.conf"), "systemd/eclusa.sysctl")?,
        copied(format!("{doc}/copyright"), "packaging/deb/copyright")?,
        packed(format!("{doc}/third-party-licences.gz"), notices.as_bytes())?,
        packed(format!("{doc}/changelog.gz"), changelog::render(package)?.as_bytes())?,
        copied(format!("{doc}/{}.schema.json", package.short()), &schema(package))?,
        text(
            format!("usr/share/lintian/overrides/{program}"),
            script(package, "lintian-overrides")?,
        ),
        copied(
            format!("usr/share/bash-completion/completions/{program}"),
            &format!("packaging/completions/bash/{program}"),
        )?,
        copied(
            format!("usr/share/fish/vendor_completions.d/{program}.fish"),
            &format!("packaging/completions/fish/{program}.fish"),
        )?,
        copied(
            format!("usr/share/zsh/vendor-completions/_{program}"),
            &format!("packaging/completions/zsh/_{program}"),
        )?,
    ];
    for (folder, name) in listed("packaging/man", |name| is_page_of(name, program))? {
        let section = name.rsplit('.').next().unwrap_or_default();
        let path = format!("usr/share/man/man{section}/{name}.gz");
        files.push(packed(path, read(&format!("{folder}/{name}"))?.as_bytes())?);
    }
    for (folder, name) in listed("config", |name| name.starts_with(package.short()))? {
        files.push(copied(format!("{doc}/examples/{name}"), &format!("{folder}/{name}"))?);
    }
    let of_this = |name: &str| {
        Path::new(name).extension().is_some_and(|extension| extension == "md")
            && (program == "eclusa-edge" || !OF_EDGE.contains(&name))
    };
    for (folder, name) in listed("docs", of_this)? {
        files.push(copied(format!("{doc}/{name}"), &format!("{folder}/{name}"))?);
    }
    for folder in BOOK {
        for (from, name) in listed(&format!("docs/{folder}"), of_this)? {
            files.push(copied(format!("{doc}/{folder}/{name}"), &format!("{from}/{name}"))?);
        }
    }
    for (folder, name) in listed("packaging/prometheus", |_| true)? {
        files.push(copied(format!("{doc}/prometheus/{name}"), &format!("{folder}/{name}"))?);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn unit(program: &str) -> String {
    format!("systemd/{program}.service")
}

fn schema(package: &Package<'_>) -> String {
    format!("docs/{}.schema.json", package.short())
}

/// `NAME.8`, `NAME-COMMAND.8`, `NAME.toml.5`.
fn is_page_of(name: &str, program: &str) -> bool {
    name.strip_prefix(program).is_some_and(|rest| rest.starts_with(['.', '-']))
}

/// Files of a folder of the repository, in order.
fn listed(folder: &str, wanted: impl Fn(&str) -> bool) -> Outcome<Vec<(String, String)>> {
    let failed = |error: std::io::Error| format!("{folder}: {error}");
    let mut names = Vec::new();
    for entry in fs::read_dir(tree::root().join(folder)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && wanted(&name) {
            names.push((folder.to_owned(), name));
        }
    }
    names.sort();
    Ok(names)
}

/// A file of `packaging/deb` with the package's names in it.
///
/// # Errors
/// It cannot be read.
pub fn script(package: &Package<'_>, name: &str) -> Outcome<String> {
    let other = crate::deny::DAEMONS.into_iter().find(|daemon| *daemon != package.program);
    let text = read(&format!("packaging/deb/{name}"))?;
    Ok(text
        .replace("@PROGRAM@", package.program)
        .replace("@SHORT@", package.short())
        .replace("@OTHER@", other.unwrap_or_default()))
}

fn text(path: String, text: String) -> File {
    File { path, mode: DATA, content: Content::Bytes(text.into_bytes()) }
}

fn copied(path: String, from: &str) -> Outcome<File> {
    Ok(text(path, read(from)?))
}

fn packed(path: String, bytes: &[u8]) -> Outcome<File> {
    Ok(File { path, mode: DATA, content: Content::Bytes(gzip(bytes)?) })
}

/// Writes the files below `folder`, with their permissions whatever the umask is.
///
/// # Errors
/// One cannot be written, or what it copies cannot be read.
pub fn lay_out(folder: &Path, files: &[&File]) -> Outcome {
    for file in files {
        let path = folder.join(&file.path);
        lay(folder, &path, file).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn lay(root: &Path, path: &Path, file: &File) -> std::io::Result<()> {
    let parent = path.parent().unwrap_or(root);
    fs::create_dir_all(parent)?;
    match &file.content {
        Content::Bytes(bytes) => fs::write(path, bytes)?,
        Content::Of(from) => drop(fs::copy(from, path)?),
        Content::Directory => fs::create_dir_all(path)?,
    }
    fs::set_permissions(path, fs::Permissions::from_mode(file.mode))?;
    for above in parent.ancestors().take_while(|above| above.starts_with(root)) {
        fs::set_permissions(above, fs::Permissions::from_mode(PROGRAM))?;
    }
    Ok(())
}
