//! Makes text that others wrote safe to show: letters and digits of any script, blanks and the signs of ASCII stay; all
//! else, which could move the cursor, turn the direction of writing or hide, is shown as an escape such as `\u{202e}`.

/// One line of foreign text; line ends are escaped too.
pub fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character == ' ' || character.is_ascii_graphic() || character.is_alphanumeric() {
            safe.push(character);
        } else {
            safe.extend(character.escape_unicode());
        }
    }
    safe
}

/// Several lines of foreign text, each behind `prefix`.
pub fn block(text: &str, prefix: &str) -> String {
    text.lines().map(|one| format!("{prefix}{}\n", line(one))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mislead_a_reader_is_escaped() {
        assert_eq!(line("São Paulo, 東京 {1}"), "São Paulo, 東京 {1}");
        assert_eq!(line("a\u{1b}[2J\r\n\u{202e}b\u{200b}"), "a\\u{1b}[2J\\u{d}\\u{a}\\u{202e}b\\u{200b}");
        assert_eq!(block("one\ntwo\u{7}", "  | "), "  | one\n  | two\\u{7}\n");
    }
}
