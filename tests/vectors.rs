//! The vectors of the protocol: what is checked in is what the generator makes, this program agrees with every one, and
//! so does the independent verifier that was written from docs/protocol.md.

use aldis_tests::vectors::{Case, Data, all, directory, judge};
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::kinds::KINDS;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

fn checked_in() -> BTreeMap<String, String> {
    let files = fs::read_dir(directory()).expect("tests/vectors is there");
    let files = files
        .map(|entry| entry.expect("a file of tests/vectors").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"));
    files
        .map(|path| {
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("vectors have plain names").to_owned();
            (name, fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect()
}

#[test]
fn the_vectors_checked_in_are_what_the_generator_makes() {
    let files = checked_in();
    let cases = all();
    for case in &cases {
        let file = files.get(&case.name).unwrap_or_else(|| panic!("{} is missing: run make_vectors", case.name));
        assert!(*file == case.to_string(), "{} differs: run make_vectors and say why in the commit", case.name);
        assert_eq!(Case::parse(&case.name, file).as_ref(), Ok(case), "a file reads back as its case");
    }
    assert_eq!(files.len(), cases.len(), "a file that no case makes");
    assert!(cases.len() >= 80, "{} vectors", cases.len());
}

#[test]
fn this_program_agrees_with_every_vector() {
    let mut disagreements = Vec::new();
    for (name, text) in checked_in() {
        let case = Case::parse(&name, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let verdict = judge(&case).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (outcome, shows) = match verdict {
            Ok(shown) => ("ok", Some(shown.to_string())),
            Err(word) => (word, None),
        };
        if outcome != case.outcome || shows != case.shows {
            disagreements.push(format!("{name}: {outcome} {shows:?} where {} {:?}", case.outcome, case.shows));
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

#[test]
fn the_independent_verifier_agrees_with_every_vector() {
    let script = directory().with_file_name("verifier").join("verify_vectors.py");
    let output = Command::new("python3").arg(&script).arg(directory()).output();
    let output = output.expect("python3 runs: install it, and the package python3-cryptography");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!err.contains("No module named"), "install the package python3-cryptography\n{err}");
    assert!(output.status.success(), "{out}{err}");
    // Phrases need an argon2id that older packages lack; the script says so for each.
    let skipped = out.matches(": skipped, ").count();
    assert!(skipped <= checked_in().keys().filter(|name| name.starts_with("phrase-")).count(), "{out}");
    let passed = format!("{} passed, 0 failed", checked_in().len() - skipped);
    assert!(out.contains(&passed), "it checked other files than there are: {out}");
    print!(
        "{}",
        out.lines().filter(|line| line.contains("skipped")).map(|line| format!("{line}\n")).collect::<String>()
    );
}

fn specification() -> String {
    let document = fs::read_to_string(directory().with_file_name("..").join("docs/protocol.md"));
    document.expect("docs/protocol.md is there")
}

fn chapter<'a>(document: &'a str, kind: &str, version: u16) -> &'a str {
    let title = format!("`{kind}`, version {version}\n");
    let (_, chapter) = document.split_once(&title).unwrap_or_else(|| panic!("no chapter {title}"));
    chapter.split_once("\n##").expect("another chapter follows").0
}

fn between_words(c: char) -> bool {
    c.is_whitespace() || ",;:.|()".contains(c)
}

#[test]
fn i10_every_kind_has_its_chapter_with_every_word_and_its_vectors() {
    let document = specification();
    let cases = all();
    for kind in KINDS {
        // A later version's chapter says only what it adds to the ones before.
        let chapters: Vec<&str> = (1..=kind.version).map(|version| chapter(&document, kind.name, version)).collect();
        let words = chapters.iter().flat_map(|chapter| chapter.split(between_words));
        let words: Vec<&str> = words.collect();
        for (field, choices) in kind.choices {
            for word in *choices {
                assert!(words.contains(word), "{} {field}: `{word}` is not in the specification", kind.name);
            }
        }
        let version = kind.version.to_string();
        let of_kind = |case: &&Case| {
            case.input("kind") == Ok(kind.name)
                && case.input("kind-version") == Ok(&version)
                && case.name.starts_with("body-")
        };
        assert!(cases.iter().any(|case| of_kind(&case) && case.outcome == "ok"), "no good vector of {}", kind.name);
        assert!(cases.iter().any(|case| of_kind(&case) && case.outcome != "ok"), "no bad vector of {}", kind.name);
    }
}

#[test]
fn i8_every_goodbye_is_in_the_specification() {
    let document = specification();
    for code in (1..100).map(GoodbyeCode).filter(|code| code.name() != "unknown-code") {
        let row = format!("\n| {} | {} |", code.0, code.name());
        assert!(document.contains(&row), "no row{row}");
    }
}

#[test]
fn the_example_in_the_specification_is_the_vector_it_names() {
    let document = specification();
    let (_, section) = document.split_once("## 18 An envelope in hexadecimal").expect("section 18 is there");
    let (section, _) = section.split_once("\n## ").expect("section 19 follows");
    let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
    let hex: String = lines.filter_map(|line| line.split("  ").next()).flat_map(str::split_whitespace).collect();
    let case = all().into_iter().find(|case| case.name == "envelope-example").expect("the case is there");
    let Data::Bytes(bytes) = case.data else { panic!("an envelope is bytes") };
    let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    assert_eq!(hex, expected);
}
