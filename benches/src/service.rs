//! As whom candidates run: the user and capabilities of the shipped systemd unit.

use crate::failure::{Context, Outcome};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The user id where the unit's user does not exist here: the first of those that systemd gives to
/// services without a user of their own, so nobody's.
const NOBODY_HERE: u32 = 61184;

/// User and capabilities of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The unit's `User=`, if it names one.
    pub user: Option<String>,
    /// User and group id.
    pub ids: (u32, u32),
    /// `AmbientCapabilities=`, as setpriv names them (`net_raw`).
    pub ambient: Vec<String>,
    /// `CapabilityBoundingSet=`; `None` when the unit does not limit it.
    pub bounding: Option<Vec<String>>,
}

impl Identity {
    /// What the unit file says; without a unit: nobody, without capabilities.
    ///
    /// # Errors
    /// There is a unit that cannot be read, or no user database.
    pub fn of_unit(unit: &Path) -> Outcome<Self> {
        let text = match fs::read_to_string(unit) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => Err(error).context(|| format!("cannot read {}", unit.display()))?,
        };
        let users = fs::read_to_string("/etc/passwd").context(|| "cannot read users".into())?;
        Ok(Self::parse(&text, &users))
    }

    fn parse(unit: &str, passwd: &str) -> Self {
        let unit = &unit.replace("\\\n", " "); // a line goes on after a backslash
        let user = last(unit, "User").map(str::to_owned);
        let ids = user.as_deref().and_then(|name| ids_of(name, passwd));
        Self {
            user,
            ids: ids.unwrap_or((NOBODY_HERE, NOBODY_HERE)),
            ambient: capabilities(unit, "AmbientCapabilities").unwrap_or_default(),
            bounding: capabilities(unit, "CapabilityBoundingSet"),
        }
    }

    /// The arguments of `setpriv` that bring it about, up to the program. The candidate dies with
    /// the runner.
    #[must_use]
    pub fn setpriv(&self) -> Vec<String> {
        let ambient = capability_list(&self.ambient);
        let mut arguments = vec![
            format!("--reuid={}", self.ids.0),
            format!("--regid={}", self.ids.1),
            "--clear-groups".into(),
            format!("--inh-caps={ambient}"),
            format!("--ambient-caps={ambient}"),
            "--no-new-privs".into(),
            "--pdeathsig=KILL".into(),
        ];
        if let Some(bounding) = &self.bounding {
            arguments.push(format!("--bounding-set={}", capability_list(bounding)));
        }
        arguments
    }

    /// Gives `path` to the user.
    ///
    /// # Errors
    /// The runner is not root and not that user.
    pub fn own(&self, path: &Path) -> Outcome<()> {
        let metadata = fs::metadata(path).context(|| path.display().to_string())?;
        if (metadata.uid(), metadata.gid()) == self.ids {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.ids.0), Some(self.ids.1))
            .context(|| format!("cannot give {} to user {}", path.display(), self.ids.0))
    }
}

/// The values of a key of the unit, in the order written. Sections do not matter here: the keys
/// asked for exist in one only.
fn values<'a>(unit: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    unit.lines().filter_map(move |line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then_some(value.trim())
    })
}

fn last<'a>(unit: &'a str, key: &'a str) -> Option<&'a str> {
    values(unit, key).last().filter(|value| !value.is_empty())
}

/// A list of capabilities; as in systemd, lines add up and an empty one begins anew. `None` when
/// the key is not there, or says which are excluded (`~`), which no unit of ours does.
fn capabilities(unit: &str, key: &str) -> Option<Vec<String>> {
    let mut list = None;
    for value in values(unit, key) {
        if value.starts_with('~') {
            return None;
        }
        let list: &mut Vec<String> = list.get_or_insert_default();
        if value.is_empty() {
            list.clear();
        }
        list.extend(value.split_ascii_whitespace().map(|capability| {
            let capability = capability.to_ascii_lowercase();
            capability.strip_prefix("cap_").unwrap_or(&capability).to_owned()
        }));
    }
    list
}

fn capability_list(capabilities: &[String]) -> String {
    let mut list = "-all".to_owned();
    for capability in capabilities {
        list.push_str(",+");
        list.push_str(capability);
    }
    list
}

fn ids_of(user: &str, passwd: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        if name != user && uid != user {
            return None;
        }
        Some((uid.parse().ok()?, gid.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/:/bin/sh\neclusa:x:991:990::/:/bin/false\n";
    const UNIT: &str = "[Unit]\nDescription=x\n[Service]\nUser=eclusa\n# User=root\n\
        CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_NET_RAW\n\
        AmbientCapabilities=CAP_SYS_ADMIN\nAmbientCapabilities=\n\
        AmbientCapabilities = CAP_NET_BIND_SERVICE\n";

    #[test]
    fn a_unit_says_who_and_what_for() {
        let identity = Identity::parse(UNIT, PASSWD);
        assert_eq!(identity.ids, (991, 990));
        assert_eq!(identity.ambient, ["net_bind_service"]);
        assert_eq!(
            identity.bounding,
            Some(vec!["net_bind_service".to_owned(), "net_raw".to_owned()])
        );
        let arguments = identity.setpriv();
        assert!(arguments.contains(&"--ambient-caps=-all,+net_bind_service".to_owned()));
        assert!(arguments.contains(&"--bounding-set=-all,+net_bind_service,+net_raw".to_owned()));
    }

    #[test]
    fn an_unknown_user_and_an_empty_unit_fall_back_to_nobody() {
        assert_eq!(Identity::parse(UNIT, "").ids, (NOBODY_HERE, NOBODY_HERE));
        let identity = Identity::parse("", PASSWD);
        assert_eq!(identity.ids, (NOBODY_HERE, NOBODY_HERE));
        assert_eq!((identity.ambient.len(), identity.bounding), (0, None));
    }

    #[test]
    fn exclusions_limit_nothing_here() {
        let identity = Identity::parse("CapabilityBoundingSet=~CAP_SYS_ADMIN\n", PASSWD);
        assert_eq!(identity.bounding, None);
    }
}
