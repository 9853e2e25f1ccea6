//! What a run needs before it begins: programs, descriptors, a place for files; and the facts that its
//! report begins with.

use crate::binaries::{Binary, Kind};
use crate::case::Case;
use crate::certificate;
use crate::failure::{Context, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::machine::{self, Fact};
use crate::place::{Cores, may_make_namespaces};
use crate::process::Scratch;
use crate::scene::Bench;
use crate::service::Identity;
use crate::setup::Setup;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::cell::Cell;
use std::path::Path;

/// Finds out what this machine has, and says it. `loopback`: no namespaces, though there is a right to
/// them; `plain`: candidates run as whoever runs this, though there is a right to others.
///
/// # Errors
/// The machine has no place for files, or says nothing of itself.
pub fn prepare(root: &Path, loopback: bool, plain: bool) -> Outcome<(Bench, Vec<Fact>)> {
    let workspace = root.parent().unwrap_or(root);
    let mut facts = machine::facts(workspace);
    let scratch = Scratch::new()?;
    certificate::write(scratch.path())?;
    let interrupt = Interrupt::new()?;
    let mut binaries = Vec::new();
    for kind in Kind::ALL {
        match Binary::find(kind, workspace, scratch.path()) {
            Ok(binary) => {
                facts.push((kind.name().into(), binary.version.clone()));
                binaries.push(binary);
            }
            Err(failure) => {
                eprintln!("ABSENT: {}: {failure}", kind.name());
                facts.push((kind.name().into(), format!("**absent**: {failure}")));
            }
        }
    }
    let may = may_make_namespaces();
    let namespaces = may && !loopback;
    let unit = workspace.join("systemd/eclusa-edge.service");
    let identity = (may && !plain).then(|| Identity::of_unit(&unit)).transpose()?;
    let cores = Cores::choose()?;
    facts.push(("place".into(), place(namespaces, cores.as_ref())));
    facts.push(("candidates run as".into(), whom(identity.as_ref())));
    let bench = Bench {
        program: std::env::current_exe().context(|| "this program's path".into())?,
        scratch,
        identity,
        cores,
        namespaces,
        binaries,
        descriptors: raise_descriptors()?,
        interrupt,
        places: Cell::new(0),
    };
    Ok((bench, facts))
}

fn place(namespaces: bool, cores: Option<&Cores>) -> String {
    let place = if namespaces {
        "three network namespaces joined by veth, congestion control reno"
    } else {
        "loopback (congestion control as the machine has it)"
    };
    let cores = cores.map_or_else(
        || "one core for all, nothing pinned".to_owned(),
        |c| {
            let (candidate, load) = (c.candidate(1), c.load());
            format!("candidate on core {candidate}, generator and endpoint on core {load}")
        },
    );
    format!("{place}; {cores}")
}

fn whom(identity: Option<&Identity>) -> String {
    let Some(identity) = identity else { return "the user of this run".into() };
    let user = identity.user.as_deref().unwrap_or("no user named by the unit");
    format!(
        "{user} (id {}), capabilities: {}",
        identity.ids.0,
        if identity.ambient.is_empty() { "none".into() } else { identity.ambient.join(" ") }
    )
}

/// Allows this process, and so its children, as many descriptors as it may have.
fn raise_descriptors() -> Outcome<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context(|| "cannot raise the limit of descriptors".into())?;
    // nginx sizes a table by it.
    Ok(limit.maximum.unwrap_or(u64::MAX).min(200_000))
}

/// The setups of a case that are wanted and whose program is here. A candidate that the case leaves
/// out is none of it; one that no case knows is a mistake, which `known` tells.
///
/// # Errors
/// The wanted ones are not here, or nobody knows them.
pub fn setups(
    bench: &Bench,
    case: &Case,
    candidates: &[String],
    known: &[Setup],
) -> Outcome<Vec<Setup>> {
    let unknown = |name: &&String| !known.iter().any(|s| s.wanted(std::slice::from_ref(*name)));
    if let Some(name) = candidates.iter().find(unknown) {
        let mut names: Vec<_> = known.iter().map(Setup::name_without_step).collect();
        names.sort_unstable();
        names.dedup();
        return Err(Failure::new(format!("no candidate {name}; there are: {}", names.join(", "))));
    }
    let mut setups = Setup::of_case(case)?;
    setups.retain(|setup| setup.wanted(candidates));
    setups.retain(|setup| match &setup.template {
        Some((kind, _)) => bench.binaries.iter().any(|binary| binary.kind == *kind),
        None => true,
    });
    if setups.is_empty() {
        return Err(Failure::new(format!("{}: none of the wanted candidates is here", case.name)));
    }
    Ok(setups)
}
