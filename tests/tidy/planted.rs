//! Small repositories that break one rule each. A rule that does not complain about its own would not complain about ours.

use crate::tree::Tree;
use crate::{Rule, crates, documents, sources};

/// Asserts that a rule complains about the planted files exactly so: each complaint begins with one of `expected`.
fn breaks(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
    let complaints = rule(&Tree::planted(files));
    assert_eq!(complaints.len(), expected.len(), "{complaints:#?}");
    for beginning in expected {
        assert!(complaints.iter().any(|complaint| complaint.starts_with(beginning)), "{beginning}: {complaints:#?}");
    }
}

/// A package's manifest with these dependencies.
fn manifest(name: &str, dependencies: &str) -> String {
    format!("[package]\nname = \"{name}\"\n[dependencies]\n{dependencies}\n[lints]\nworkspace = true\n")
}

#[test]
fn an_edge_that_the_design_lacks_is_found() {
    let core = manifest("aldis-core", "aldis-wire.workspace = true\naldis-node.workspace = true\ntokio = \"1\"");
    let wire = manifest("aldis-wire", "").replace("true", "false");
    let other = manifest("aldis-utils", "");
    let cli = manifest("aldis-cli", "[target.'cfg(unix)'.dev-dependencies]\naldis-core.workspace = true");
    breaks(
        crates::edges,
        &[
            ("crates/a/Cargo.toml", &core),
            ("crates/b/Cargo.toml", &wire),
            ("crates/c/Cargo.toml", &other),
            ("crates/d/Cargo.toml", &cli),
        ],
        &[
            "crates/a/Cargo.toml: the design has no edge from aldis-core to aldis-node",
            "crates/a/Cargo.toml: aldis-core must not depend on tokio",
            "crates/b/Cargo.toml: add `[lints]",
            "crates/c/Cargo.toml: the design has no package `aldis-utils`",
            "crates/d/Cargo.toml: the design has no edge from aldis-cli to aldis-core",
        ],
    );
}

#[test]
fn a_loose_pin_is_found() {
    let loose = "[workspace.dependencies]\nbincode = \"2\"\nsled = \"=0.34.7\"\n";
    breaks(crates::pins, &[("Cargo.toml", loose)], &["Cargo.toml: bincode"]);
}

#[test]
fn a_stray_file_at_the_top_is_found() {
    let mut files: Vec<(&str, &str)> = vec![("notes.txt", ""), (".ci/run", "")];
    files.extend(["Cargo.toml", "Cargo.lock", "README.md", "LICENSE-MIT", "LICENSE-APACHE"].map(|name| (name, "")));
    files.extend(["crates/a", "config/a", "certs-example/a", "docs/a"].map(|name| (name, "")));
    breaks(crates::top, &files, &["notes.txt", "tests/: is missing"]);
}

#[test]
fn a_library_called_from_elsewhere_is_found() {
    let files = [
        ("crates/aldis-node/src/log/store.rs", "use sled::Db;"),
        (
            "crates/aldis-node/src/node.rs",
            "// sled is not code here\nlet s = \"sled\";\nlet in_sled = 1;\nuse sled::Db;",
        ),
        (
            "crates/aldis-node/src/link/mod.rs",
            "#[cfg(test)]\nmod tests {\n    use rustls::X;\n}\nfn f() -> bincode::X {}",
        ),
        ("tests/src/raw.rs", "use ed25519_dalek::X;"),
    ];
    breaks(
        sources::guarded_libraries,
        &files,
        &["crates/aldis-node/src/node.rs:4: `sled`", "crates/aldis-node/src/link/mod.rs:5: `bincode`"],
    );
}

#[test]
fn a_core_that_reads_a_clock_is_found() {
    let files = [
        (
            "crates/aldis-core/src/state.rs",
            "use std::collections::HashMap;\n/// No tokio.\nfn f() { std::time::Instant::now(); }",
        ),
        ("crates/aldis-wire/src/lib.rs", "use std::fmt;"),
        ("crates/aldis-cli/src/main.rs", "use aldis_core::Core;"),
    ];
    breaks(
        sources::absent_names,
        &files,
        &[
            "crates/aldis-core/src/state.rs:1: `HashMap`",
            "crates/aldis-core/src/state.rs:3: `std::time`",
            "crates/aldis-cli/src/main.rs:1: `aldis_core`",
        ],
    );
}

#[test]
fn a_segment_file_named_elsewhere_is_found() {
    let files = [
        ("crates/aldis-node/src/journal/segment.rs", "const E: &str = \".seg\";"),
        ("crates/aldis-node/src/backup.rs", "// a .seg file\nlet name = format!(\"{first}.seg\");"),
    ];
    breaks(sources::segment_files, &files, &["crates/aldis-node/src/backup.rs:2"]);
}

#[test]
fn an_unwrap_outside_tests_is_found() {
    let files = [
        (
            "crates/a/src/lib.rs",
            "#[cfg(test)]\n#[path = \"lib_checks.rs\"]\nmod tests;\n#[cfg(test)]\nmod more;\nfn f() { g().unwrap(); }",
        ),
        ("crates/a/src/lib_checks.rs", "fn t() { g().unwrap(); }"),
        ("crates/a/src/more.rs", "fn t() { g().unwrap(); }"),
        ("crates/a/src/more/deep.rs", "fn t() { g().unwrap(); }"),
        (
            "crates/a/src/other.rs",
            "#[cfg(test)]\nfn t() { g().unwrap(); }\nfn f() { h('\"').unwrap() }\nlet s = r#\"a\".unwrap()\"#;",
        ),
    ];
    breaks(sources::unwraps, &files, &["crates/a/src/lib.rs:6", "crates/a/src/other.rs:3"]);
}

#[test]
fn a_test_that_sleeps_or_is_switched_off_is_found() {
    let files = [
        (
            "crates/a/src/lib.rs",
            "fn f() { thread::sleep(d); }\n#[cfg(test)]\nmod tests {\n    fn t() { thread::sleep(d); }\n}",
        ),
        ("tests/a.rs", "#[ignore = \"slow\"]\nfn t() { tokio::time::sleep(d).await; asleep(1); }"),
        ("tests/a.py", "time.sleep(1)"),
        ("tests/b.rs", "#[tokio::test(start_paused = true)]\nasync fn t() { tokio::time::sleep(d).await; }"),
    ];
    breaks(sources::sleeping_tests, &files, &["crates/a/src/lib.rs:4", "tests/a.rs:1", "tests/a.rs:2", "tests/a.py:1"]);
}

#[test]
fn what_is_left_for_later_is_found() {
    let later = concat!("// TO", "DO: more\nmktemp -d XXXXXX\nto", "do!()\nlet todos = 1;");
    breaks(sources::leftovers, &[("crates/a/src/lib.rs", later)], &["crates/a/src/lib.rs:1", "crates/a/src/lib.rs:3"]);
}

#[test]
fn a_long_file_is_found() {
    let (long, longer) = ("x\n".repeat(501), "x\n".repeat(801));
    let files = [
        ("crates/a/src/lib.rs", &long),
        ("crates/a/tests/a.rs", &long),
        ("tests/a.rs", &longer),
        ("docs/a.md", &longer),
    ];
    let files = files.map(|(path, text)| (path, text.as_str()));
    breaks(sources::long_files, &files, &["crates/a/src/lib.rs: 501", "tests/a.rs: 801"]);
}

#[test]
fn a_file_that_does_not_say_what_it_does_is_found() {
    let files = [
        ("crates/a/src/lib.rs", "//! Says."),
        ("crates/a/src/b.rs", "use std::fmt;"),
        ("crates/a/tests/c.rs", "fn t() {}"),
    ];
    breaks(sources::silent_modules, &files, &["crates/a/src/b.rs:1"]);
}

#[test]
fn a_place_of_one_machine_is_found() {
    let place = concat!("data = \"/ho", "me/ana/data\"\nsee https://a.example/ho", "me/ana");
    let lock =
        "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"git+https://a.example/b\"\n";
    let files = [("config/a.toml", place), (".cargo/config.toml", "[source.mirror]"), ("Cargo.lock", lock)];
    breaks(sources::machine_places, &files, &["config/a.toml:1", ".cargo/config.toml:1", "Cargo.lock:2"]);
}

#[test]
fn an_invariant_without_a_test_is_found() {
    let tests: String = (1..=13).map(|number| format!("fn i{number}_holds() {{}}\n")).collect();
    breaks(sources::untested_invariants, &[("tests/a.rs", &tests)], &["no test is named i14_"]);
    let both = tests.replace("i13_holds", "i13_i14_hold");
    breaks(sources::untested_invariants, &[("tests/a.rs", &both)], &[]);
}

#[test]
fn a_path_that_does_not_exist_is_found() {
    let files = [
        ("README.md", "See `docs/a.md`, tests/vectors/*.txt, docs/ and (crates/gone.rs).\nhttps://a.example/docs/none"),
        ("docs/a.md", ""),
        ("tests/vectors/b.txt", ""),
        ("tests/a.rs", "//! See docs/gone.md.\nlet path = \"docs/not-said.md\";"),
    ];
    breaks(documents::paths, &files, &["README.md:1: `crates/gone.rs`", "tests/a.rs:1: `docs/gone.md`"]);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let files = [
        (
            "README.md",
            "[a](docs/a.md) [b](docs/b.md) [c](https://c.example) [d](docs/a.md#2-the-b-i1)\n[e](docs/a.md#other)",
        ),
        ("docs/a.md", "# 2 The b (I1)\n[up](../README.md) [out](../../x.md)"),
        ("docs/lost.md", ""),
    ];
    breaks(
        documents::links,
        &files,
        &["README.md:1: the link `docs/b.md`", "README.md:2: docs/a.md has no heading", "docs/a.md:2"],
    );
    breaks(documents::unreachable_pages, &files, &["docs/lost.md"]);
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let args = "#[derive(Debug, Subcommand)]\nenum Command {\n    /// Sends.\n    Send(SendArgs),\n    #[command(subcommand)]\n    \
        Peer(PeerCommand),\n    Show { id: String },\n    Verify,\n}\n#[derive(Subcommand)]\nenum PeerCommand { Add { file: F }, List }\n\
        #[derive(Args)]\nstruct SendArgs {\n    on_behalf_of: String,\n    #[arg(long = \"type\")]\n    type_: String,\n}\n";
    let page = "`aldis send --on-behalf-of X --type y`, `aldis fly`, `aldis peer fly`, the aldis way, `aldis peer add FILE`\n\
        ```sh\n./target/release/aldis send \\\n  --to x\nsudo -u aldis aldis show ID | aldis verify && aldis inbox\n```\n";
    let files = [
        ("crates/aldis-cli/src/args.rs", args),
        ("README.md", page),
        ("crates/a/src/lib.rs", "let advice = \"run `aldis check`\";"),
        ("docs/a.md", "`aldisd run`"),
    ];
    breaks(
        documents::commands,
        &files,
        &[
            "README.md:1: `aldis` has no command `fly`",
            "README.md:1: `aldis` has no command `fly`",
            "README.md:3: `aldis` has no option `--to`",
            "README.md:5: `aldis` has no command `inbox`",
            "crates/a/src/lib.rs:1: `aldis` has no command `check`",
            "docs/a.md:1: `aldisd` has no commands at all",
        ],
    );
}

#[test]
fn a_hole_in_the_code_map_is_found() {
    let files = [
        (
            "docs/architecture.md",
            "### `crates/a/src`\n| file | does |\n| `lib.rs`, `b/c.rs` | x |\n| `gone.rs` | `y` |\n## Other\n| `d.rs` | z |",
        ),
        ("crates/a/src/lib.rs", ""),
        ("crates/a/src/b/c.rs", ""),
        ("crates/a/src/new.rs", ""),
        ("crates/a/src/b/tests/d.rs", ""),
    ];
    let expected = [
        "docs/architecture.md:4: crates/a/src/gone.rs",
        "docs/architecture.md: the code map lacks crates/a/src/new.rs",
    ];
    breaks(documents::code_map, &files, &expected);
}

#[test]
fn a_test_that_was_renamed_is_found() {
    let files = [("docs/a.md", "`i1_here`, `i2_gone`, `inbox_row`, `i3`"), ("tests/a.rs", "fn i1_here() {}")];
    breaks(documents::named_tests, &files, &["docs/a.md:1: there is no test `i2_gone`"]);
}

#[test]
fn an_alarm_without_advice_is_found() {
    let code = "self.raise(\n    moment, \"lane-blocked\", text);\nself.raise(moment, \"new-alarm\", None);\n\
        Standing::Lost => Some(\"lost-history\"),\nInput::NodeAlarm { code: Code::known(\"disk-full\"), peer: None, text }";
    let files = [("docs/operating.md", "`lane-blocked`, `disk-full`"), ("crates/aldis-core/src/decide/a.rs", code)];
    let expected = ["docs/operating.md: the alarm `new-alarm`", "docs/operating.md: the alarm `lost-history`"];
    breaks(documents::unexplained_alarms, &files, &expected);
}

#[test]
fn a_link_error_without_advice_is_found() {
    let code = "match e {\n    E::A => \"tls-known\",\n    E::B => \"tls-new\",\n    E::C => \"do this and that\",\n}";
    let files = [("docs/operating.md", "| `tls-known` | x |"), ("crates/aldis-node/src/tls/error.rs", code)];
    let expected = ["crates/aldis-node/src/tls/error.rs:3: docs/operating.md does not explain `tls-new`"];
    breaks(documents::unexplained_link_errors, &files, &expected);
}

#[test]
fn a_journal_that_changed_without_its_page_is_found() {
    let module = "//! Says [`X`].\n//! # Part\n//! | a | 8 |\n\nmod a;\n//! not the head\n";
    let files = [
        ("crates/aldis-node/src/journal/mod.rs", module),
        ("docs/journal.md", "# J\nSays `X`.\n## Part\n| a | 4 |\n\n"),
    ];
    breaks(documents::journal_format, &files, &["crates/aldis-node/src/journal/mod.rs:3"]);
}

#[test]
fn a_decision_out_of_order_is_found() {
    let whole = "# 0001 A\n## Context\n## Choice\n## Consequence\n";
    let files = [
        ("docs/decisions/0001-a.md", whole),
        ("docs/decisions/0003-c.md", "# 0003 C\n## Context\n## Choice\n"),
        ("docs/decisions/README.md", "[1](0001-a.md)"),
    ];
    let expected = [
        "docs/decisions/0003-c.md: name and title must begin with 0002",
        "docs/decisions/0003-c.md: `## Consequence`",
        "docs/decisions/README.md: 0003-c.md is not listed",
    ];
    breaks(documents::decisions, &files, &expected);
}
