//! Rules about packages: who may depend on whom, and what stands at the top of the repository.

use std::collections::BTreeSet;

use crate::tree::Tree;

/// Which packages of ours each package may use. `aldis-tests` may use all.
const EDGES: [(&str, &[&str]); 6] = [
    ("aldis-wire", &[]),
    ("aldis-core", &["aldis-wire"]),
    ("aldis-control", &[]),
    ("aldis-verify", &["aldis-wire"]),
    ("aldis-node", &["aldis-wire", "aldis-core", "aldis-control", "aldis-verify"]),
    ("aldis-cli", &["aldis-control"]),
];

/// Which packages may depend on a library at all. The derive macros of bincode name it wherever a stored structure is, so
/// what may call it is a rule about sources.
const LIBRARIES: [(&str, &[&str]); 5] = [
    ("bincode", &["aldis-wire", "aldis-core", "aldis-node", "aldis-tests"]),
    ("ed25519-dalek", &["aldis-wire", "aldis-tests"]),
    ("sled", &["aldis-node", "aldis-tests"]),
    ("rustls", &["aldis-node", "aldis-tests"]),
    ("tokio", &["aldis-control", "aldis-node", "aldis-cli", "aldis-tests"]),
];

/// What may be seen at the top.
const TOP: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "crates/",
    "config/",
    "certs-example/",
    "docs/",
    "tests/",
];

/// Packages depend on each other, and on what must be handled with care, only where the design has an edge.
pub(crate) fn edges(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    // The fuzzers are a workspace of their own, with nightly Rust and libFuzzer, and no part of what is built.
    for (path, text) in tree.ending("/Cargo.toml").filter(|(path, _)| !path.starts_with("tests/fuzz/")) {
        let Ok(manifest) = text.parse::<toml::Table>() else {
            complaints.push(format!("{path}: not TOML"));
            continue;
        };
        let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
        let name = name.unwrap_or_default();
        let allowed = EDGES.iter().find(|(package, _)| *package == name).map(|(_, allowed)| *allowed);
        if allowed.is_none() && name != "aldis-tests" {
            complaints.push(format!("{path}: the design has no package `{name}`"));
        }
        for dependency in dependencies(&manifest) {
            let ours = EDGES.iter().any(|(package, _)| *package == dependency);
            if ours && allowed.is_some_and(|allowed| !allowed.contains(&dependency.as_str())) {
                complaints.push(format!("{path}: the design has no edge from {name} to {dependency}"));
            }
            let guarded = LIBRARIES.iter().find(|(library, _)| *library == dependency);
            if guarded.is_some_and(|(_, packages)| !packages.contains(&name)) {
                complaints.push(format!("{path}: {name} must not depend on {dependency}"));
            }
        }
        let inherits =
            manifest.get("lints").and_then(|lints| lints.get("workspace")) == Some(&toml::Value::Boolean(true));
        if !inherits {
            complaints.push(format!("{path}: add `[lints] workspace = true`"));
        }
    }
    complaints
}

/// The two libraries that nobody maintains any more are pinned to the version that was examined.
pub(crate) fn pins(tree: &Tree) -> Vec<String> {
    let text = tree.file("Cargo.toml").unwrap_or_default();
    let pinned = [("bincode", "=2.0.1"), ("sled", "=0.34.7")];
    let unpinned = pinned.iter().filter(|(name, version)| {
        !text.lines().any(|line| {
            line.split('=').next().is_some_and(|key| key.trim() == *name) && line.contains(&format!("\"{version}\""))
        })
    });
    unpinned.map(|(name, version)| format!("Cargo.toml: {name} must be pinned to `{version}`")).collect()
}

/// Nothing but what belongs there stands at the top.
pub(crate) fn top(tree: &Tree) -> Vec<String> {
    let names: BTreeSet<&str> =
        tree.files().map(|(path, _)| path.find('/').map_or(path, |end| &path[..=end])).collect();
    let extra = names.iter().filter(|name| !name.starts_with('.') && !TOP.contains(name));
    let missing = TOP.iter().filter(|name| !names.contains(*name));
    let extra = extra.map(|name| format!("{name}: does not belong at the top of the repository"));
    extra.chain(missing.map(|name| format!("{name}: is missing at the top of the repository"))).collect()
}

fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let here = kinds.iter().filter_map(|kind| manifest.get(*kind)?.as_table());
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
    let there = targets.flat_map(|target| kinds.iter().filter_map(|kind| target.get(*kind)?.as_table()));
    here.chain(there).flat_map(|table| table.keys().cloned()).collect()
}
