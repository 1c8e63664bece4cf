//! Rules about the documentation: what it names exists, what exists is named, and every page can be found.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;
use crate::sources::functions;
use crate::tree::{Line, Tree, lines};

/// The page that lists every file of code.
const CODE_MAP: &str = "docs/architecture.md";
/// The page that explains every alarm.
const ALARMS: &str = "docs/operating.md";
const PLACES: [&str; 6] = ["crates/", "docs/", "config/", "tests/", "certs-example/", ".ci/"];

/// Every path that a page, a setting or a comment names is there.
pub(crate) fn paths(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| !path.starts_with("tests/tidy/") && !path.contains("LICENSE")) {
        let said = match (path.rsplit('.').next(), tree.source(path)) {
            (_, Some(source)) => &source.comments,
            (Some("md" | "toml" | "py"), None) => text,
            _ => continue,
        };
        // The code map's cells are relative to their heading, and have a rule of their own.
        for line in lines(path, said).filter(|line| path != CODE_MAP || !line.text.starts_with("| `")) {
            let gone = named_paths(line.text).into_iter().filter(|named| !exists(tree, named));
            complaints.extend(gone.map(|named| line.complain(format_args!("`{named}` does not exist"))));
        }
    }
    complaints
}

/// Every link in a page leads to a file, and to a heading if it names one.
pub(crate) fn links(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.ending(".md") {
        for (line, target) in link_targets(path, text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
            if !tree.has(&file) {
                complaints.push(line.complain(format_args!("the link `{target}` leads nowhere")));
            } else if !anchor.is_empty()
                && !tree.file(&file).is_some_and(|page| headings(page).any(|slug| slug == anchor))
            {
                complaints.push(line.complain(format_args!("{file} has no heading `#{anchor}`")));
            }
        }
    }
    complaints
}

/// Every page can be reached from README.md.
pub(crate) fn unreachable_pages(tree: &Tree) -> Vec<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec!["README.md".to_owned()];
    while let Some(path) = next.pop() {
        if let Some(text) = tree.file(&path).filter(|_| path.ends_with(".md") && !reached.contains(&path)) {
            next.extend(
                link_targets(&path, text).map(|(_, target)| resolve(&path, target.split('#').next().unwrap_or(""))),
            );
        }
        reached.insert(path);
    }
    let lost = tree.ending(".md").filter(|(path, _)| !reached.contains(*path));
    lost.map(|(path, _)| format!("{path}: no chain of links leads here from README.md")).collect()
}

/// Every command and option named in a page, a message or a comment is understood by the program.
pub(crate) fn commands(tree: &Tree) -> Vec<String> {
    let programs = BTreeMap::from([
        ("aldis", Commands::of(tree, "crates/aldis-cli/src/")),
        ("aldisd", Commands::of(tree, "crates/aldis-node/src/")),
    ]);
    let mut complaints = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| !path.starts_with("tests/tidy/")) {
        let snippets = match (path.rsplit('.').next(), tree.source(path)) {
            (_, Some(source)) => [spans(path, &source.comments), spans(path, &source.strings)].concat(),
            (Some("md"), None) => page_snippets(path, text),
            (Some("toml"), None) => spans(path, text),
            _ => continue,
        };
        for (number, snippet) in snippets {
            let wrong = invocations(&snippet)
                .into_iter()
                .filter_map(|(program, words)| programs[program].judge(program, &words));
            complaints.extend(wrong.map(|what| format!("{path}:{number}: {what}")));
        }
    }
    complaints
}

/// The code map names every file of code, and no other.
pub(crate) fn code_map(tree: &Tree) -> Vec<String> {
    let Some(page) = tree.file(CODE_MAP) else { return vec![format!("{CODE_MAP} is missing")] };
    let (mut dir, mut named, mut complaints) = (String::new(), BTreeSet::new(), Vec::new());
    for line in lines(CODE_MAP, page) {
        if line.text.starts_with('#') {
            dir = code_spans(line.text)
                .into_iter()
                .find(|span| span.starts_with("crates/"))
                .unwrap_or_default()
                .to_owned();
        }
        let cell = line.text.strip_prefix("| `").and_then(|rest| rest.split('|').next()).filter(|_| !dir.is_empty());
        for file in cell
            .map(|cell| code_spans(&format!("`{cell}")).into_iter().map(str::to_owned).collect::<Vec<_>>())
            .unwrap_or_default()
        {
            let path = format!("{dir}/{file}");
            if !tree.has(&path) {
                complaints.push(line.complain(format_args!("{path} does not exist")));
            }
            named.insert(path);
        }
    }
    let code = tree
        .ending(".rs")
        .map(|(path, _)| path)
        .filter(|path| path.contains("/src/") && path.starts_with("crates/") && !tree.is_test(path));
    complaints.extend(
        code.filter(|path| !named.contains(*path)).map(|path| format!("{CODE_MAP}: the code map lacks {path}")),
    );
    complaints
}

/// Every test that a page names by its invariant exists.
pub(crate) fn named_tests(tree: &Tree) -> Vec<String> {
    let known: BTreeSet<&str> = tree.rust().flat_map(|(_, source)| functions(&source.all_code)).collect();
    let mut complaints = Vec::new();
    for (path, text) in tree.ending(".md") {
        for line in lines(path, text) {
            let names = code_spans(line.text).into_iter().filter(|span| is_invariant_test(span));
            let gone = names.filter(|name| !known.contains(name));
            complaints.extend(gone.map(|name| line.complain(format_args!("there is no test `{name}`"))));
        }
    }
    complaints
}

/// The officer's page explains every alarm that the code can raise.
pub(crate) fn unexplained_alarms(tree: &Tree) -> Vec<String> {
    let page = tree.file(ALARMS).unwrap_or_default();
    let mut codes = BTreeSet::new();
    for (path, source) in tree.rust().filter(|(path, _)| !tree.is_test(path)) {
        let standings = path.starts_with("crates/aldis-core/src/decide/").then_some("Standing::");
        for call in ["self.raise(", "NodeAlarm {"].into_iter().chain(standings) {
            for (at, _) in source.code.match_indices(call) {
                let end = source.code[at..].find([';', ',']).map_or(source.code.len(), |end| at + end + 40);
                let end =
                    if call == "Standing::" { source.code[at..].find(',').map_or(at, |end| at + end) } else { end };
                let literal = source.strings.get(at..end.min(source.strings.len())).unwrap_or_default();
                codes.extend(
                    literal.split_whitespace().next().filter(|word| is_code(word)).map(|word| (word.to_owned(), path)),
                );
            }
        }
    }
    let unexplained = codes.into_iter().filter(|(code, _)| !page.contains(&format!("`{code}`")));
    unexplained.map(|(code, path)| format!("{ALARMS}: the alarm `{code}` of {path} is not explained")).collect()
}

/// The officer's page explains every reason why a link does not come up.
pub(crate) fn unexplained_link_errors(tree: &Tree) -> Vec<String> {
    let page = tree.file(ALARMS).unwrap_or_default();
    let mut complaints = Vec::new();
    for path in ["crates/aldis-node/src/tls/error.rs", "crates/aldis-node/src/link/dial.rs"] {
        let Some(source) = tree.source(path) else { continue };
        let arms =
            lines(path, &source.code).zip(source.strings.lines()).filter(|(line, _)| line.text.contains("=> \""));
        let codes = arms.map(|(line, strings)| (line, strings.trim())).filter(|(_, text)| is_code(text));
        let unexplained = codes.filter(|(_, code)| !page.contains(&format!("`{code}`")));
        complaints
            .extend(unexplained.map(|(line, code)| line.complain(format_args!("{ALARMS} does not explain `{code}`"))));
    }
    complaints
}

/// The page about the journal says what the head of its module says, line by line.
pub(crate) fn journal_format(tree: &Tree) -> Vec<String> {
    let (module, page) = ("crates/aldis-node/src/journal/mod.rs", "docs/journal.md");
    let (said, shown) = (tree.file(module).unwrap_or_default(), tree.file(page).unwrap_or_default());
    let plain =
        |line: &str| line.trim().trim_start_matches('#').replace("[`", "`").replace("`]", "`").trim().to_owned();
    let shown: BTreeSet<String> = shown.lines().map(plain).collect();
    let head = lines(module, said).map_while(|line| Some((line.text.strip_prefix("//!").map(plain)?, line)));
    let lacking = head.filter(|(text, _)| !shown.contains(text));
    lacking.map(|(text, line)| line.complain(format_args!("{page} lacks this line: {text}"))).collect()
}

/// Decisions are numbered without a gap, say context, choice and consequence, and stand in their index.
pub(crate) fn decisions(tree: &Tree) -> Vec<String> {
    let dir = "docs/decisions/";
    let index = tree.file("docs/decisions/README.md").unwrap_or_default();
    let files = tree.ending(".md").filter_map(|(path, text)| Some((path.strip_prefix(dir)?, text)));
    let mut complaints = Vec::new();
    for (number, (name, text)) in (1..).zip(files.filter(|(name, _)| *name != "README.md")) {
        let prefix = format!("{number:04}-");
        if !name.starts_with(&prefix) || !text.starts_with(&format!("# {number:04} ")) {
            complaints.push(format!("{dir}{name}: name and title must begin with {number:04}"));
        }
        let missing = ["## Context", "## Choice", "## Consequence"]
            .into_iter()
            .filter(|part| !text.lines().any(|line| line == *part));
        complaints.extend(missing.map(|part| format!("{dir}{name}: `{part}` is missing")));
        if !index.contains(&format!("]({name})")) {
            complaints.push(format!("{dir}README.md: {name} is not listed"));
        }
    }
    complaints
}

/// The commands and options of a program, read from its clap definitions.
#[derive(Default)]
struct Commands {
    /// Subcommands by the enum that defines them.
    enums: BTreeMap<String, BTreeMap<String, Option<String>>>,
    root: String,
    options: BTreeSet<String>,
}

impl Commands {
    fn of(tree: &Tree, dir: &str) -> Self {
        let mut commands = Self::default();
        commands.options.extend(["help", "version"].map(str::to_owned));
        for (_, source) in tree.rust().filter(|(path, _)| path.starts_with(dir) && !tree.is_test(path)) {
            let derives = source.code.contains("Subcommand)")
                || source.code.contains("Subcommand,")
                || source.code.contains("Args)");
            if derives {
                commands.read(source);
            }
        }
        let nested: BTreeSet<&String> = commands.enums.values().flat_map(BTreeMap::values).flatten().collect();
        commands.root = commands.enums.keys().find(|name| !nested.contains(name)).cloned().unwrap_or_default();
        commands
    }

    fn read(&mut self, source: &Source) {
        let code = &source.code;
        for (at, _) in code.match_indices("Subcommand") {
            let derive = code[..at].rfind("#[derive(").is_some_and(|open| !code[open..at].contains(')'));
            let Some(start) = code[at..].find("enum ").filter(|_| derive).map(|found| at + found + 5) else { continue };
            let Some(open) = code[start..].find('{').map(|found| start + found) else { continue };
            let variants = variants(&code[open..]);
            self.enums.insert(code[start..open].trim().to_owned(), variants);
        }
        // A field of any clap structure may be an option; that some are not makes the rule a little lenient.
        for line in code.lines() {
            let field = line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            if let Some((name, _)) = field.split_once(": ").filter(|(name, _)| is_name(name)) {
                self.options.insert(name.trim_end_matches('_').replace('_', "-"));
            }
        }
        for (at, _) in code.match_indices("long = \"") {
            self.options.extend(source.strings[at + 8..].split_whitespace().next().map(str::to_owned));
        }
    }

    /// What is wrong with the words after the program's name.
    fn judge(&self, program: &str, words: &[String]) -> Option<String> {
        let mut place = &self.root;
        let mut rest = words.iter();
        while let Some(known) = self.enums.get(place) {
            let Some(word) = rest.by_ref().find(|word| !word.starts_with('-')) else { break };
            if !word.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                break;
            }
            match known.get(word) {
                None => return Some(format!("`{program}` has no command `{word}`")),
                Some(None) => break,
                Some(Some(nested)) => place = nested,
            }
        }
        if self.root.is_empty() && !words.is_empty() {
            return Some(format!("`{program}` has no commands at all"));
        }
        let options = words.iter().filter_map(|word| word.trim_start_matches('[').strip_prefix("--"));
        let names = options.map(|option| option.trim_end_matches(']').split('=').next().unwrap_or_default());
        let unknown = names.into_iter().find(|name| !name.is_empty() && !self.options.contains(*name));
        unknown.map(|name| format!("`{program}` has no option `--{name}`"))
    }
}

/// The variants of an enum whose body starts with `{`, as clap names them, with the type that each holds.
fn variants(body: &str) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    let (mut depth, mut expected) = (0, true);
    let mut at = 0;
    while let Some(c) = body[at..].chars().next() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' if depth == 1 => break,
            '}' | ')' | ']' => depth -= 1,
            ',' if depth == 1 => expected = true,
            c if depth == 1 && expected && c.is_ascii_uppercase() => {
                let name: String = body[at..].chars().take_while(char::is_ascii_alphanumeric).collect();
                let held = body[at + name.len()..].strip_prefix('(').and_then(|rest| rest.split(')').next());
                let held = held.map(|held| held.trim_start_matches("Box<").trim_end_matches('>').to_owned());
                found.insert(kebab(&name), held.filter(|held| held.ends_with("Command")));
                expected = false;
                at += name.len() - 1;
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    found
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Every call of our programs in a line of shell or a piece of text in backticks, with the words that follow it.
fn invocations(snippet: &str) -> Vec<(&'static str, Vec<String>)> {
    let words: Vec<&str> = snippet.split_whitespace().map(|word| word.trim_end_matches([';', ')', '`'])).collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let name = word.rsplit('/').next().unwrap_or_default();
        let program = match name {
            "aldis" => "aldis",
            "aldisd" => "aldisd",
            _ => continue,
        };
        let before = at.checked_sub(1).map(|before| words[before]);
        let starts = before.is_none_or(|before| {
            ["$", "|", "&&", "--bin", "sudo", "exec", "ExecStart"].contains(&before) || before.contains('=')
        });
        let after_user = at.checked_sub(2).is_some_and(|before| ["-u", "--user"].contains(&words[before]));
        if starts || after_user {
            let ends = ["|", "&&", "||", "&", ">", "<", "#", "2>&1"];
            let rest = words[at + 1..].iter().take_while(|word| !ends.contains(word) && !word.starts_with('#'));
            found.push((program, rest.map(|word| (*word).to_owned()).collect()));
        }
    }
    found
}

/// What stands in backticks in a page outside fences, and the lines of its fences, joined where a `\` says so.
fn page_snippets(path: &str, text: &str) -> Vec<(usize, String)> {
    let (mut snippets, mut fenced, mut joined) = (Vec::new(), false, None::<(usize, String)>);
    for line in lines(path, text) {
        if line.text.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.text.starts_with("    ") {
            let (number, mut command) = joined.take().unwrap_or((line.number, String::new()));
            match line.text.trim_end().strip_suffix('\\') {
                Some(part) => {
                    command.push_str(part);
                    joined = Some((number, command));
                }
                None => snippets.push((number, command + line.text)),
            }
        } else {
            snippets.extend(code_spans(line.text).into_iter().map(|span| (line.number, span.to_owned())));
        }
    }
    snippets
}

/// What stands in backticks in each line of a text.
fn spans(path: &str, text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for line in lines(path, text) {
        found.extend(code_spans(line.text).into_iter().map(|span| (line.number, span.to_owned())));
    }
    found
}

fn code_spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

fn link_targets<'a>(path: &'a str, text: &'a str) -> impl Iterator<Item = (Line<'a>, &'a str)> {
    let lines = lines(path, text).flat_map(|line| {
        let targets: Vec<&str> = line.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        targets.into_iter().map(move |target| (Line { ..line }, target))
    });
    lines.filter(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"))
}

/// A relative link from the page at `path`, as a path from the top.
fn resolve(path: &str, link: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchors of a page's headings, as a forge makes them.
fn headings(page: &str) -> impl Iterator<Item = String> {
    page.lines().filter(|line| line.starts_with('#')).map(|line| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// The words of a line that look like a path from the top of the repository.
fn named_paths(line: &str) -> Vec<&str> {
    let in_path = |c: char| c.is_ascii_alphanumeric() || "_-./*".contains(c);
    let starts = PLACES.iter().flat_map(|place| line.match_indices(place).map(|(at, _)| at));
    let whole = starts.filter(|at| !line[..*at].ends_with(|c: char| c.is_ascii_alphanumeric() || "_-./".contains(c)));
    whole.map(|at| line[at..].split(|c| !in_path(c)).next().unwrap_or_default().trim_end_matches(['.', '-'])).collect()
}

fn exists(tree: &Tree, named: &str) -> bool {
    match named.split_once('*') {
        None => tree.has(named),
        Some((before, after)) => tree.files().any(|(path, _)| {
            path.strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|rest| after.is_empty() || !rest.contains('/'))
        }),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_code(word: &str) -> bool {
    word.len() > 2 && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

fn is_invariant_test(span: &str) -> bool {
    let digits = span.strip_prefix('i').map_or(0, |rest| rest.chars().take_while(char::is_ascii_digit).count());
    digits > 0 && span[1 + digits..].starts_with('_') && is_name(span)
}
