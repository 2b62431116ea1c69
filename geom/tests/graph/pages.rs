//! Pages for memory disks that a test counts, and a memory that puts its copies off.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use geom::{Errno, Memory, PageSource};

pub(crate) const PAGE: usize = 4096;

/// Gives pages as long as there are some.
pub(crate) struct Pages {
    /// Pages that somebody has.
    pub(crate) out: Rc<Cell<usize>>,
    pub(crate) limit: Cell<usize>,
    pub(crate) queue: Rc<Queue>,
    settled: Cell<u32>,
}

struct Page {
    bytes: RefCell<Vec<u8>>,
    out: Rc<Cell<usize>>,
}

impl Pages {
    pub(crate) fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self {
            out: Rc::default(),
            limit: Cell::new(limit),
            queue: Rc::default(),
            settled: Cell::new(0),
        })
    }

    /// How often it was asked to settle since this was last asked.
    pub(crate) fn settled(&self) -> u32 {
        self.settled.take()
    }
}

impl PageSource for Pages {
    fn page(&self) -> Option<Rc<dyn Memory>> {
        if self.out.get() == self.limit.get() {
            return None;
        }
        self.out.set(self.out.get() + 1);
        Some(Rc::new(Page {
            bytes: RefCell::new(vec![0; PAGE]),
            out: self.out.clone(),
        }))
    }

    fn page_size(&self) -> usize {
        PAGE
    }

    fn free_bytes(&self) -> u64 {
        ((self.limit.get() - self.out.get()) * PAGE) as u64
    }

    fn settle(&self) {
        self.settled.set(self.settled.get() + 1);
        self.queue.make();
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.out.set(self.out.get() - 1);
    }
}

impl Memory for Page {
    fn len(&self) -> usize {
        PAGE
    }

    fn copy_in(&self, at: usize, from: &[u8]) {
        self.bytes.borrow_mut()[at..at + from.len()].copy_from_slice(from);
    }

    fn copy_out(&self, at: usize, to: &mut [u8]) {
        to.copy_from_slice(&self.bytes.borrow()[at..at + to.len()]);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Copies that wait, in their order.
#[derive(Default)]
pub(crate) struct Queue(RefCell<Vec<Box<dyn FnOnce()>>>);

impl Queue {
    pub(crate) fn make(&self) {
        self.0.take().into_iter().for_each(|copy| copy());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

/// Memory that puts off every copy to and from another.
pub(crate) struct Lazy {
    bytes: Rc<RefCell<Vec<u8>>>,
    queue: Rc<Queue>,
}

impl Lazy {
    pub(crate) fn new(bytes: Vec<u8>, queue: &Rc<Queue>) -> Rc<Self> {
        Rc::new(Self {
            bytes: Rc::new(RefCell::new(bytes)),
            queue: queue.clone(),
        })
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.borrow().clone()
    }
}

impl Memory for Lazy {
    fn len(&self) -> usize {
        self.bytes.borrow().len()
    }

    fn copy_from(&self, at: usize, source: &Rc<dyn Memory>, from: usize, length: usize) {
        let (bytes, source) = (self.bytes.clone(), source.clone());
        self.queue.0.borrow_mut().push(Box::new(move || {
            source.copy_out(from, &mut bytes.borrow_mut()[at..at + length]);
        }));
    }

    fn copy_to(&self, at: usize, target: &Rc<dyn Memory>, to: usize, length: usize) {
        let (bytes, target) = (self.bytes.clone(), target.clone());
        self.queue.0.borrow_mut().push(Box::new(move || {
            target.copy_in(to, &bytes.borrow()[at..at + length]);
        }));
    }

    fn settle(&self) -> Result<(), Errno> {
        self.queue.make();
        Ok(())
    }

    fn copy_in(&self, at: usize, from: &[u8]) {
        self.queue.make();
        self.bytes.borrow_mut()[at..at + from.len()].copy_from_slice(from);
    }

    fn copy_out(&self, at: usize, to: &mut [u8]) {
        self.queue.make();
        to.copy_from_slice(&self.bytes.borrow()[at..at + to.len()]);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
