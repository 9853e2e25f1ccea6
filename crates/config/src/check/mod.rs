//! From document to plan: every section is read and checked, one file for each.

mod admin;
mod apiserver;
mod condition;
mod dashboard;
mod edge;
mod endpoint;
mod expect;
mod general;
mod haproxy;
mod host;
mod http;
mod judge;
mod layers;
mod leaves;
mod list;
mod listener;
mod log;
mod observe;
mod overlap;
mod places;
mod pool;
mod probe;
mod route;
mod rule;
mod tls;

use crate::diagnostic::Diagnostics;
use crate::document::{Document, Span};
use crate::plan::{Admin, Program};
use crate::reader::{Reader, Report};
use crate::{Loaded, Mode, Opener, reference};
use std::path::PathBuf;

/// What the document says of the admin socket and of the run directory, whatever else is wrong.
pub(crate) fn admin(
    program: Program,
    document: &Document,
    diagnostics: Diagnostics,
) -> (Option<Admin>, Option<PathBuf>) {
    let opener: Opener = |_| Err(std::io::ErrorKind::Unsupported.into());
    let report = Report::new(document, diagnostics, program, (Mode::Offline, opener));
    let root = Some(&document.root);
    let top = Reader::new(&report, reference::root(program), String::new(), root, Span::default());
    let run_directory = top.path_of(&reference::table::RUN_DIRECTORY).map(|got| got.value);
    (admin::read(&top), run_directory)
}

/// Checks the document. `diagnostics` are those that came up when it was parsed.
pub(crate) fn run(
    program: Program,
    document: &Document,
    (mode, open): (Mode, Opener),
    diagnostics: Diagnostics,
) -> Result<Loaded, Diagnostics> {
    let report = Report::new(document, diagnostics, program, (mode, open));
    let root = Some(&document.root);
    let top = Reader::new(&report, reference::root(program), String::new(), root, Span::default());
    let mut plan = match program {
        Program::Apiserver => apiserver::plan(&top),
        Program::Edge => edge::plan(&top),
    };
    plan.lists = report.lists.take();
    let expected = expect::read(&top);
    host::names(&report, &plan);
    if !report.has_errors() {
        expect::check(&report, &plan, &expected);
    }
    let mut diagnostics = report.into_diagnostics();
    diagnostics.sort();
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    Ok(Loaded { plan, warnings: diagnostics, digest: 0 })
}
