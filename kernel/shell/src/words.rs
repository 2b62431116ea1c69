//! Cutting text into words and commands, with quotes.
//!
//! The kernel command line and the shell cut the same way. Both `"` and `'` quote; inside one kind
//! the other is a plain character, so `run="xenstore write data 'two words'"` works. There is no
//! escape character.

use alloc::string::String;
use alloc::vec::Vec;

/// Text cut outside its quotes. The quotes are still there; [`unquoted`] takes them off.
struct Pieces<'text> {
    /// What lies between the cuts, also where that is nothing.
    pieces: Vec<&'text str>,
    /// The quote character that was opened and never closed.
    unclosed: Option<char>,
}

/// Cuts `text` at every character outside quotes for which `cut` holds.
fn pieces(text: &str, cut: impl Fn(char) -> bool) -> Pieces<'_> {
    let mut pieces = Vec::new();
    let mut quote = None;
    let mut start = 0;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if is_quote(c) => quote = Some(c),
            None if cut(c) => {
                pieces.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            None => {}
        }
    }
    pieces.push(&text[start..]);
    Pieces {
        pieces,
        unclosed: quote,
    }
}

/// The words of `text`, quotes taken off, and the quote left open, if any.
pub fn words(text: &str) -> (Vec<String>, Option<char>) {
    let cut = pieces(text, |c| c.is_whitespace() || c == '\0');
    let words = cut.pieces.into_iter().filter(|piece| !piece.is_empty());
    (words.map(unquoted).collect(), cut.unclosed)
}

/// The commands of a line, cut at `;`, blank ones left out. Quotes are still there.
pub fn commands(line: &str) -> impl Iterator<Item = &str> {
    let cut = pieces(line, |c| c == ';').pieces.into_iter();
    cut.map(str::trim).filter(|command| !command.is_empty())
}

/// `piece` without the quote characters that quote.
fn unquoted(piece: &str) -> String {
    let mut quote = None;
    let mut word = String::with_capacity(piece.len());
    for c in piece.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if is_quote(c) => quote = Some(c),
            _ => word.push(c),
        }
    }
    word
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<String> {
        words(text).0
    }

    #[test]
    fn words_are_cut_at_blanks_outside_quotes() {
        assert_eq!(cut("  a\tb  c "), ["a", "b", "c"]);
        assert_eq!(
            cut(r#"run="geom tree; dmesg" x"#),
            ["run=geom tree; dmesg", "x"]
        );
        assert_eq!(cut(r#"a"b c"d"#), ["ab cd"]);
        assert!(cut("").is_empty());
    }

    #[test]
    fn one_kind_of_quote_holds_the_other() {
        assert_eq!(cut(r#""it's""#), ["it's"]);
        assert_eq!(cut(r#"'say "so"'"#), [r#"say "so""#]);
    }

    #[test]
    fn an_empty_quoted_word_is_a_word() {
        assert_eq!(cut("write path ''"), ["write", "path", ""]);
    }

    #[test]
    fn an_open_quote_runs_to_the_end_and_is_told() {
        assert_eq!(
            words("a 'b c"),
            (vec!["a".into(), "b c".into()], Some('\''))
        );
    }

    #[test]
    fn commands_are_cut_at_semicolons_outside_quotes() {
        let line = "geom tree;; sum xbd0p1 ; xenstore write a 'b;c';";
        let expected = ["geom tree", "sum xbd0p1", "xenstore write a 'b;c'"];
        assert_eq!(commands(line).collect::<Vec<_>>(), expected);
    }
}
