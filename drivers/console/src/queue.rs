//! What waits to be printed.
//!
//! Text comes from two sides: whole lines of the log, and the shell's bytes, which may leave a line
//! unfinished for a long time (its prompt). A log line erases the unfinished line, takes its place,
//! and the unfinished line is drawn again below.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

/// Bytes that may wait. Beyond that the oldest lines are dropped.
pub const CAPACITY: usize = 16 * 1024;
/// A longer line is kept in pieces of this many bytes.
const PIECE: usize = 256;
/// The longest unfinished line that is drawn again, in bytes.
const UNFINISHED: usize = 512;
/// Back to the first column, and erase the line.
const ERASE: &[u8] = b"\r\x1b[K";

/// Bytes on their way to the console, in lines.
#[derive(Debug, Default)]
pub struct Queue {
    /// Lines, or pieces of long ones. Only the last piece of a line ends with a line feed.
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
    /// How much of the first piece has been sent.
    sent: usize,
    /// Whether what was sent last ended a line.
    mid_line: bool,
    /// Lines dropped since it was last said.
    unsaid: u64,
    dropped: u64,
    /// What the shell has written since its last line feed or carriage return.
    unfinished: Vec<u8>,
    after_return: bool,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes - self.sent
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lines dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Appends the shell's bytes. A line feed without a carriage return gets one.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' && !self.after_return {
                self.append(b'\r');
            }
            self.append(byte);
            self.after_return = byte == b'\r';
            match byte {
                b'\r' | b'\n' => self.unfinished.clear(),
                // One too long stays so until it ends.
                _ if self.unfinished.len() <= UNFINISHED => self.unfinished.push(byte),
                _ => {}
            }
        }
        self.bound();
    }

    /// Appends a line of the log, without its end.
    pub fn push_line(&mut self, line: &str) {
        let unfinished = core::mem::take(&mut self.unfinished);
        let can_redraw = unfinished.len() <= UNFINISHED;
        if !unfinished.is_empty() {
            self.extend(if can_redraw { ERASE } else { b"\r\n" });
        }
        self.extend(line.as_bytes());
        self.extend(b"\r\n");
        if can_redraw {
            self.extend(&unfinished);
            self.unfinished = unfinished;
        }
        self.after_return = false;
        self.bound();
    }

    /// The next bytes to send; empty when nothing waits.
    pub fn front(&mut self) -> &[u8] {
        if self.sent == 0 && self.unsaid != 0 {
            let start = if self.mid_line { "\r\n" } else { "" };
            let lines = core::mem::take(&mut self.unsaid);
            let notice = format!("{start}[{lines} lines dropped: nobody took them]\r\n");
            self.bytes += notice.len();
            self.pieces.push_front(notice.into_bytes());
        }
        self.pieces
            .front()
            .and_then(|piece| piece.get(self.sent..))
            .unwrap_or_default()
    }

    /// The first `count` bytes of [`front`](Self::front) have been sent.
    pub fn consume(&mut self, count: usize) {
        self.sent += count;
        if let Some(piece) = self.pieces.front()
            && self.sent >= piece.len()
        {
            self.mid_line = piece.last() != Some(&b'\n');
            self.bytes -= piece.len();
            self.sent = 0;
            self.pieces.pop_front();
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.append(*byte));
    }

    fn append(&mut self, byte: u8) {
        self.bytes += 1;
        match self.pieces.back_mut() {
            Some(piece) if piece.len() < PIECE && piece.last() != Some(&b'\n') => piece.push(byte),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(byte);
                self.pieces.push_back(piece);
            }
        }
    }

    /// Drops the oldest whole lines until the rest fits; the one being sent stays.
    fn bound(&mut self) {
        let oldest = usize::from(self.sent != 0);
        let mut within_line = false;
        while (self.bytes > CAPACITY || within_line) && self.pieces.len() > oldest + 1 {
            let Some(piece) = self.pieces.remove(oldest) else {
                return;
            };
            self.bytes -= piece.len();
            within_line = piece.last() != Some(&b'\n');
            if !within_line {
                self.unsaid += 1;
                self.dropped += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(queue: &mut Queue) -> String {
        let mut all = Vec::new();
        loop {
            let front = queue.front().to_vec();
            if front.is_empty() {
                return String::from_utf8(all).unwrap();
            }
            all.extend_from_slice(&front);
            queue.consume(front.len());
        }
    }

    #[test]
    fn line_feeds_get_a_carriage_return_once() {
        let mut queue = Queue::new();
        queue.push(b"a\nb\r\n\nc\r");
        queue.push(b"\nd");
        assert_eq!(take_all(&mut queue), "a\r\nb\r\n\r\nc\r\nd");
        assert!(queue.is_empty());
    }

    #[test]
    fn a_log_line_draws_the_prompt_again_below_itself() {
        let mut queue = Queue::new();
        queue.push_line("first");
        queue.push(b"xenolith> ge");
        queue.push_line("second");
        queue.push(b"om\n");
        queue.push_line("third");
        let expected = "first\r\nxenolith> ge\r\x1b[Ksecond\r\nxenolith> geom\r\nthird\r\n";
        assert_eq!(take_all(&mut queue), expected);
    }

    #[test]
    fn an_endless_line_is_not_drawn_again() {
        let mut queue = Queue::new();
        queue.push(&[b'x'; UNFINISHED + 1]);
        queue.push_line("log");
        assert!(take_all(&mut queue).ends_with("x\r\nlog\r\n"));
    }

    #[test]
    fn f23_a_daemon_that_never_drains_costs_a_bounded_queue() {
        let mut queue = Queue::new();
        for number in 0..10_000 {
            queue.push(format!("line {number}\n").as_bytes());
            assert!(queue.len() <= CAPACITY);
        }
        let all = take_all(&mut queue);
        let mut lines = all.lines();
        let notice = lines.next().unwrap();
        let dropped = queue.dropped();
        assert_eq!(
            notice,
            format!("[{dropped} lines dropped: nobody took them]")
        );
        // The newest lines are there, whole and in order, and every other one was counted.
        for number in dropped..10_000 {
            assert_eq!(lines.next(), Some(format!("line {number}").as_str()));
        }
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn f23_the_line_being_sent_is_finished_before_the_notice() {
        let mut queue = Queue::new();
        queue.push(b"half sent\n");
        assert!(queue.front().starts_with(b"half"));
        queue.consume(4);
        for _ in 0..2 * CAPACITY / 10 {
            queue.push(b"12345678\n");
        }
        let all = take_all(&mut queue);
        assert!(all.starts_with(" sent\r\n["), "{}", &all[..40]);
    }

    #[test]
    fn f23_long_lines_are_dropped_whole() {
        let mut queue = Queue::new();
        let line = format!("<{}>\n", "x".repeat(3 * PIECE));
        for _ in 0..100 {
            queue.push(line.as_bytes());
        }
        let dropped = queue.dropped();
        let all = take_all(&mut queue);
        let mut lines = all.lines();
        assert!(lines.next().is_some_and(|notice| notice.starts_with('[')));
        for _ in dropped..100 {
            assert_eq!(lines.next(), Some(line.trim_end()));
        }
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn f23_one_line_longer_than_the_queue_is_bounded_too() {
        let mut queue = Queue::new();
        queue.push(b"before\n");
        for _ in 0..100 {
            queue.push(&[b'x'; 1000]);
            assert!(queue.len() <= CAPACITY + PIECE);
        }
        queue.push(b"\nafter\n");
        assert!(take_all(&mut queue).ends_with("\r\nafter\r\n"));
    }
}
