//! The real hypervisor: everything unsafe that runs in a domain.
//!
//! [`start()`] takes over from the entry point, and [`Xen`] is the [`hv::Hypervisor`] that the rest
//! of the kernel runs on. What can be decided without touching hardware is in `pv`, and tested
//! there.
//!
//! - `start`: from start_info to a running domain
//! - [`xen`]: [`Xen`], the handle
//! - [`epitaph`]: what a domain says before it ends by a panic or an exception
//! - [`stack`]: the stacks, their guard pages and their high-water mark
//! - [`vcpu_cell`]: [`VcpuCell`], what one vCPU at a time has
//! - [`vcpu`]: which vCPU runs this, and letting the others run
//! - `hypercall`: `syscall`, and a function for each operation
//! - `trap`: exceptions, the non-maskable interrupt, and the event upcall
//! - `backtrace`: who called whom
//! - `image`: where the parts of the image lie
//! - `mmu`: the page tables: all memory mapped, the image protected, single pages of others
//! - `direct`: the map of all memory once it stands, and its changes
//! - `balloon`: giving memory to Xen, and getting it back
//! - `frame`: the domain's frames, and [`Page`]
//! - `lent`: frames in a row that only the domain itself writes
//! - `grant_frames`: the pages of the grant table
//! - `p2m`: the list of frames that the toolstack saves the domain by
//! - `suspend`: what is let go of while the domain is saved
//! - `window`: room for foreign pages, and [`Mapping`]
//! - `random`: numbers that nobody can guess
//! - `vector`: copies by wide registers
//! - `span`: the one way to touch memory that others may write
//! - `heap`: the global allocator
//! - `lock`: locks that several vCPUs take
//! - `clock`: time
//! - `memory_functions`: memcpy and its kin
#![no_std]

extern crate alloc;

mod backtrace;
mod balloon;
mod clock;
mod direct;
pub mod epitaph;
mod frame;
mod grant_frames;
mod heap;
mod hypercall;
mod image;
mod lent;
mod lock;
mod memory_functions;
mod mmu;
mod p2m;
mod random;
mod span;
pub mod stack;
mod start;
mod suspend;
mod trap;
pub mod vcpu;
pub mod vcpu_cell;
mod vector;
mod window;
pub mod xen;

pub use frame::Page;
pub use start::start;
pub use vcpu_cell::VcpuCell;
pub use window::Mapping;
pub use xen::Xen;
