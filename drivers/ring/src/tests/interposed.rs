//! Shared memory that lets the peer act in the middle of an operation.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hv::{HeapMemory, SharedMem};

type Peer = Box<dyn FnMut()>;

/// Heap memory that calls the peer before its `at`-th access, and counts reads of every byte.
#[derive(Clone)]
pub(crate) struct Interposed {
    pub(crate) heap: HeapMemory,
    pub(crate) reads: Rc<RefCell<Vec<u32>>>,
    countdown: Rc<Cell<Option<u32>>>,
    peer: Rc<RefCell<Option<Peer>>>,
}

impl Interposed {
    pub(crate) fn new(heap: HeapMemory) -> Self {
        let reads = Rc::new(RefCell::new(vec![0; heap.len()]));
        Self {
            heap,
            reads,
            countdown: Rc::default(),
            peer: Rc::default(),
        }
    }

    /// Lets `peer` act once, before the access that `at` others precede.
    pub(crate) fn interpose(&self, at: u32, peer: impl FnMut() + 'static) {
        self.countdown.set(Some(at));
        *self.peer.borrow_mut() = Some(Box::new(peer));
    }

    /// Whether the peer has acted; it never will afterwards.
    pub(crate) fn acted(&self) -> bool {
        *self.peer.borrow_mut() = None;
        self.countdown.take().is_none()
    }

    fn access(&self) {
        match self.countdown.get() {
            Some(0) => {
                self.countdown.set(None);
                if let Some(mut peer) = self.peer.borrow_mut().take() {
                    peer();
                }
            }
            Some(left) => self.countdown.set(Some(left - 1)),
            None => {}
        }
    }
}

impl SharedMem for Interposed {
    fn len(&self) -> usize {
        self.heap.len()
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        self.access();
        for reads in &mut self.reads.borrow_mut()[offset..offset + into.len()] {
            *reads += 1;
        }
        self.heap.read(offset, into);
    }
    fn write(&self, offset: usize, from: &[u8]) {
        self.access();
        self.heap.write(offset, from);
    }
    fn fill(&self, offset: usize, length: usize, value: u8) {
        self.access();
        self.heap.fill(offset, length, value);
    }
    fn load_u32(&self, offset: usize) -> u32 {
        self.access();
        self.heap.load_u32(offset)
    }
    fn store_u32(&self, offset: usize, value: u32) {
        self.access();
        self.heap.store_u32(offset, value);
    }
    fn load_u64(&self, offset: usize) -> u64 {
        self.access();
        self.heap.load_u64(offset)
    }
    fn store_u64(&self, offset: usize, value: u64) {
        self.access();
        self.heap.store_u64(offset, value);
    }
    fn compare_exchange_u16(&self, offset: usize, current: u16, new: u16) -> Result<u16, u16> {
        self.access();
        self.heap.compare_exchange_u16(offset, current, new)
    }
    fn fetch_or_u64(&self, offset: usize, mask: u64) -> u64 {
        self.access();
        self.heap.fetch_or_u64(offset, mask)
    }
    fn fetch_and_u64(&self, offset: usize, mask: u64) -> u64 {
        self.access();
        self.heap.fetch_and_u64(offset, mask)
    }
}
