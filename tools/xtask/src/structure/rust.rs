//! Rust text without comments and strings, so that a word in them is not taken for code. Lines
//! stay where they are.

/// The text with comments, strings and characters blanked out.
pub(super) fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let length = blank_length(rest, code.bytes().last());
        if length == 0 {
            let character = rest.chars().next().unwrap_or(' ');
            code.push(character);
            at += character.len_utf8();
        } else {
            code.extend(
                rest[..length]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            );
            at += length;
        }
    }
    code
}

/// How many bytes at the start are a comment, string or character; 0 if they are code.
fn blank_length(rest: &str, before: Option<u8>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    let in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !in_word && let Some(length) = raw_string(rest) {
        return length;
    }
    if let Some(string) = rest.strip_prefix('"') {
        return 2 + quoted(string, b'"');
    }
    if let Some(character) = rest.strip_prefix('\'') {
        // A lifetime has no closing quote right behind its first character.
        let length = quoted(character, b'\'');
        let is_character = character.starts_with('\\')
            || character
                .chars()
                .next()
                .is_some_and(|c| length == c.len_utf8());
        return if is_character { 2 + length } else { 0 };
    }
    0
}

/// The length of `r"..."` or `r#"..."#`.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = if rest.starts_with("br") { 2 } else { 1 };
    let inner = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = inner.bytes().take_while(|byte| *byte == b'#').count();
    let body = inner[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body
        .find(&close)
        .map_or(body.len(), |end| end + close.len());
    Some(prefix + hashes + 1 + end)
}

/// Bytes before the closing quote.
fn quoted(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return at,
            _ => {}
        }
    }
    text.len().saturating_sub(1)
}

/// Whether `word` stands in the text as a word of its own.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    text.match_indices(word).any(|(at, _)| {
        let bytes = text.as_bytes();
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        !is_part(before) && !is_part(bytes.get(at + word.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_code_is_not() {
        for (before, blanked, after) in [
            ("a ", "// unsafe", "\nb"),
            ("a ", "/* unsafe */", " b"),
            ("f(", r#""un\"safe""#, ", x)"),
            ("f(", "r#\"unsafe \"x\"#", ", y)"),
            ("let c = ", r#"'"'"#, "; unsafe"),
            ("let q = ", r"'\''", "; x"),
            ("fn f<'a>(x: &'a str)", "", " {}"),
            ("for ", "\"text\"", ""),
        ] {
            let code = format!("{before}{}{after}", " ".repeat(blanked.len()));
            assert_eq!(code_of(&format!("{before}{blanked}{after}")), code);
        }
        assert_eq!(
            code_of("/* a\nb */c"),
            "    \n    c",
            "lines stay where they are"
        );
    }

    #[test]
    fn a_text_that_ends_in_the_middle_is_no_trouble() {
        for text in ["\"abc", "/* abc", "'", "'\\", "r#\"abc", "\"a\\"] {
            code_of(text);
        }
    }

    #[test]
    fn a_word_stands_alone() {
        assert!(has_word("x unsafe {", "unsafe"));
        assert!(!has_word("unsafe_code", "unsafe"));
        assert!(!has_word("an_unsafe", "unsafe"));
    }
}
