//! Rules about source files: which module may name what, what never stands in a file, how long one may be.

use crate::source::has_word;
use crate::tree::{Tree, lines};

/// What only some files may name, in the code that runs in a node. A test may name anything: it must be able to play a
/// peer that breaks the rules.
const GUARDED: [(&str, &str); 8] = [
    ("bincode", "crates/aldis-wire/src/codec/"),
    ("ed25519_dalek", "crates/aldis-wire/src/signing.rs"),
    ("sled", "crates/aldis-node/src/log/"),
    ("rustls", "crates/aldis-node/src/tls/"),
    ("tokio_rustls", "crates/aldis-node/src/tls/"),
    ("rcgen", "crates/aldis-node/src/tls/"),
    ("x509_parser", "crates/aldis-node/src/tls/"),
    ("reqwest", "crates/aldis-control/src/client"),
];

/// What a crate's code never names, so that it stays what it is.
const ABSENT: [(&str, &[&str]); 4] = [
    // Same inputs, same outputs (I11): not even the order of a hash map.
    (
        "crates/aldis-core/src/",
        &[
            "std::fs",
            "std::net",
            "std::io",
            "std::time",
            "std::thread",
            "std::env",
            "tokio",
            "getrandom",
            "HashMap",
            "HashSet",
        ],
    ),
    (
        "crates/aldis-wire/src/",
        &["std::fs", "std::net", "std::time", "std::thread", "std::env", "tokio", "getrandom", "HashMap"],
    ),
    ("crates/aldis-cli/src/", &["aldis_core", "aldis_node", "aldis_wire"]),
    // What checks evidence asks nobody.
    (
        "crates/aldis-verify/src/",
        &["std::net", "std::time", "std::thread", "std::env", "tokio", "getrandom", "Command"],
    ),
];

/// The longest file of code, in lines.
const LINES_MAX: usize = 500;
/// The longest file of tests, in lines.
const TEST_LINES_MAX: usize = 800;

/// Only one module calls each library that must be handled with care.
pub(crate) fn guarded_libraries(tree: &Tree) -> Vec<String> {
    in_code(tree, |path, line| {
        let found = GUARDED.iter().filter(|(word, place)| !path.starts_with(place) && has_word(line, word));
        found.map(|(word, place)| format!("`{word}` is named outside {place}")).collect()
    })
}

/// The core and the wire crate touch no clock, no disk and no network; the command knows only the control API.
pub(crate) fn absent_names(tree: &Tree) -> Vec<String> {
    in_code(tree, |path, line| {
        let words = ABSENT.iter().filter(|(place, _)| path.starts_with(place)).flat_map(|(_, words)| *words);
        words
            .filter(|word| has_word(line, word))
            .map(|word| format!("`{word}` must not be named in this crate"))
            .collect()
    })
}

/// Only the journal names segment files.
pub(crate) fn segment_files(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, source) in tree.rust().filter(|(path, _)| !tree.is_test(path)) {
        if !path.starts_with("crates/aldis-node/src/journal/") {
            let named = lines(path, &source.strings).filter(|line| line.text.contains(".seg"));
            complaints.extend(named.map(|line| line.complain("only journal/ names segment files")));
        }
    }
    complaints
}

/// Code has no `unwrap`: an error is handled, or `expect` states the invariant that excludes it.
pub(crate) fn unwraps(tree: &Tree) -> Vec<String> {
    in_code(tree, |_, line| {
        line.contains(".unwrap()")
            .then(|| "`unwrap` outside tests: handle it, or `expect` with the invariant".to_owned())
            .into_iter()
            .collect()
    })
}

/// Tests wait for conditions with a bound, never for time to pass, and none is switched off.
pub(crate) fn sleeping_tests(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, source) in tree.rust() {
        let whole = tree.is_test(path);
        // There a sleep takes no time.
        let virtual_time = source.all_code.contains("start_paused = true");
        for (line, code) in lines(path, &source.all_code).zip(source.code.lines()) {
            // What `code` lacks and `all_code` has is under #[cfg(test)].
            let is_test = whole || code != line.text;
            if is_test && !virtual_time && ["sleep(", "sleep_ms("].iter().any(|call| has_call(line.text, call)) {
                complaints.push(line.complain("a test sleeps: wait for a condition with a bound"));
            }
            if line.text.contains("#[ignore") {
                complaints.push(line.complain("a test is switched off"));
            }
        }
    }
    for (path, text) in tree.ending(".py") {
        let asleep = lines(path, text).filter(|line| line.text.contains("sleep("));
        complaints.extend(asleep.map(|line| line.complain("a test sleeps: wait for a condition with a bound")));
    }
    complaints
}

/// Nothing is left for later in the tree: what is not there is not there.
pub(crate) fn leftovers(tree: &Tree) -> Vec<String> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
    let calls = [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("db", "g!")];
    let mut complaints = Vec::new();
    let binary = [".crt", ".key", ".aldis", ".card", ".lock"];
    for (path, text) in tree.files().filter(|(path, _)| !binary.iter().any(|ending| path.ends_with(ending))) {
        for line in lines(path, text) {
            let word = words.iter().find(|word| has_word(line.text, word));
            let call = calls.iter().find(|call| has_word(line.text, call));
            complaints.extend(word.or(call).map(|word| line.complain(format_args!("`{word}` is left"))));
        }
    }
    complaints
}

/// A file holds one idea, and fits a reader.
pub(crate) fn long_files(tree: &Tree) -> Vec<String> {
    let endings = [".rs", ".py", ".sh"];
    let mut complaints = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| endings.iter().any(|ending| path.ends_with(ending))) {
        let limit = if tree.is_test(path) { TEST_LINES_MAX } else { LINES_MAX };
        let count = text.lines().count();
        if count > limit {
            complaints.push(format!("{path}: {count} lines; {limit} are the limit, so split it by ideas"));
        }
    }
    complaints
}

/// Each file of code says first what it does.
pub(crate) fn silent_modules(tree: &Tree) -> Vec<String> {
    let files = tree.ending(".rs").filter(|(path, text)| !tree.is_test(path) && !text.starts_with("//! "));
    files.map(|(path, _)| format!("{path}:1: begin with `//!`: what the file does and what it never does")).collect()
}

/// Nothing names a place that only one machine has, and crates come from where everybody gets them.
pub(crate) fn machine_places(tree: &Tree) -> Vec<String> {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let settings = ["replace-with", "[source.", "[registries", "registry ="];
    let mut complaints = Vec::new();
    for (path, text) in tree.files() {
        for line in lines(path, text) {
            let begins = |at: usize| !line.text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-/".contains(c));
            let place = places.iter().find(|place| line.text.match_indices(**place).any(|(at, _)| begins(at)));
            complaints.extend(place.map(|place| line.complain(format_args!("`{place}` is a place of one machine"))));
            if path.ends_with(".toml") && settings.iter().any(|setting| line.text.trim_start().starts_with(setting)) {
                complaints.push(line.complain("where crates come from is not ours to set"));
            }
            if path == "Cargo.lock" && line.text.starts_with("source = ") && line.text != PUBLIC_INDEX {
                complaints.push(line.complain("a crate that is not from the public registry"));
            }
        }
    }
    complaints
}

const PUBLIC_INDEX: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// Every rule of the design has a test that bears its number.
pub(crate) fn untested_invariants(tree: &Tree) -> Vec<String> {
    let names: Vec<&str> = tree.rust().flat_map(|(_, source)| functions(&source.all_code)).collect();
    let numbers = (1..=14).map(|number| format!("i{number}_"));
    let untested = numbers
        .filter(|number| !names.iter().any(|name| name.starts_with(number) || name.contains(&format!("_{number}"))));
    untested.map(|number| format!("no test is named {number}..., after the invariant it guards")).collect()
}

/// The names of all functions in a text of code.
pub(crate) fn functions(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("fn ").filter_map(|(at, _)| {
        let rest = &code[at + 3..];
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
    })
}

/// What `judge` says about each line of code that runs in a node.
fn in_code(tree: &Tree, judge: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, source) in tree.rust().filter(|(path, _)| !tree.is_test(path)) {
        for line in lines(path, &source.code) {
            complaints.extend(judge(path, line.text).into_iter().map(|what| line.complain(what)));
        }
    }
    complaints
}

fn has_call(line: &str, call: &str) -> bool {
    line.match_indices(call).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}
