use super::*;

/// A terminal as the tests see it: what was echoed, and the lines that were entered.
struct Terminal {
    editor: Editor,
    lines: Vec<String>,
}

impl Terminal {
    fn new() -> Self {
        Self {
            editor: Editor::new("> "),
            lines: Vec::new(),
        }
    }

    /// Types `bytes`; returns their echo.
    fn types(&mut self, bytes: &[u8]) -> String {
        let words = ["geom dot", "geom tree", "sum", "xbd0", "xbd0p1", "xbd0p2"];
        let mut echo = String::new();
        for &byte in bytes {
            let line = self.editor.feed(byte, &mut echo, |before| {
                let first = !before[..last_word(before)].contains(|c: char| !c.is_whitespace());
                let fit = words.iter().filter(|word| first != word.starts_with("xbd"));
                fit.map(|&word| word.into()).collect()
            });
            self.lines.extend(line);
        }
        echo
    }
}

/// The line that comes out when `bytes` and Enter are typed.
fn line(bytes: &[u8]) -> String {
    let mut terminal = Terminal::new();
    terminal.types(bytes);
    terminal.types(b"\r");
    assert_eq!(terminal.lines.len(), 1, "{bytes:?}");
    terminal.lines.remove(0)
}

#[test]
fn typed_text_is_echoed_as_it_is() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.types("sum xbd0 é".as_bytes()), "sum xbd0 é");
    assert_eq!(terminal.types(b"\r"), "\n");
    assert_eq!(terminal.lines, ["sum xbd0 é"]);
}

#[test]
fn every_line_end_ends_one_line() {
    let mut terminal = Terminal::new();
    terminal.types(b"a\nb\rc\r\nd\n\re\n");
    assert_eq!(terminal.lines, ["a", "b", "c", "d", "", "e"]);
}

#[test]
fn keys_edit_the_line() {
    for (typed, expected) in [
        (&b"abc\x7f\x08d"[..], "ad"),
        (b"bc\x1b[D\x1b[Da\x1b[C\x1b[Cd", "abcd"),
        (b"bc\x1b[Ha\x1b[Fd", "abcd"),
        (b"bc\x1b[1~a\x1b[4~d", "abcd"),
        (b"bc\x1bOHa\x1bOFd", "abcd"),
        (b"bc\x01a\x05d", "abcd"),
        (b"xabc\x01\x1b[3~\x05d", "abcd"),
        (b"xabc\x01\x04", "abc"),
        (b"junk\x15abc", "abc"),
        (b"abcjunk\x02\x02\x02\x02\x0b", "abc"),
        (b"one two  \x17three", "one three"),
        (b"word\x17", ""),
        (b"ab\x1b[1;5Dc", "acb"),
        (b"a\x7f\x7f\x7fb\x1b[C\x1b[C", "b"),
        (b"\xc3\xa9\xe2\x82\xac\x7fx\x1b[D\x1b[D\x1b[3~", "x"),
    ] {
        assert_eq!(line(typed), expected, "{}", typed.escape_ascii());
    }
}

#[test]
fn what_is_no_key_is_dropped() {
    for (typed, expected) in [
        (&b"a\x00\x07\x1bb"[..], "a"),
        (b"a\x1b[15~\x1b[24;2~\x1b[Z\x1b[M", "a"),
        (b"a\x1bOP\x1b[200~", "a"),
        (b"a\x1b[\x1b[\x1b", "a"),
        (b"\xffa\xfe\x80\xbf", "a"),
        // Overlong, a surrogate, beyond the last character.
        (b"\xc0\xafa\xed\xa0\x80\xf4\x90\x80\x80", "a"),
        // C1 control, and a character cut short.
        (b"a\xc2\x85\xe2\x82b", "ab"),
    ] {
        assert_eq!(line(typed), expected, "{}", typed.escape_ascii());
    }
}

#[test]
fn an_endless_sequence_ends_after_a_bounded_number_of_bytes() {
    let mut typed = b"\x1b[".to_vec();
    typed.extend([b'1'; 1000]);
    assert_eq!(line(&typed).len(), 1000 - 17);
}

#[test]
fn a_change_in_the_middle_redraws_the_line() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.types(b"ac\x1b[D"), "ac\r> ac\x1b[K\x1b[1D");
    assert_eq!(terminal.types(b"b"), "\r> abc\x1b[K\x1b[1D");
    assert_eq!(terminal.types(b"\x05\x7f"), "\r> abc\x1b[K\r> ab\x1b[K");
    assert_eq!(terminal.types(b"\x0c"), "\x1b[H\x1b[2J> ab");
}

#[test]
fn ctrl_c_gives_the_line_up() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.types(b"ab\x03"), "ab^C\n> ");
    terminal.types(b"c\r");
    assert_eq!(terminal.lines, ["c"]);
}

#[test]
fn the_arrows_walk_the_history_and_come_back() {
    let mut terminal = Terminal::new();
    terminal.types(b"one\rtwo\rtwo\r  \r");
    terminal.types(b"draft\x1b[A\x1b[A\x1b[A\x1b[A\r");
    terminal.types(b"draft\x1b[A\x1b[A\x1b[B\x1b[B\x1b[B!\r");
    assert_eq!(terminal.lines[4..], ["one", "draft!"]);
}

#[test]
fn the_history_is_bounded() {
    let mut terminal = Terminal::new();
    for number in 0..HISTORY_LINES + 10 {
        terminal.types(format!("line {number}\r").as_bytes());
    }
    terminal.lines.clear();
    for _ in 0..HISTORY_LINES + 20 {
        terminal.types(b"\x1b[A");
    }
    terminal.types(b"\r");
    assert_eq!(terminal.lines, ["line 10"]);
}

#[test]
fn tab_completes_as_far_as_it_is_sure() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.types(b"s\t"), "sum ");
    assert_eq!(terminal.types(b"x\t"), "xbd0");
    assert_eq!(terminal.types(b"\t"), "\nxbd0  xbd0p1  xbd0p2\n> sum xbd0");
    assert_eq!(terminal.types(b"p2\t\r"), "p2 \n");
    assert_eq!(terminal.types(b"nothing\t"), "nothing");
    assert_eq!(terminal.lines, ["sum xbd0p2 "]);
}

#[test]
fn the_line_is_bounded_and_rings() {
    let mut terminal = Terminal::new();
    terminal.types(&[b'a'; MAX_LINE - 1]);
    assert_eq!(terminal.types("é".as_bytes()), "\x07");
    assert_eq!(terminal.types(b"bc"), "b\x07");
    terminal.types(b"\x01\tx\r");
    assert_eq!(terminal.lines[0].len(), MAX_LINE);
}

/// Oracle: whatever comes in, the line stays text within its bound and without control characters,
/// and ^C, text and Enter still work afterwards.
#[test]
fn seeded_garbage_never_harms_the_editor() {
    const ALPHABET: &[u8] =
        b"ab \x1b\x1b[[OABCDHF~0123;?\x01\x05\x0b\x15\x17\x7f\t\t\r\n\xc3\xa9\xff";
    for seed in 0..2000 {
        let mut bytes = [0; 256];
        crate::pattern::write(seed, 0, &mut bytes);
        if seed % 2 == 0 {
            for byte in &mut bytes {
                *byte = ALPHABET[usize::from(*byte) % ALPHABET.len()];
            }
        }
        let mut terminal = Terminal::new();
        terminal.types(&bytes);
        for entered in &terminal.lines {
            assert!(
                entered.len() <= MAX_LINE && !entered.contains(char::is_control),
                "{seed}"
            );
        }
        terminal.types(b"\x03dmesg\r");
        assert_eq!(
            terminal.lines.last().map(String::as_str),
            Some("dmesg"),
            "{seed}"
        );
    }
}
