//! A guest's console as text, and the other texts about a guest.

/// What was printed on a console, and how much of it was taken.
#[derive(Default)]
pub(super) struct Transcript {
    text: String,
    /// Bytes after the last whole character.
    rest: Vec<u8>,
    taken: usize,
}

impl Transcript {
    /// Takes in what was printed. What is not UTF-8 becomes U+FFFD.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let mut whole = 0;
        for chunk in self.rest.utf8_chunks() {
            self.text.push_str(chunk.valid());
            whole += chunk.valid().len();
            let invalid = chunk.invalid();
            let at_end = whole + invalid.len() == self.rest.len();
            // Up to three bytes at the end may be a character's beginning.
            if at_end && invalid.len() < 4 && invalid.first().is_some_and(|first| *first >= 0xc2) {
                break;
            }
            if !invalid.is_empty() {
                self.text.push(char::REPLACEMENT_CHARACTER);
                whole += invalid.len();
            }
        }
        self.rest.drain(..whole);
    }

    pub(super) fn all(&self) -> &str {
        &self.text
    }

    /// What was not taken yet.
    pub(super) fn rest(&self) -> &str {
        &self.text[self.taken..]
    }

    pub(super) fn take_all(&mut self) -> String {
        let taken = self.rest().to_owned();
        self.taken = self.text.len();
        taken
    }

    /// Takes all if a shell has answered `line`; returns the answer.
    pub(super) fn take_answer(&mut self, line: &str, prompt: &str) -> Option<String> {
        let answer = answer(self.rest(), line, prompt)?;
        self.taken = self.text.len();
        Some(answer)
    }

    /// Takes all up to and with the first `text`, if it is there.
    pub(super) fn take_through(&mut self, text: &str) -> Option<String> {
        let end = self.rest().find(text)? + text.len();
        let taken = self.rest()[..end].to_owned();
        self.taken += end;
        Some(taken)
    }
}

/// `config` for a domain called `name`, whatever it says about that.
pub(super) fn named(config: &str, name: &str) -> String {
    let is_name = |line: &&str| {
        line.trim_start()
            .strip_prefix("name")
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut text = format!("name = \"{name}\"\n");
    for line in config.lines().filter(|line| !is_name(line)) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// What a shell printed for `line`, if it `said` all of it: after the echo of the line, up to the
/// `prompt` that stands alone on the last line.
pub(super) fn answer(said: &str, line: &str, prompt: &str) -> Option<String> {
    let shown = shown(said);
    let mut lines = shown.split_inclusive('\n');
    lines.find(|echo| {
        echo.strip_suffix('\n')
            .is_some_and(|echo| echo.ends_with(line))
    })?;
    let output: String = lines.collect();
    let output = output.strip_suffix(prompt)?;
    (output.is_empty() || output.ends_with('\n')).then(|| output.to_owned())
}

/// What a terminal shows of `text`: lines rewritten in place as they are in the end, without
/// escape sequences.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text.replace("\r\n", "\n");
    if rest.ends_with('\r') {
        rest.pop(); // Half a line end, or the beginning of a line that is not there yet.
    }
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '\r' => shown.truncate(shown.rfind('\n').map_or(0, |end| end + 1)),
            '\u{1b}' => {
                if characters.next() == Some('[') {
                    characters.by_ref().find(|byte| ('@'..='~').contains(byte));
                }
            }
            _ => shown.push(character),
        }
    }
    shown
}

/// Why a domain shut down: the codes of Xen's public/sched.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is off.
    Poweroff,
    /// It wants to start again.
    Reboot,
    /// It has saved its state, to go on elsewhere.
    Suspend,
    /// It says that it crashed, or Xen ended it.
    Crash,
    /// It did not feed its watchdog.
    Watchdog,
    /// It wants its devices reset.
    SoftReset,
}

/// The id of the domain that xl says it waits for: `Waiting for domain NAME (domid 3) to die`.
pub(super) fn domain_id(log: &str) -> Option<u32> {
    let (_, rest) = log.split_once(" (domid ")?;
    rest.split_once(") to die")?.0.parse().ok()
}

/// Whether xl says in its log that there is no such domain any more, and that it ends itself.
pub(super) fn is_cleared_away(log: &str) -> bool {
    log.contains("Done. Exiting now\n") || log.contains(" has been destroyed.\n")
}

/// The reasons of the shutdowns in xl's log, in their order.
pub(super) fn reasons(log: &str) -> Vec<Reason> {
    // A line that is not whole yet may lack the end of its number.
    let lines = log
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines.filter_map(Reason::parse).collect()
}

impl Reason {
    /// The reason in a line of xl's log: `Domain 3 has shut down, reason code 0 0x0`.
    fn parse(line: &str) -> Option<Self> {
        let code = line
            .split_once("has shut down, reason code ")?
            .1
            .split_whitespace()
            .next()?;
        Some(match code.parse().ok()? {
            0 => Self::Poweroff,
            1 => Self::Reboot,
            2 => Self::Suspend,
            3 => Self::Crash,
            4 => Self::Watchdog,
            5 => Self::SoftReset,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Reason, Transcript, answer, domain_id, is_cleared_away, named, reasons};

    #[test]
    fn text_is_found_across_reads_and_taken_once() {
        let mut console = Transcript::default();
        console.add(b"boot\nxeno");
        assert_eq!(console.take_through("xenolith> "), None);
        console.add(b"lith> xenolith> ");
        assert_eq!(
            console.take_through("xenolith> ").unwrap(),
            "boot\nxenolith> "
        );
        assert_eq!(console.take_through("xenolith> ").unwrap(), "xenolith> ");
        assert_eq!(console.take_through("xenolith> "), None);
        assert_eq!(console.all(), "boot\nxenolith> xenolith> ");
    }

    #[test]
    fn a_character_may_come_in_two_reads_and_garbage_is_marked() {
        let mut console = Transcript::default();
        console.add(b"a\xe2\x82");
        assert_eq!(console.all(), "a");
        console.add(b"\xac\xff\xfe!");
        assert_eq!(console.all(), "a\u{20ac}\u{fffd}\u{fffd}!");
        console.add(b"\xff");
        console.add(b"z");
        assert_eq!(console.take_all(), "a\u{20ac}\u{fffd}\u{fffd}!\u{fffd}z");
        assert_eq!(console.rest(), "");
    }

    #[test]
    fn the_config_gets_the_name() {
        let config = "kernel = \"x\"\n name=\"other\"\nnamespace = 1\nmemory = 8";
        let expected = "name = \"mine\"\nkernel = \"x\"\nnamespace = 1\nmemory = 8\n";
        assert_eq!(named(config, "mine"), expected);
    }

    #[test]
    fn an_answer_is_what_stands_between_echo_and_prompt() {
        let prompt = "xenolith> ";
        let answer = |said| answer(said, "uptime", prompt);
        assert_eq!(
            answer("uptime\r\n12 s\r\n\rxenolith> \x1b[K").unwrap(),
            "12 s\n"
        );
        assert_eq!(answer("uptime\nxenolith> ").unwrap(), "");
        assert_eq!(answer("upt\r\n"), None, "the echo is not there yet");
        assert_eq!(answer("uptime\n12 s\n"), None, "nor the prompt");
        assert_eq!(
            answer("uptime\n12 s\n\rxenolith> x"),
            None,
            "a prompt that is not alone"
        );
        assert_eq!(answer("uptime\nthe xenolith> "), None);
    }

    #[test]
    fn a_log_line_while_the_line_is_typed_does_not_look_like_its_end() {
        let said = "up\r\x1b[K[ 1.0] xbd0: gone\n\rxenolith> up\x1b[Ktime\n12 s\n";
        assert_eq!(answer(said, "uptime", "xenolith> "), None);
        let said = said.to_owned() + "\rxenolith> \x1b[K";
        assert_eq!(answer(&said, "uptime", "xenolith> ").unwrap(), "12 s\n");
    }

    #[test]
    fn what_xl_says_of_a_domain_is_read() {
        let waits = "Waiting for domain x (domid 12) to die [pid 345]\n";
        assert_eq!(domain_id(waits), Some(12));
        assert_eq!(domain_id("Waiting for domain x (domid 1"), None);
        assert!(!is_cleared_away(waits));
        assert!(is_cleared_away(&format!("{waits}Done. Exiting now\n")));
        assert!(is_cleared_away(&format!(
            "{waits}Domain 12 has been destroyed.\n"
        )));
        assert!(!is_cleared_away("Domain 12 has been destroyed."));
    }

    #[test]
    fn reasons_are_read_from_xl() {
        let line = |code| format!("Domain 3 has shut down, reason code {code} 0x{code}\n");
        let waiting = "Waiting for domain x (domid 3) to die [pid 7]\n";
        let action = "Action for shutdown reason code 1 is restart\n";
        let log = [waiting, &line(1), action, &line(77), waiting, &line(3)].concat();
        assert_eq!(reasons(&log), [Reason::Reboot, Reason::Crash]);
        assert_eq!(reasons(&log[..log.len() - 1]), [Reason::Reboot]);
    }
}
