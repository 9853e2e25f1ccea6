//! The judges: facts in, findings out. Nothing here looks at anything by itself.
//!
//! | file | checks |
//! |---|---|
//! | `service` | configuration, service, unit, reload, pools |
//! | `listening` | listeners, low-ports, addresses, reserved-ports |
//! | `kernel` | settings of the kernel, and limits |
//! | `files` | files, secrets, certificates of listeners |
//! | `endpoints` | endpoints, proxy-header, apiserver-reach |
//! | `masters` | endpoint-certificates, cluster, clock |
//! | `migration`, `remedies` | what has to do with HAProxy, where that is wanted |

mod endpoints;
mod files;
mod kernel;
mod listening;
mod masters;
mod migration;
mod remedies;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use kernel::SYSCTLS;
pub(crate) use listening::{is_ours, listener_ports, wanted};

use super::facts::Facts;
use super::report::Findings;

/// Where lines of settings go, and how they come into force.
fn set(line: &str) -> String {
    format!("echo '{line}' >> /etc/sysctl.d/90-eclusa.conf && sysctl --system")
}

/// Judges everything.
pub(crate) fn judge(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let judges: [fn(&Facts, &mut Findings); 7] = [
        service::judge,
        listening::judge,
        kernel::judge,
        files::judge,
        endpoints::judge,
        masters::judge,
        migration::judge,
    ];
    for judge in judges {
        judge(facts, &mut findings);
    }
    findings.sort();
    findings
}
