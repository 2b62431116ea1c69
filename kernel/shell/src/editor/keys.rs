//! Keys, from the bytes a VT100 sends.

/// What a key asks of the editor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A printable character.
    Char(char),
    /// The line is done.
    Enter,
    /// Complete the word before the cursor.
    Tab,
    /// Delete the character before the cursor.
    Backspace,
    /// Delete the character under the cursor.
    Delete,
    /// One character to the left.
    Left,
    /// One character to the right.
    Right,
    /// To the start of the line.
    Home,
    /// To the end of the line.
    End,
    /// The line before this one in the history.
    Up,
    /// The line after this one in the history.
    Down,
    /// Delete from the start of the line to the cursor.
    KillToStart,
    /// Delete from the cursor to the end of the line.
    KillToEnd,
    /// Delete the word before the cursor.
    KillWord,
    /// Clear the screen.
    Clear,
    /// Give this line up, or the command that runs.
    Interrupt,
}

/// The longest escape sequence that is waited for. More than this is no key.
const LONGEST: usize = 16;

/// Bytes in, keys out. Whatever is no key is dropped; no byte is kept for long.
#[derive(Debug, Default)]
pub struct Keys {
    state: State,
    /// The last byte was a carriage return, so a line feed now belongs to it.
    returned: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC O.
    Ss3,
    /// After ESC [: the first parameter byte, and how many came.
    Csi { first: u8, seen: usize },
    /// Inside a character of several bytes: those seen, and how many it has.
    Utf8 {
        bytes: [u8; 4],
        seen: usize,
        length: usize,
    },
}

impl Keys {
    /// Takes the next byte; a key, when one is complete.
    pub fn feed(&mut self, byte: u8) -> Option<Key> {
        let returned = core::mem::replace(&mut self.returned, byte == b'\r');
        if returned && byte == b'\n' {
            return None;
        }
        // A control character is itself wherever it comes: ^C ends a half sequence too.
        if byte < 0x20 || byte == 0x7f {
            return self.control(byte);
        }
        match core::mem::take(&mut self.state) {
            State::Ground => self.ground(byte),
            State::Escape => {
                match byte {
                    b'[' => self.state = State::Csi { first: 0, seen: 0 },
                    b'O' => self.state = State::Ss3,
                    _ => {}
                }
                None
            }
            State::Ss3 => letter(byte),
            State::Csi { first, seen } => self.csi(byte, first, seen),
            State::Utf8 {
                bytes,
                seen,
                length,
            } => self.utf8(byte, bytes, seen, length),
        }
    }

    fn control(&mut self, byte: u8) -> Option<Key> {
        self.state = if byte == 0x1b {
            State::Escape
        } else {
            State::Ground
        };
        Some(match byte {
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x08 | 0x7f => Key::Backspace,
            0x01 => Key::Home,
            0x02 => Key::Left,
            0x03 => Key::Interrupt,
            0x04 => Key::Delete,
            0x05 => Key::End,
            0x06 => Key::Right,
            0x0b => Key::KillToEnd,
            0x0c => Key::Clear,
            0x0e => Key::Down,
            0x10 => Key::Up,
            0x15 => Key::KillToStart,
            0x17 => Key::KillWord,
            _ => return None,
        })
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        let length = match byte {
            0x20..=0x7e => return Some(Key::Char(char::from(byte))),
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return None,
        };
        let bytes = [byte, 0, 0, 0];
        self.state = State::Utf8 {
            bytes,
            seen: 1,
            length,
        };
        None
    }

    fn utf8(&mut self, byte: u8, mut bytes: [u8; 4], seen: usize, length: usize) -> Option<Key> {
        if !matches!(byte, 0x80..=0xbf) {
            // The character was cut short: this byte starts anew.
            return self.ground(byte);
        }
        bytes[seen] = byte;
        let seen = seen + 1;
        if seen < length {
            self.state = State::Utf8 {
                bytes,
                seen,
                length,
            };
            return None;
        }
        let text = core::str::from_utf8(&bytes[..length]).ok()?;
        let c = text.chars().next()?;
        (!c.is_control()).then_some(Key::Char(c))
    }

    fn csi(&mut self, byte: u8, first: u8, seen: usize) -> Option<Key> {
        match byte {
            // Parameters. Those after the first say which modifiers were held.
            0x20..=0x3f if seen < LONGEST => {
                let first = if seen == 0 { byte } else { first };
                self.state = State::Csi {
                    first,
                    seen: seen + 1,
                };
                None
            }
            // A second digit makes it another key: ESC [ 1 5 ~ is F5. Modifiers start with `;`.
            b'~' if seen == 1 => match first {
                b'1' | b'7' => Some(Key::Home),
                b'3' => Some(Key::Delete),
                b'4' | b'8' => Some(Key::End),
                _ => None,
            },
            0x40..=0x7d => letter(byte),
            _ => None,
        }
    }
}

fn letter(byte: u8) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => return None,
    })
}
