//! Where the workspace's own programs are.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest)
}

/// Finds a program of this workspace: named by the environment (`ECLUSA_EDGE_BINARY` for
/// `eclusa-edge`), or beside the running test in `target/PROFILE`. It is not built: a test that
/// builds waits for the lock of the `cargo` that runs it.
///
/// # Errors
/// In words, with the command that builds it.
pub fn binary(name: &str) -> Result<PathBuf, String> {
    let variable = format!("{}_BINARY", name.to_uppercase().replace('-', "_"));
    if let Some(path) = std::env::var_os(&variable) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!("{variable} names {}, which is no file", path.display()))
        };
    }
    let directory = profile_directory()?;
    let path = directory.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let release = if directory.ends_with("release") { " --release" } else { "" };
    Err(format!(
        "{} is not there; build it first: cargo build --workspace{release}",
        path.display()
    ))
}

/// `target/debug` or `target/release`: tests run from its `deps`, programs from itself.
fn profile_directory() -> Result<PathBuf, String> {
    let own = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    let directory = own.parent().unwrap_or(Path::new("/"));
    let in_deps = directory.ends_with("deps") || directory.ends_with("examples");
    let directory = if in_deps { directory.parent().unwrap_or(directory) } else { directory };
    Ok(directory.to_owned())
}
