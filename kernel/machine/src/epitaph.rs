//! What a domain says before it ends by a panic or an exception.
//!
//! It is written to the console ring, whatever the console driver was doing, and drained within a
//! second; then the domain ends with `SHUTDOWN_crash`. A tool can read it (`cargo xtask
//! symbolize`); each line ends in CR LF:
//!
//! ```text
//! --- xenolith epitaph ---
//! cause: page fault (vector 14, error 0x2, address 0x0000000000000010)
//! time: 1.234567, vCPU 0
//! rip: 0xffffffff80001234              registers, only after an exception: `name: value`
//! ...
//! backtrace:
//! #0 0xffffffff80001234 blkfront::queue::take+0x14
//! #1 0xffffffff80005678 exec::executor::Executor::turn+0x98
//! trace:
//! [    1.234000] blkfront request 0x1 0x2
//! --- end of epitaph ---
//! ```
//!
//! The cause of a panic is `panic at FILE:LINE: MESSAGE`. A panic inside the epitaph ends the
//! domain at once. The vCPUs that had no part in it are stopped before.
#![expect(
    unsafe_code,
    reason = "what is done last belongs to the vCPU that speaks"
)]

use alloc::boxed::Box;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

use hv::{Instant, Port, SharedMem};
use spin::Once;
use xen_abi::io::console;
use xen_abi::sched::REASON_CRASH;

use crate::hypercall::{event, sched};
use crate::trap::{self, Registers};
use crate::window::Mapping;
use crate::{backtrace, clock, vcpu};

/// How long the epitaph may wait for room in the console ring, and for its last bytes to be taken.
const PATIENCE_NANOSECONDS: u64 = 1_000_000_000;
/// The same in turns of waiting, should the clock not go on.
const PATIENCE_TURNS: u32 = 2_000_000;
/// How long the last words may take: a client on a busy host hears of them late.
const LAST_WORDS_NANOSECONDS: u64 = 2_000_000_000;
/// How long nobody must have had anything to be told, for the last words to be over.
const QUIET_NANOSECONDS: u64 = 100_000_000;
/// The vector whose address Xen leaves in the shared info page.
const PAGE_FAULT: u64 = 14;

static CONSOLE: Once<Console> = Once::new();
static TRACE: Once<Box<TraceSource>> = Once::new();
static LAST_WORDS: Once<LastWords> = Once::new();
/// The vCPU that speaks.
static SPEAKER: AtomicU32 = AtomicU32::new(NOBODY);
const NOBODY: u32 = u32::MAX;

type TraceSource = dyn Fn(&mut dyn Write) + Send + Sync;

/// What is done after the epitaph.
struct LastWords(Box<dyn Fn() -> bool>);

// SAFETY: any vCPU may call it, as whoever made it has promised that it may.
unsafe impl Send for LastWords {}
// SAFETY: as for `Send`, one call after the other.
unsafe impl Sync for LastWords {}

struct Console {
    ring: Mapping,
    port: AtomicU32,
}

/// Says which console to speak on.
pub(crate) fn set_console(ring: Mapping, port: Port) {
    let port = AtomicU32::new(port.0);
    CONSOLE.call_once(|| Console { ring, port });
}

/// Says where the last trace entries are: `source` writes a line for each. Only the first call
/// counts.
pub fn set_trace(source: impl Fn(&mut dyn Write) + Send + Sync + 'static) {
    TRACE.call_once(|| Box::new(source));
}

/// Says which port the console has in the domain's new life.
pub(crate) fn set_console_port(port: Port) {
    if let Some(console) = CONSOLE.get() {
        console.port.store(port.0, Ordering::Relaxed);
    }
}

/// Says what is to be done after the epitaph and before the end: peers that wait for something can
/// be told that it will not come. `words` finds the domain in any state, must not wait, and returns
/// whether there is anybody to tell. It is called again, since who is told may ask for something
/// else, until there was nobody for 100 ms, or for two seconds. A panic in it ends the domain at
/// once. Only the first call of this counts.
///
/// # Safety
/// Any vCPU may call `words`, once no other runs any more, whatever that was at then.
pub unsafe fn set_last_words(words: impl Fn() -> bool + 'static) {
    LAST_WORDS.call_once(|| LastWords(Box::new(words)));
}

/// Ends the domain because of a panic. For the panic handler alone.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    speak(|out| {
        match info.location() {
            Some(at) => writeln!(out, "cause: panic at {at}: {}", info.message())?,
            None => writeln!(out, "cause: panic: {}", info.message())?,
        }
        write_time(out)?;
        writeln!(out, "backtrace:")?;
        backtrace::write_callers(out)
    })
}

/// Ends the domain because of an exception.
pub(crate) fn trap(registers: &Registers) -> ! {
    speak(|out| {
        let (vector, error) = (registers.vector, registers.error);
        write!(
            out,
            "cause: {} (vector {vector}, error {error:#x}",
            trap::name(vector)
        )?;
        if vector == PAGE_FAULT
            && let Some(address) = clock::fault_address()
        {
            write!(out, ", address {address:#018x}")?;
        }
        writeln!(out, ")")?;
        write_time(out)?;
        write!(out, "{registers}")?;
        writeln!(out, "backtrace:")?;
        backtrace::write(out, registers.rip, registers.rbp)
    })
}

fn write_time(out: &mut dyn Write) -> fmt::Result {
    let now = clock::now().0;
    writeln!(
        out,
        "time: {}.{:06}, vCPU {}",
        now / 1_000_000_000,
        now / 1000 % 1_000_000,
        vcpu::current()
    )
}

/// Writes an epitaph around what `cause` writes, and ends the domain.
fn speak(cause: impl FnOnce(&mut dyn Write) -> fmt::Result) -> ! {
    let own = vcpu::current();
    let is_alone = match SPEAKER.compare_exchange(NOBODY, own, Ordering::Relaxed, Ordering::Relaxed)
    {
        Ok(_) => vcpu::stop_others(),
        Err(speaker) if speaker == own => sched::shutdown(REASON_CRASH),
        // It ends the domain, and stops this one before.
        Err(_) => loop {
            vcpu::down();
        },
    };
    if let Some(console) = CONSOLE.get() {
        let mut out = Out {
            console,
            start: clock::now(),
            turns: 0,
        };
        // Nobody is left to be told that the console takes no more.
        let _cut_short = write_epitaph(&mut out, cause);
        out.drain();
    }
    // They are about what others may be at work on, should they not have been stopped.
    if is_alone && let Some(words) = LAST_WORDS.get() {
        say(words);
    }
    sched::shutdown(REASON_CRASH)
}

/// Says the last words until nobody listens any more.
fn say(words: &LastWords) {
    let start = clock::now();
    let mut told = start;
    for _ in 0..PATIENCE_TURNS {
        if (words.0)() {
            told = clock::now();
        }
        let now = clock::now();
        let passed = |since: Instant, limit: u64| now.since(since).as_nanos() >= u128::from(limit);
        if passed(told, QUIET_NANOSECONDS) || passed(start, LAST_WORDS_NANOSECONDS) {
            return;
        }
        sched::yield_cpu();
    }
}

fn write_epitaph(
    out: &mut dyn Write,
    cause: impl FnOnce(&mut dyn Write) -> fmt::Result,
) -> fmt::Result {
    writeln!(out, "\n--- xenolith epitaph ---")?;
    cause(out)?;
    writeln!(out, "trace:")?;
    if let Some(trace) = TRACE.get() {
        trace(out);
    }
    writeln!(out, "--- end of epitaph ---")
}

/// The console ring, written until patience ends.
struct Out<'a> {
    console: &'a Console,
    start: Instant,
    turns: u32,
}

impl Out<'_> {
    /// Asks the console daemon to read, and lets it run. False when patience has ended.
    fn wait(&mut self) -> bool {
        // The daemon being gone is what patience is for.
        let port = Port(self.console.port.load(Ordering::Relaxed));
        let _nobody_listens = event::send(port);
        sched::yield_cpu();
        self.turns += 1;
        let waited = clock::now().since(self.start).as_nanos();
        waited < u128::from(PATIENCE_NANOSECONDS) && self.turns < PATIENCE_TURNS
    }

    /// Bytes in the ring that the daemon has not taken; more than the ring has if the indices are
    /// wrong.
    fn waiting(&self) -> u32 {
        let ring = &self.console.ring;
        ring.load_u32(console::OUT_PROD)
            .wrapping_sub(ring.load_u32(console::OUT_CONS))
    }

    fn put(&mut self, byte: u8) -> fmt::Result {
        let size = console::OUT_SIZE as u32;
        while self.waiting() >= size {
            if !self.wait() {
                return Err(fmt::Error);
            }
        }
        let ring = &self.console.ring;
        let produced = ring.load_u32(console::OUT_PROD);
        ring.write(console::OUT + (produced % size) as usize, &[byte]);
        ring.store_u32(console::OUT_PROD, produced.wrapping_add(1));
        Ok(())
    }

    /// Waits until the daemon has taken everything.
    fn drain(&mut self) {
        while self.waiting() != 0 && self.wait() {}
    }
}

impl Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.put(b'\r')?;
            }
            self.put(byte)?;
        }
        Ok(())
    }
}
