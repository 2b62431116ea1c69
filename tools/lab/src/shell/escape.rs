//! The keys that are the lab's own: Ctrl-A X, as in QEMU.

const CTRL_A: u8 = 1;

/// Whether the last key was Ctrl-A, which is held back until the next.
#[derive(Default)]
pub(super) struct Escape {
    begun: bool,
}

impl Escape {
    /// The keys to pass on, and whether the user wants out. Ctrl-A Ctrl-A passes one on.
    pub(super) fn feed(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut keys = Vec::new();
        for &key in typed {
            match (self.begun, key) {
                (true, b'x' | b'X') => return (keys, true),
                (false, CTRL_A) => {
                    self.begun = true;
                    continue;
                }
                (true, CTRL_A) => {}
                (true, _) => keys.push(CTRL_A),
                (false, _) => {}
            }
            self.begun = false;
            keys.push(key);
        }
        (keys, false)
    }
}

#[cfg(test)]
mod tests {
    use super::Escape;

    #[test]
    fn only_ctrl_a_x_is_kept() {
        for (typed, keys, out) in [
            (&b"xl list\r"[..], &b"xl list\r"[..], false),
            (b"\x01x", b"", true),
            (b"ab\x01Xcd", b"ab", true),
            (b"\x01\x01x", b"\x01x", false),
            (b"\x01a", b"\x01a", false),
            (b"\x01", b"", false),
        ] {
            assert_eq!(
                Escape::default().feed(typed),
                (keys.to_vec(), out),
                "{typed:?}"
            );
        }
    }

    #[test]
    fn the_keys_may_come_one_by_one() {
        let mut escape = Escape::default();
        assert_eq!(escape.feed(b"\x01"), (vec![], false));
        assert_eq!(escape.feed(b""), (vec![], false));
        assert_eq!(escape.feed(b"x"), (vec![], true));
    }
}
