//! A whole domain.

use app::Domain;
use machine::{Xen, epitaph};

use crate::run_loop;

/// Runs a whole domain until it ends; for [`image!`](crate::image!).
pub fn run(xen: &Xen) -> ! {
    let domain = Domain::start(xen.clone(), xen.command_line());
    let blkback = domain.blkback.clone();
    epitaph::set_last_words(move || blkback.last_words() | blkback.close_last());
    run_loop::run(xen, &domain.pv, || domain.turn())
}
