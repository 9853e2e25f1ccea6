//! The unit of the service: what its file and drop-ins say (systemd.unit(5), systemd.exec(5)), as far as
//! the doctor wants it.

use std::path::PathBuf;

/// What a unit says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Its file, then its drop-ins, in the order in which they are read.
    pub(crate) files: Vec<PathBuf>,
    /// `User=`
    pub(crate) user: Option<String>,
    /// `LimitNOFILE=`, the hard one.
    pub(crate) descriptors: Option<u64>,
    /// `AmbientCapabilities=` within `CapabilityBoundingSet=`.
    pub(crate) capabilities: Vec<String>,
    /// `ProtectHome=`: `/home` and `/root` are empty for it.
    pub(crate) hides_home: bool,
    /// `PrivateTmp=`: it has a `/tmp` of its own.
    pub(crate) own_tmp: bool,
}

impl Unit {
    /// Reads the texts of a unit's file and of its drop-ins, in the order of systemd: later ones win, and
    /// an empty list begins anew.
    pub(crate) fn parse(texts: &[(PathBuf, String)]) -> Self {
        let mut unit = Self::default();
        let (mut bounding, mut ambient): (Option<Vec<String>>, Vec<String>) = (None, Vec::new());
        for (path, text) in texts {
            unit.files.push(path.clone());
            for (key, value) in entries(text) {
                let words = || value.split_ascii_whitespace().map(str::to_owned);
                match key {
                    "User" => unit.user = Some(value.to_owned()).filter(|user| !user.is_empty()),
                    "LimitNOFILE" => unit.descriptors = limit(value),
                    "ProtectHome" => unit.hides_home = !is_off(value),
                    "PrivateTmp" => unit.own_tmp = !is_off(value),
                    "AmbientCapabilities" if value.is_empty() => ambient.clear(),
                    "AmbientCapabilities" => ambient.extend(words()),
                    "CapabilityBoundingSet" if value.is_empty() => bounding = Some(Vec::new()),
                    "CapabilityBoundingSet" => {
                        bounding.get_or_insert_default().extend(words());
                    }
                    _ => {}
                }
            }
        }
        ambient.retain(|name| bounding.as_ref().is_none_or(|bounding| bounding.contains(name)));
        unit.capabilities = ambient;
        unit
    }

    /// Whether it is given this capability.
    pub(crate) fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| name == capability)
    }
}

/// Keys and values of a unit file, without sections: no key that is looked for stands in two.
fn entries(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim()))
}

fn is_off(value: &str) -> bool {
    ["no", "false", "off", "0", ""].contains(&value)
}

/// `SOFT:HARD` or one for both; `None`: none that is a number.
fn limit(value: &str) -> Option<u64> {
    let hard = value.rsplit(':').next()?;
    if hard == "infinity" { Some(u64::MAX) } else { hard.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(texts: &[&str]) -> Unit {
        let texts: Vec<_> = texts.iter().map(|text| (PathBuf::new(), (*text).to_owned())).collect();
        Unit::parse(&texts)
    }

    #[test]
    fn the_shipped_units_are_understood() {
        let shipped = |name: &str| {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd");
            unit(&[&std::fs::read_to_string(folder.join(name)).unwrap()])
        };
        let (masters, edge) = (shipped("eclusa-apiserver.service"), shipped("eclusa-edge.service"));
        for unit in [&masters, &edge] {
            assert_eq!((unit.user.as_deref(), unit.descriptors), (Some("eclusa"), Some(524_288)));
            assert!(unit.hides_home && unit.own_tmp);
        }
        assert_eq!(masters.capabilities, [""; 0]);
        assert!(edge.has("CAP_DAC_READ_SEARCH") && edge.has("CAP_NET_BIND_SERVICE"));
    }

    #[test]
    fn a_drop_in_wins_and_an_empty_list_begins_anew() {
        let base = "[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE CAP_DAC_READ_SEARCH\n\
                    CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_DAC_READ_SEARCH\nLimitNOFILE=1024:524288\n";
        let found = unit(&[base, "[Service]\n# AmbientCapabilities=\nLimitNOFILE=infinity\n"]);
        assert!(found.has("CAP_DAC_READ_SEARCH") && found.descriptors == Some(u64::MAX));
        let drop_in =
            "[Service]\nCapabilityBoundingSet=\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n";
        let found = unit(&[base, drop_in]);
        assert_eq!(found.capabilities, ["CAP_NET_BIND_SERVICE"]);
        assert_eq!(found.descriptors, Some(524_288));
        let found = unit(&[base, "AmbientCapabilities=\nProtectHome=no\n"]);
        assert!(found.capabilities.is_empty() && !found.hides_home);
    }
}
