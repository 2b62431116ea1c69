//! Which of the domain's frames are free.

use hv::Pfn;

/// A bitmap over frames `0..frames`; a set bit is a free frame.
///
/// Taking one frame goes on where the last search ended, so it costs a constant on average; a run
/// of frames costs a look at every word at worst.
pub struct FrameMap<'a> {
    words: &'a mut [u64],
    frames: u64,
    free: usize,
    /// No word above this one has a free frame.
    highest: usize,
}

impl<'a> FrameMap<'a> {
    /// Words that a map of `frames` frames needs.
    #[must_use]
    pub fn words_for(frames: u64) -> usize {
        usize::try_from(frames.div_ceil(64)).unwrap_or(usize::MAX)
    }

    /// A map of `frames` frames, none of them free. It covers no more than `words` has room for.
    #[must_use]
    pub fn new(words: &'a mut [u64], frames: u64) -> Self {
        words.fill(0);
        let room = u64::try_from(words.len())
            .unwrap_or(u64::MAX)
            .saturating_mul(64);
        Self {
            words,
            frames: frames.min(room),
            free: 0,
            highest: 0,
        }
    }

    /// How many frames are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free
    }

    /// Makes a frame free. False, and nothing changes, if it was free or is none of the map's.
    pub fn release(&mut self, frame: Pfn) -> bool {
        let Some((word, bit)) = self.place(frame) else {
            return false;
        };
        match self.words.get_mut(word) {
            Some(word) if *word & bit == 0 => *word |= bit,
            _ => return false,
        }
        self.highest = self.highest.max(word);
        self.free += 1;
        true
    }

    /// Takes a free frame.
    pub fn take(&mut self) -> Option<Pfn> {
        let candidates = self.words.get(..=self.highest)?;
        let found = candidates.iter().rposition(|word| *word != 0)?;
        let word = self.words.get_mut(found)?;
        let bit = word.checked_ilog2()?;
        *word &= !(1 << bit);
        self.free -= 1;
        self.highest = found;
        Some(Pfn(u64::try_from(found).ok()? * 64 + u64::from(bit)))
    }

    /// Takes `count` frames in a row, starting at `start`; all of them or none.
    pub fn take_at(&mut self, start: Pfn, count: u64) -> bool {
        let end = start.0.saturating_add(count);
        let all = (start.0..end).all(|frame| self.is_free(Pfn(frame)));
        if all {
            (start.0..end).for_each(|frame| self.clear(Pfn(frame)));
        }
        all
    }

    /// Takes the lowest `count` frames that lie in a row.
    pub fn take_run(&mut self, count: u64) -> Option<Pfn> {
        let mut start = 0;
        let mut frame = 0;
        while frame < self.frames {
            if frame.is_multiple_of(64) && self.word(frame) == 0 {
                frame += 64;
                start = frame;
                continue;
            }
            let free = self.is_free(Pfn(frame));
            frame += 1;
            if !free {
                start = frame;
            } else if frame - start == count {
                (start..frame).for_each(|frame| self.clear(Pfn(frame)));
                return Some(Pfn(start));
            }
        }
        None
    }

    fn place(&self, frame: Pfn) -> Option<(usize, u64)> {
        let word = usize::try_from(frame.0 / 64).ok()?;
        (frame.0 < self.frames).then_some((word, 1 << (frame.0 % 64)))
    }

    fn word(&self, frame: u64) -> u64 {
        let word = usize::try_from(frame / 64)
            .ok()
            .and_then(|word| self.words.get(word));
        word.copied().unwrap_or(0)
    }

    fn is_free(&self, frame: Pfn) -> bool {
        self.place(frame)
            .is_some_and(|(_, bit)| self.word(frame.0) & bit != 0)
    }

    fn clear(&mut self, frame: Pfn) {
        if let Some((word, bit)) = self.place(frame)
            && let Some(word) = self.words.get_mut(word)
        {
            *word &= !bit;
            self.free -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of 200 frames of which `free` are free.
    fn map(words: &mut [u64; 4], free: impl IntoIterator<Item = u64>) -> FrameMap<'_> {
        let mut map = FrameMap::new(words, 200);
        for frame in free {
            assert!(map.release(Pfn(frame)));
        }
        map
    }

    #[test]
    fn every_free_frame_is_taken_once() {
        let mut words = [u64::MAX; 4];
        let mut map = map(&mut words, 3..200);
        let taken: Vec<_> = core::iter::from_fn(|| map.take())
            .map(|pfn| pfn.0)
            .collect();
        assert_eq!(taken, (3..200).rev().collect::<Vec<_>>(), "from the top");
        assert_eq!(map.free(), 0);
        assert!(map.release(Pfn(7)));
        assert!(map.release(Pfn(150)));
        assert_eq!(map.take(), Some(Pfn(150)), "the top is free again");
    }

    #[test]
    fn a_frame_that_is_free_or_foreign_cannot_be_released() {
        let mut words = [0; 4];
        let mut map = map(&mut words, [5]);
        assert!(!map.release(Pfn(5)));
        assert!(!map.release(Pfn(200)), "inside the last word, but no frame");
        assert!(!map.release(Pfn(u64::MAX)));
        assert_eq!(map.free(), 1);
    }

    #[test]
    fn a_run_is_the_lowest_one_and_must_not_have_holes() {
        let mut words = [0; 4];
        let mut map = map(&mut words, (10..20).chain(21..29).chain(60..140));
        assert_eq!(
            map.take_run(11),
            Some(Pfn(60)),
            "across words, over the hole at 20"
        );
        assert_eq!(map.take_run(10), Some(Pfn(10)));
        assert_eq!(map.take_run(70), None);
        assert_eq!(map.take_run(69), Some(Pfn(71)));
        assert_eq!(map.free(), 8);
    }

    #[test]
    fn a_run_at_a_place_is_taken_whole_or_not_at_all() {
        let mut words = [0; 4];
        let mut map = map(&mut words, (62..70).chain(195..200));
        assert!(!map.take_at(Pfn(61), 4));
        assert!(map.take_at(Pfn(62), 4));
        assert!(!map.take_at(Pfn(65), 2));
        assert!(!map.take_at(Pfn(198), 3), "beyond the end");
        assert_eq!(map.free(), 9);
    }
}
