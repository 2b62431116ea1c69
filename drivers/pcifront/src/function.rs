//! One function, as its driver has it.

use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

use exec::Level;
use hv::{Hypervisor, PAGE_SIZE};
use pv::Pv;

use crate::bar::{Bar, Claims, Width};
use crate::capability;
use crate::connection::Connection;
use crate::interrupt::{Interrupt, Way};
use crate::operation::Operation;
use crate::turns::remember;
use crate::vector;
use crate::{Address, Failure, Id};

/// The register by which a function is turned on.
const COMMAND: u16 = 0x04;
/// Its bit: registers in memory answer.
const MEMORY: u32 = 1 << 1;
/// Its bit: the function may read and write memory.
const BUS_MASTER: u32 = 1 << 2;
/// Class and revision.
const CLASS: u16 = 0x08;
/// The first base address register.
const FIRST_BAR: u16 = 0x10;
/// The last one's index.
const LAST_BAR: u8 = 5;
/// The register that says which interrupt the line is.
const INTERRUPT_LINE: u16 = 0x3c;
/// The register that says whether there is a line.
const INTERRUPT_PIN: u16 = 0x3d;
/// Pages of a function's registers that are mapped at most: 2 MiB.
const MOST_PAGES: u64 = 512;

/// A function. A handle; clones speak for the same one.
pub struct Function<H: Hypervisor>(Rc<Inner<H>>);

struct Inner<H: Hypervisor> {
    pv: Pv<H>,
    connection: Rc<Connection<H>>,
    claims: Rc<Claims>,
    address: Address,
    id: Id,
    gone: Cell<bool>,
    /// It may be another driver's by now.
    disowned: Cell<bool>,
    /// It was kept from memory before that.
    kept: Cell<bool>,
    /// Who waits for `gone`.
    waiting: RefCell<Vec<Waker>>,
    /// What the backend was asked to turn on.
    way: Cell<Option<Way>>,
    /// MSI-X was refused, or did not work.
    without_msix: Cell<bool>,
}

impl<H: Hypervisor> Clone for Function<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<H: Hypervisor> Function<H> {
    /// The function that is at `address`, if there is one.
    pub(crate) async fn find(
        pv: &Pv<H>,
        connection: &Rc<Connection<H>>,
        claims: &Rc<Claims>,
        address: Address,
    ) -> Result<Option<Self>, Failure> {
        let nobodys = Cell::new(false);
        let read = async |offset| {
            let read = Operation::Read { offset, size: 4 };
            first(connection.operate(address, &nobodys, read).await)
        };
        let words = match read(0).await {
            Ok(word) => (word, read(CLASS).await?),
            Err(Failure::Refused(_)) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let Some(id) = Id::from_words(words.0, words.1) else {
            return Ok(None);
        };
        Ok(Some(Self(Rc::new(Inner {
            pv: pv.clone(),
            connection: connection.clone(),
            claims: claims.clone(),
            address,
            id,
            gone: Cell::new(false),
            disowned: Cell::new(false),
            kept: Cell::new(false),
            waiting: RefCell::default(),
            way: Cell::new(None),
            without_msix: Cell::new(false),
        }))))
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> Address {
        self.0.address
    }

    /// What it is.
    #[must_use]
    pub fn id(&self) -> Id {
        self.0.id
    }

    /// How its interrupts are raised; `None` if it has none.
    #[must_use]
    pub fn way(&self) -> Option<Way> {
        self.0.way.get()
    }

    /// Whether the function was taken away, or failed.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.gone.get()
    }

    /// Waits until the function is taken away, or fails. Its driver is to end then.
    pub async fn gone(&self) {
        poll_fn(|context| {
            if self.is_gone() {
                return Poll::Ready(());
            }
            remember(&mut self.0.waiting.borrow_mut(), context.waker());
            Poll::Pending
        })
        .await;
    }

    /// Whether this is a handle to the same one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it is gone with its connection.
    pub(crate) fn is_over(&self) -> bool {
        self.is_gone() && self.0.connection.is_over()
    }

    /// Says that it is gone.
    pub(crate) fn remove(&self) {
        self.0.gone.set(true);
        for waker in self.0.waiting.take() {
            waker.wake();
        }
    }

    /// Reads `size` bytes, 1, 2 or 4, at `offset` of the configuration space, which is a multiple
    /// of `size`. What was read may be anything. Takes at most 2 s, 2 s more if one before it was
    /// not answered, and as long for each other that waits; so with all that is asked of the
    /// configuration space.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn read(&self, offset: u16, size: u8) -> Result<u32, Failure> {
        self.check()?;
        self.peek(offset, size).await
    }

    /// Writes them. The backend may leave it at that without a word: it lets a domain write few
    /// registers.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn write(&self, offset: u16, size: u8, value: u32) -> Result<(), Failure> {
        self.check()?;
        self.poke(offset, size, value).await
    }

    /// As [`read`](Self::read), also when it is gone.
    async fn peek(&self, offset: u16, size: u8) -> Result<u32, Failure> {
        first(self.operate(Operation::Read { offset, size }).await)
    }

    /// As [`write`](Self::write), also when it is gone.
    async fn poke(&self, offset: u16, size: u8, value: u32) -> Result<(), Failure> {
        let write = Operation::Write {
            offset,
            size,
            value,
        };
        self.operate(write).await.map(drop)
    }

    async fn operate(&self, operation: Operation) -> Result<Vec<u32>, Failure> {
        let Inner {
            connection,
            address,
            disowned,
            ..
        } = &*self.0;
        connection.operate(*address, disowned, operation).await
    }

    fn check(&self) -> Result<(), Failure> {
        if self.is_gone() {
            return Err(Failure::Gone);
        }
        Ok(())
    }

    /// Turns the function on: registers in memory answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn enable(&self) -> Result<(), Failure> {
        self.command(MEMORY).await
    }

    /// Lets the function read and write memory.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn let_use_memory(&self) -> Result<(), Failure> {
        self.command(BUS_MASTER).await
    }

    /// Sets bits of the command register.
    async fn command(&self, bits: u32) -> Result<(), Failure> {
        let command = self.read(COMMAND, 2).await?;
        if command & bits != bits {
            self.write(COMMAND, 2, command | bits).await?;
        }
        Ok(())
    }

    /// Takes memory away from the function, and sees that it is so: it reads and writes none any
    /// more, whatever it does. For its driver also when it is [gone](Self::gone), as long as the
    /// backend has not given it to another.
    ///
    /// # Errors
    /// [`Failure`]: it may go on.
    pub async fn keep_from_memory(&self) -> Result<(), Failure> {
        if self.0.kept.get() {
            return Ok(());
        }
        let command = self.peek(COMMAND, 2).await?;
        if command & BUS_MASTER == 0 {
            return Ok(());
        }
        let off = command & !BUS_MASTER;
        // Linux's backend turns off only what it was told to turn on, whatever the function says.
        for again in [false, true] {
            if again {
                self.poke(COMMAND, 2, command).await?;
            }
            self.poke(COMMAND, 2, off).await?;
            // What was on its way before arrives before this is answered.
            if self.peek(COMMAND, 2).await? & BUS_MASTER == 0 {
                return Ok(());
            }
        }
        // All ones: nobody is there any more. Vendor and device are what the backend remembers.
        if self.peek(CLASS, 4).await? == u32::MAX {
            return Ok(());
        }
        Err(Failure::Nonsense("it may still use memory"))
    }

    /// Where the registers of base address register `index` are, and how many.
    ///
    /// # Errors
    /// [`Failure::Absent`] when it is not used, is one of ports, or the upper half of another;
    /// [`Failure::Nonsense`] when it says what cannot be.
    pub async fn bar(&self, index: u8) -> Result<Bar, Failure> {
        // What follows is the expansion ROM's, which nobody here has a use for.
        if index > LAST_BAR {
            return Err(Failure::Absent);
        }
        let offset = FIRST_BAR + u16::from(index) * 4;
        let low = self.read(offset, 4).await?;
        let width = Width::of(low)?;
        let (mut was, mut probed) = ([low, 0], [0; 2]);
        probed[0] = self.probe(offset, low).await?;
        if width == Width::Wide {
            if index == LAST_BAR {
                return Err(Failure::Nonsense("half a base address register"));
            }
            was[1] = self.read(offset + 4, 4).await?;
            probed[1] = self.probe(offset + 4, was[1]).await?;
        }
        let bar = Bar::new(width, was, probed)?;
        self.0.claims.claim(self.0.address, index, bar)?;
        Ok(bar)
    }

    /// What reads from a base address register after all ones were written: the bits that stay 0
    /// are its size's.
    async fn probe(&self, offset: u16, was: u32) -> Result<u32, Failure> {
        self.write(offset, 4, u32::MAX).await?;
        let probed = self.read(offset, 4).await?;
        self.write(offset, 4, was).await?;
        if self.read(offset, 4).await? != was {
            return Err(Failure::Nonsense("a base address register that moves"));
        }
        Ok(probed)
    }

    /// Maps the registers there, at most the first 2 MiB.
    ///
    /// # Errors
    /// Registers that share a page with others; or what Xen says: that they are memory, or not this
    /// domain's, for instance.
    pub fn map(&self, bar: &Bar) -> Result<H::Mapping, Failure> {
        self.check()?;
        let page = PAGE_SIZE as u64;
        if bar.bytes < page {
            return Err(Failure::Nonsense("less than a page of registers"));
        }
        let pages = (bar.bytes / page).min(MOST_PAGES);
        let pages = usize::try_from(pages).unwrap_or_default();
        let mapped = self.0.pv.hv.map_device(bar.address, pages);
        mapped.map_err(Failure::Xen)
    }

    /// Turns interrupts on, `wanted` of them if the function and the backend have so many: by
    /// MSI-X, which is tried once; else one by MSI; else by the line. There is at least one. To be
    /// called after [`enable`](Self::enable), and while none of former ones is left.
    ///
    /// # Errors
    /// There is none to be had, for the last of the reasons. The driver may poll then.
    pub async fn interrupts(&self, wanted: usize) -> Result<Vec<Interrupt<H>>, Failure> {
        if !self.0.without_msix.get() {
            match self.msix(wanted).await {
                Ok(interrupts) => return Ok(interrupts),
                Err(failure @ (Failure::Gone | Failure::TimedOut)) => return Err(failure),
                Err(failure) => self.say(Way::Msix, failure),
            }
            self.0.without_msix.set(true);
        }
        match self.msi().await {
            Ok(interrupts) => return Ok(interrupts),
            Err(failure @ (Failure::Gone | Failure::TimedOut)) => return Err(failure),
            Err(failure) => self.say(Way::Msi, failure),
        }
        self.line().await
    }

    fn say(&self, way: Way, failure: Failure) {
        if failure != Failure::Absent {
            let name = self.0.address.to_string();
            let text = format_args!("no {way}: {failure}");
            self.0.pv.log.limited(Level::Info, &name, text);
        }
    }

    async fn msix(&self, wanted: usize) -> Result<Vec<Interrupt<H>>, Failure> {
        let place = capability::find(self, capability::MSIX).await?;
        let place = place.ok_or(Failure::Absent)?;
        // The table's size less one, in 11 bits.
        let has = (self.read(place + 2, 2).await? & 0x7ff) as usize + 1;
        let vectors = wanted.clamp(1, 128).min(has);
        let vectors = u8::try_from(vectors).unwrap_or(1);
        self.turn_on(Way::Msix, Operation::EnableMsix { vectors })
            .await
    }

    async fn msi(&self) -> Result<Vec<Interrupt<H>>, Failure> {
        if capability::find(self, capability::MSI).await?.is_none() {
            return Err(Failure::Absent);
        }
        self.turn_on(Way::Msi, Operation::EnableMsi).await
    }

    /// Has the backend turn messages on, and binds what it says they raise.
    async fn turn_on(&self, way: Way, enable: Operation) -> Result<Vec<Interrupt<H>>, Failure> {
        self.check()?;
        self.0.way.set(Some(way));
        let asked = self.operate(enable).await;
        let bound = asked
            .and_then(vector::checked)
            .and_then(|pirqs| self.bind(&pirqs, way));
        if let Err(failure) = bound {
            match failure {
                Failure::Refused(_) => self.0.way.set(None),
                _ => self.turn_off().await,
            }
        }
        bound
    }

    async fn line(&self) -> Result<Vec<Interrupt<H>>, Failure> {
        if self.read(INTERRUPT_PIN, 1).await? == 0 {
            return Err(Failure::Absent);
        }
        // All ones is where nobody knows.
        let line = match self.read(INTERRUPT_LINE, 1).await? {
            0 | 0xff => return Err(Failure::Absent),
            line => line,
        };
        let bound = self.bind(&[line], Way::Intx)?;
        self.0.way.set(Some(Way::Intx));
        Ok(bound)
    }

    fn bind(&self, pirqs: &[u32], way: Way) -> Result<Vec<Interrupt<H>>, Failure> {
        let label = self.0.address.to_string();
        let bind = |pirq: &u32| Interrupt::bind(&self.0.pv, *pirq, way, &label);
        let bound: Result<_, _> = pirqs.iter().map(bind).collect();
        bound.map_err(Failure::Xen)
    }

    /// Has the backend turn messages off, if they were turned on.
    async fn turn_off(&self) {
        let disable = match self.0.way.take() {
            Some(Way::Msix) => Operation::DisableMsix,
            Some(Way::Msi) => Operation::DisableMsi,
            Some(Way::Intx) | None => return,
        };
        // A backend that does not do it has the device to itself from now on.
        let _done = self.operate(disable).await;
    }

    /// Its driver has ended, or is not waited for any more: keeps the function from interrupts and
    /// memory, as far as the backend does what it is asked for, and from then on leaves it alone.
    pub(crate) async fn disarm(&self) {
        if self.0.disowned.get() {
            return;
        }
        self.turn_off().await;
        let kept = self.keep_from_memory().await.is_ok();
        self.0.kept.set(kept);
        self.disown();
    }

    /// Whoever is at its place from now on has nothing to do with this one.
    pub(crate) fn disown(&self) {
        if !self.0.disowned.replace(true) {
            self.0.claims.release(self.0.address);
        }
    }
}

/// The one value that a read brings.
fn first(values: Result<Vec<u32>, Failure>) -> Result<u32, Failure> {
    Ok(values?.first().copied().unwrap_or_default())
}
