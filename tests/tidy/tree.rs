//! The files of the repository, or of a planted one, as texts by path. Build products and version control are no part of
//! them. Nothing is ever written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use crate::source::{Source, test_modules};

/// Files by path, relative to the top, with `/` between the parts.
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    /// The Rust files among them, taken apart once for all rules.
    sources: BTreeMap<String, Source>,
    /// Prefixes of what is compiled for tests only.
    tests: Vec<String>,
}

/// One line of a file.
pub(crate) struct Line<'a> {
    pub(crate) path: &'a str,
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) text: &'a str,
}

impl Tree {
    /// The repository this test belongs to.
    pub(crate) fn repository() -> &'static Self {
        static TREE: OnceLock<Tree> = OnceLock::new();
        TREE.get_or_init(|| {
            let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository");
            let mut files = BTreeMap::new();
            read(top, "", &mut files);
            assert!(files.len() > 100, "only {} files found under {}", files.len(), top.display());
            Self::of(files)
        })
    }

    /// A repository of these files.
    pub(crate) fn planted(files: &[(&str, &str)]) -> Self {
        Self::of(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    fn of(files: BTreeMap<String, String>) -> Self {
        let sources: BTreeMap<String, Source> = files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.clone(), Source::new(text)))
            .collect();
        let tests = sources.iter().flat_map(|(path, source)| test_modules(path, source)).collect();
        Self { files, sources, tests }
    }

    /// Every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files whose path ends so.
    pub(crate) fn ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.ends_with(ending))
    }

    /// Every Rust file.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().map(|(path, source)| (path.as_str(), source))
    }

    /// One Rust file.
    pub(crate) fn source(&self, path: &str) -> Option<&Source> {
        self.sources.get(path)
    }

    /// One file's text.
    pub(crate) fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether a path, with or without `/` at its end, names a file or a directory.
    pub(crate) fn has(&self, path: &str) -> bool {
        let directory = format!("{}/", path.trim_end_matches('/'));
        (!path.ends_with('/') && self.files.contains_key(path))
            || self.files.range(directory.clone()..).next().is_some_and(|(found, _)| found.starts_with(&directory))
    }

    /// Whether a Rust file is only compiled for tests.
    pub(crate) fn is_test(&self, path: &str) -> bool {
        path.starts_with("tests/")
            || path.contains("/tests/")
            || self.tests.iter().any(|module| {
                path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            })
    }
}

/// The lines of a text.
pub(crate) fn lines<'a>(path: &'a str, text: &'a str) -> impl Iterator<Item = Line<'a>> {
    text.lines().enumerate().map(move |(index, text)| Line { path, number: index + 1, text })
}

impl Line<'_> {
    /// A complaint about this line.
    pub(crate) fn complain(&self, what: impl std::fmt::Display) -> String {
        format!("{}:{}: {what}", self.path, self.number)
    }
}

fn read(dir: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let entry = entry.expect("the directory can be read");
        let name = entry.file_name().into_string().expect("names are UTF-8");
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("a file has a type");
        if kind.is_dir() {
            // Hidden directories at the top are tools' own, but for the script and the settings that are ours.
            let foreign = prefix.is_empty() && name.starts_with('.') && name != ".ci" && name != ".cargo";
            if !foreign && path != "target" && name != "__pycache__" {
                read(&entry.path(), &format!("{path}/"), files);
            }
        } else if kind.is_file() && path != ".git" {
            let bytes = std::fs::read(entry.path()).unwrap_or_else(|error| panic!("{path}: {error}"));
            files.insert(path, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}
