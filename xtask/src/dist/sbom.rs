//! What a program is made of, as a CycloneDX 1.6 document.

use super::{Package, VERSION};
use crate::{Outcome, deny, tree};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

/// The crates of a program, as cargo knows them.
#[derive(Debug)]
pub struct Graph {
    /// In order of name and version; the program itself among them.
    pub crates: Vec<Crate>,
}

/// A crate.
#[derive(Debug)]
pub struct Crate {
    pub name: String,
    pub version: String,
    pub licence: Option<String>,
    /// Where its manifest is.
    pub folder: PathBuf,
    /// Whether it is one of ours.
    pub ours: bool,
    /// SHA-256 of what was fetched, from the lock file.
    checksum: Option<String>,
    /// What it uses, as `NAME VERSION`.
    uses: BTreeSet<String>,
}

impl Crate {
    fn id(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// A package URL, which names a crate for tools that look for advisories.
    fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

impl Graph {
    /// Asks cargo for what ends in the program: no tests, no build scripts, this machine's target.
    ///
    /// # Errors
    /// cargo fails, or the lock file is unreadable.
    pub fn read(program: &str) -> Outcome<Self> {
        let tree = deny::cargo(&["tree", "-p", program, "-e", "normal", "--prefix=none"])?;
        let metadata = deny::cargo(&["metadata", "--format-version=1"])?;
        let metadata: Value =
            serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
        let lock = fs::read_to_string(tree::root().join("Cargo.lock"))
            .map_err(|error| format!("Cargo.lock: {error}"))?;
        Ok(Self::of(&metadata, &deny::crates(&tree), &checksums(&lock)?))
    }

    fn of(
        metadata: &Value,
        wanted: &BTreeSet<String>,
        checksums: &BTreeMap<String, String>,
    ) -> Self {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut by_cargo_id = BTreeMap::new();
        let mut crates = Vec::new();
        for package in list(&metadata["packages"]) {
            let (name, version) = (text(&package["name"]), text(&package["version"]));
            let (Some(name), Some(version)) = (name, version) else { continue };
            let id = format!("{name} {version}");
            by_cargo_id.insert(text(&package["id"]).unwrap_or_default(), id.clone());
            if !wanted.contains(&id) {
                continue;
            }
            let mut folder = PathBuf::from(text(&package["manifest_path"]).unwrap_or_default());
            folder.pop();
            let (licence, ours) = (text(&package["license"]), package["source"].is_null());
            let checksum = checksums.get(&id).cloned();
            let uses = BTreeSet::new();
            crates.push(Crate { name, version, licence, folder, ours, checksum, uses });
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let id = node["id"].as_str().and_then(|id| by_cargo_id.get(id));
            let known = crates.iter_mut().find(|known| Some(&known.id()) == id);
            let Some(known) = known else { continue };
            let is_normal = |kind: &Value| kind["kind"].is_null();
            let used = list(&node["deps"]).into_iter().filter_map(|used| {
                let normal = list(&used["dep_kinds"]).iter().any(is_normal);
                let id = by_cargo_id.get(used["pkg"].as_str()?)?;
                (normal && wanted.contains(id)).then(|| id.clone())
            });
            known.uses = used.collect();
        }
        crates.sort_by_key(Crate::id);
        Self { crates }
    }
}

fn checksums(lock: &str) -> Outcome<BTreeMap<String, String>> {
    let lock: toml::Table = lock.parse().map_err(|error| format!("Cargo.lock: {error}"))?;
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let of = |package: &toml::Value| {
        let text = |key| package.get(key).and_then(toml::Value::as_str);
        Some((format!("{} {}", text("name")?, text("version")?), text("checksum")?.to_owned()))
    };
    Ok(packages.filter_map(of).collect())
}

/// The document.
#[must_use]
pub fn render(package: &Package<'_>, graph: &Graph) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(package.epoch);
    let (own, others): (Vec<_>, Vec<_>) =
        graph.crates.iter().partition(|one| one.name == package.program);
    let depends: Vec<_> = graph
        .crates
        .iter()
        .map(|one| {
            let uses: Vec<_> = one.uses.iter().map(|id| purl_of(id)).collect();
            json!({ "ref": one.purl(), "dependsOn": uses })
        })
        .collect();
    let components: Vec<_> = others.into_iter().map(component).collect();
    let mut program = own.first().map_or(Value::Null, |own| component(own));
    program["type"] = json!("application");
    let sbom = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": humantime::format_rfc3339_seconds(time).to_string(),
            "tools": { "components": [
                { "type": "application", "name": "cargo xtask dist", "version": VERSION },
            ] },
            "component": program,
        },
        "components": components,
        "dependencies": depends,
    });
    format!("{sbom:#}\n")
}

fn purl_of(id: &str) -> String {
    format!("pkg:cargo/{}", id.replace(' ', "@"))
}

fn component(one: &Crate) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": one.purl(),
        "name": one.name,
        "version": one.version,
    });
    // A package URL says where a crate comes from; ours come from nowhere but here.
    if !one.ours {
        component["purl"] = json!(one.purl());
    }
    if let Some(licence) = &one.licence {
        // cargo once allowed `/` for OR.
        component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
    }
    if let Some(checksum) = &one.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn only_what_ends_in_the_program_is_told() {
        let package = |id: &str, source: Option<&str>| {
            json!({"id": format!("{id}#1"), "name": id, "version": "1.0.0", "license": "MIT/Apache-2.0",
                   "source": source, "manifest_path": format!("/crates/{id}/Cargo.toml")})
        };
        let uses = |id: &str, kind: Option<&str>| json!({"pkg": format!("{id}#1"), "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package("daemon", None), package("a", Some("registry")), package("test", Some("registry"))],
            "resolve": {"nodes": [
                {"id": "daemon#1", "deps": [uses("a", None), uses("test", Some("dev"))]},
                {"id": "a#1", "deps": []},
            ]},
        });
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"5d\"\n";
        let wanted = ["daemon 1.0.0", "a 1.0.0"].map(ToOwned::to_owned).into();
        let graph = Graph::of(&metadata, &wanted, &checksums(lock).unwrap());
        let package = Package {
            program: "daemon",
            version: "1.0.0",
            epoch: 0,
            maintainer: "",
            binaries: Path::new(""),
        };
        let sbom: Value = serde_json::from_str(&render(&package, &graph)).unwrap();
        assert_eq!(sbom["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(sbom["metadata"]["component"]["name"], "daemon");
        assert_eq!(sbom["metadata"]["component"]["purl"], Value::Null);
        let components = sbom["components"].as_array().unwrap();
        assert_eq!(components.len(), 1);
        assert_eq!(components[0]["purl"], "pkg:cargo/a@1.0.0");
        assert_eq!(components[0]["hashes"][0]["content"], "5d");
        assert_eq!(components[0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(sbom["dependencies"][1]["dependsOn"], json!(["pkg:cargo/a@1.0.0"]));
    }
}
