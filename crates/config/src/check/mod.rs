//! From document to plan: every section is read and checked, one file for each.

mod apiserver;
mod condition;
mod edge;
mod endpoint;
mod general;
mod host;
mod judge;
mod listener;
mod overlap;
mod pool;
mod probe;
mod route;

use crate::diagnostic::Diagnostics;
use crate::document::{Document, Span};
use crate::plan::Program;
use crate::reader::{Reader, Report};
use crate::{Loaded, Mode, reference};

/// Checks the document. `diagnostics` are those that came up when it was parsed.
pub(crate) fn run(
    program: Program,
    document: &Document,
    mode: Mode,
    diagnostics: Diagnostics,
) -> Result<Loaded, Diagnostics> {
    let report = Report::new(document, diagnostics, program, mode);
    let root = Some(&document.root);
    let top = Reader::new(&report, reference::root(program), String::new(), root, Span::default());
    let plan = match program {
        Program::Apiserver => apiserver::plan(&top),
        Program::Edge => edge::plan(&top),
    };
    host::names(&report, &plan);
    let mut diagnostics = report.into_diagnostics();
    diagnostics.sort();
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    Ok(Loaded { plan, warnings: diagnostics })
}
