//! A Rust file taken apart: code, comments and string literals, each in a text of the same length in which the rest is
//! blank, so that a rule about code never stumbles over a sentence. It does not parse Rust beyond that.

use std::ops::Range;

/// A Rust file taken apart.
pub(crate) struct Source {
    /// What is neither comment nor literal. What is under `#[cfg(test)]` in the file is blank.
    pub(crate) code: String,
    /// The same with what is under `#[cfg(test)]`.
    pub(crate) all_code: String,
    /// Comments, with their slashes.
    pub(crate) comments: String,
    /// The insides of string literals.
    pub(crate) strings: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Text,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let parts = parts(text.as_bytes());
        let only = |part| {
            let bytes = text.bytes().zip(&parts);
            let kept = bytes.map(|(byte, of)| if *of == part || byte == b'\n' { byte } else { b' ' }).collect();
            String::from_utf8(kept).expect("characters are kept or blanked whole")
        };
        let all_code = only(Part::Code);
        let mut code = all_code.clone().into_bytes();
        for (range, _) in test_items(&all_code) {
            code[range].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
        let code = String::from_utf8(code).expect("items begin and end at ASCII characters");
        Self { code, all_code, comments: only(Part::Comment), strings: only(Part::Text) }
    }
}

/// Whether `word` stands in `text` by itself, not as a part of a longer name.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(is_name);
        let after = text[at + word.len()..].chars().next().is_some_and(is_name);
        !before && !after
    })
}

/// The modules in other files that a file declares under `#[cfg(test)]`, as paths without `.rs`.
pub(crate) fn test_modules(path: &str, source: &Source) -> Vec<String> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.trim_end_matches(".rs");
    let children = if ["mod", "lib", "main"].contains(&stem) { dir.to_owned() } else { format!("{dir}/{stem}") };
    let items = test_items(&source.all_code).into_iter().filter_map(|(range, module)| Some((range, module?)));
    items
        .map(|(range, module)| {
            let given = source.strings[range].trim();
            if given.is_empty() {
                format!("{children}/{module}")
            } else {
                format!("{dir}/{}", given.trim_end_matches(".rs"))
            }
        })
        .collect()
}

/// The items under `#[cfg(test)]`, each with its name if it is a module in another file.
fn test_items(code: &str) -> Vec<(Range<usize>, Option<String>)> {
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = item_end(code.as_bytes(), start);
        let item = code[start..end].trim_end();
        let module = item.strip_suffix(';').and_then(|item| item.rsplit_once("mod ")).map(|(_, name)| name.trim());
        items.push((start..end, module.map(str::to_owned)));
        from = end;
    }
    items
}

/// Where the item that starts with attributes at `start` ends: after its braces, or after its semicolon or comma.
fn item_end(code: &[u8], start: usize) -> usize {
    let (mut depth, mut brackets) = (0_usize, 0_usize);
    for (at, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'[' | b'(' => brackets += 1,
            b']' | b')' => brackets = brackets.saturating_sub(1),
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b';' | b',' if depth == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn parts(text: &[u8]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(text.len());
    while parts.len() < text.len() {
        let at = parts.len();
        let rest = &text[at..];
        let (end, part) = match rest {
            [b'/', b'/', ..] => (at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()), Part::Comment),
            [b'/', b'*', ..] => (block_comment_end(text, at), Part::Comment),
            [b'\'', ..] if let Some(length) = char_length(rest) => (at + length, Part::Text),
            // The quotes themselves count as code.
            [b'"', ..] => {
                parts.push(Part::Code);
                parts.resize(string_end(text, at).min(text.len()), Part::Text);
                (parts.len() + 1, Part::Code)
            }
            _ => (at + 1, Part::Code),
        };
        parts.resize(end.min(text.len()), part);
    }
    parts
}

/// The closing quote of the literal whose opening one is at `quote`.
fn string_end(text: &[u8], quote: usize) -> usize {
    let hashes = text[..quote].iter().rev().take_while(|byte| **byte == b'#').count();
    let raw = text[..quote - hashes].last() == Some(&b'r');
    let mut end = quote + 1;
    while end < text.len() {
        match text[end] {
            b'\\' if !raw => end += 1,
            b'"' if !raw || text[end + 1..].iter().take_while(|byte| **byte == b'#').count() >= hashes => break,
            _ => {}
        }
        end += 1;
    }
    end
}

fn block_comment_end(text: &[u8], at: usize) -> usize {
    let (mut end, mut depth) = (at, 0_usize);
    while end < text.len() {
        match text[end..] {
            [b'/', b'*', ..] => (end, depth) = (end + 2, depth + 1),
            [b'*', b'/', ..] => (end, depth) = (end + 2, depth - 1),
            _ => end += 1,
        }
        if depth == 0 {
            break;
        }
    }
    end
}

/// The length of the character literal at the start of `rest`; none if it is a lifetime.
fn char_length(rest: &[u8]) -> Option<usize> {
    let width = match rest.get(1)? {
        b'\\' => return rest.iter().skip(3).position(|byte| *byte == b'\'').map(|more| more + 4),
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    (rest.get(1 + width) == Some(&b'\'')).then_some(width + 2)
}
