//! Makes text from elsewhere safe to show. Every text that came from a peer or the daemon passes here.
//!
//! What could move the cursor, turn the direction of writing, hide, or pile up on neighbouring lines is shown as a
//! visible escape such as `\u{202e}`. Nothing is ever removed silently.

use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many zero-width marks may follow one another; real scripts need no more.
const MAX_MARKS_IN_A_ROW: usize = 3;

/// Text for one table cell or one line: line ends and tabs are escaped too.
pub(crate) fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut marks = 0;
    for character in text.chars() {
        push_safe(&mut safe, character, &mut marks);
    }
    safe
}

/// Text of several lines, each behind `prefix` and folded at `width` columns, so that no line can be mistaken for one
/// of ours. Ends with a line end unless the text is empty.
pub(crate) fn block(text: &str, prefix: &str, width: usize) -> String {
    let room = width.saturating_sub(prefix.width()).max(1);
    let mut shown = String::with_capacity(text.len());
    for line in text.trim_end_matches(['\n', '\r']).split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line).replace('\t', "    ");
        for folded in fold(&cell(&line), room) {
            shown.push_str(format!("{prefix}{folded}").trim_end());
            shown.push('\n');
        }
    }
    if text.is_empty() { String::new() } else { shown }
}

/// JSON with the same characters written as JSON escapes: the same document, and safe on a terminal.
pub(crate) fn json(document: &str) -> String {
    let mut safe = String::with_capacity(document.len());
    for character in document.chars() {
        // Indented JSON has its own line ends outside of strings, and inside of strings they are escaped already.
        if character != '\n' && is_dangerous(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(safe, "\\u{unit:04x}").expect("a String takes whatever is written");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Cuts safe text to `width` columns; a cut is shown by `…`.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(character);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// Folds one safe line at spaces where it can, anywhere where it must.
pub(crate) fn fold(line: &str, width: usize) -> Vec<String> {
    let mut folded = Vec::new();
    let mut rest = line;
    while rest.width() > width {
        let fitting = fitting_bytes(rest, width);
        if fitting == rest.len() {
            break;
        }
        let at_space = rest[..fitting].rfind(' ').filter(|at| *at > 0);
        let (head, tail) = rest.split_at(at_space.unwrap_or(fitting));
        folded.push(head.to_owned());
        rest = if at_space.is_some() { &tail[1..] } else { tail };
    }
    folded.push(rest.to_owned());
    folded
}

/// How many bytes of the line fit the width; at least one character, so that folding always ends.
fn fitting_bytes(line: &str, width: usize) -> usize {
    let mut used = 0;
    for (at, character) in line.char_indices() {
        used += character.width().unwrap_or(0);
        if used > width && at > 0 {
            return at;
        }
    }
    line.len()
}

fn push_safe(safe: &mut String, character: char, marks: &mut usize) {
    let is_mark = character.width() == Some(0);
    *marks = if is_mark { *marks + 1 } else { 0 };
    match character {
        '\n' => safe.push_str("\\n"),
        '\r' => safe.push_str("\\r"),
        '\t' => safe.push_str("\\t"),
        _ if is_dangerous(character) || *marks > MAX_MARKS_IN_A_ROW => {
            safe.extend(character.escape_unicode());
        }
        _ => safe.push(character),
    }
}

/// Characters that a terminal obeys, or that a reader cannot see.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Direction of writing.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Zero width and invisible: joiners, soft hyphen, fillers, variation selectors, tags.
            | '\u{00ad}' | '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hostile texts, and how they must look. Each would do something if it were printed as it is.
    const CORPUS: [(&str, &str); 16] = [
        ("\u{1b}[2J\u{1b}[Hall clear", "\\u{1b}[2J\\u{1b}[Hall clear"),
        ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
        ("\u{9b}31mred", "\\u{9b}31mred"),
        ("over\rwritten", "over\\rwritten"),
        ("two\nlines\tand a tab", "two\\nlines\\tand a tab"),
        ("back\u{8}\u{8}space\u{7f}", "back\\u{8}\\u{8}space\\u{7f}"),
        ("invoice\u{202e}fdp.exe", "invoice\\u{202e}fdp.exe"),
        ("\u{2066}isolate\u{2069}", "\\u{2066}isolate\\u{2069}"),
        ("\u{200f}\u{200e}\u{061c}marks", "\\u{200f}\\u{200e}\\u{61c}marks"),
        ("cert\u{200b}.br", "cert\\u{200b}.br"),
        ("a\u{feff}b\u{2060}c\u{00ad}d", "a\\u{feff}b\\u{2060}c\\u{ad}d"),
        ("line\u{2028}para\u{2029}", "line\\u{2028}para\\u{2029}"),
        ("tag\u{e0041}\u{e007f}", "tag\\u{e0041}\\u{e007f}"),
        ("\u{3164}filler\u{2800}", "\\u{3164}filler\\u{2800}"),
        ("nul\0", "nul\\u{0}"),
        ("Z\u{301}\u{301}\u{301}\u{301}", "Z\u{301}\u{301}\u{301}\\u{301}"),
    ];

    #[test]
    fn hostile_text_becomes_visible() {
        for (hostile, expected) in CORPUS {
            assert_eq!(cell(hostile), expected);
        }
    }

    #[test]
    fn honest_text_stays_as_it_is() {
        for text in ["São Paulo: código malicioso", "Ταχεία ειδοποίηση", "事案通知", "إشعار", "C:\\temp", "नमस्ते"]
        {
            assert_eq!(cell(text), text);
        }
    }

    #[test]
    fn no_dangerous_character_survives_any_way_of_showing() {
        for code in 0..=0x0010_ffff {
            let Some(character) = char::from_u32(code).filter(|character| is_dangerous(*character)) else {
                continue;
            };
            let text = format!("a{character}b");
            assert!(!cell(&text).contains(is_dangerous), "cell of U+{code:04X}");
            assert!(!block(&text, "| ", 80).replace('\n', "").contains(is_dangerous), "block of U+{code:04X}");
            let document = serde_json::to_string(&text).unwrap();
            let safe = json(&document);
            assert!(!safe.contains(is_dangerous), "json of U+{code:04X}");
            assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text, "json of U+{code:04X}");
        }
    }

    #[test]
    fn every_line_of_a_block_is_marked_and_fits() {
        let text = "first\r\nSubject   forged\n\tindented\n".to_owned() + &"long ".repeat(40) + &"x".repeat(200);
        let shown = block(&text, "  | ", 80);
        assert!(shown.starts_with("  | first\n  | Subject   forged\n  |     indented\n"), "{shown}");
        for line in shown.lines() {
            assert!(line.starts_with("  |") && line.width() <= 80, "{line:?}");
        }
        assert_eq!(block("", "| ", 80), "");
        assert_eq!(block("a\n\nb", "| ", 80), "| a\n|\n| b\n");
    }

    #[test]
    fn cutting_counts_columns_and_not_characters() {
        assert_eq!(cut("事案通知", 8), "事案通知");
        assert_eq!(cut("事案通知", 7), "事案通…");
        assert_eq!(cut("abc", 2), "a…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(fold("事案通知", 1), ["事", "案", "通", "知"]);
    }
}
