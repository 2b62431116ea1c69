//! Copies one provider to another, and says the sum of what was copied.
//!
//! `app="xbd0 xbd1"` on the kernel command line says from where to where.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;

use app::App;
use geom::Access;
use hv::ShutdownReason;
use sha2::{Digest, Sha256};

/// Bytes that are moved at a time.
const PIECE: u64 = 256 << 10;

boot::program!(main);

async fn main(app: App) -> ShutdownReason {
    app.ready().await;
    match copy(&app).await {
        Ok(done) => app.say(format_args!("{done}")),
        Err(why) => app.say(format_args!("failed: {why}")),
    }
    ShutdownReason::Poweroff
}

async fn copy(app: &App) -> Result<String, String> {
    let names = app.arguments.split_once(' ');
    let (from, to) = names.ok_or("app=\"FROM TO\" is to say what to copy")?;
    let open = |name, access| app.geom.open_as(name, access, "blockcopy");
    let source = open(from, Access::READ).map_err(|error| error.to_string())?;
    let target = open(to, Access::EXCLUSIVE).map_err(|error| error.to_string())?;
    let (size, mut at, mut hash) = (source.media_size(), 0, Sha256::new());
    while at < size {
        let length = (size - at).min(PIECE);
        let read = source.read(at, length as usize).await;
        let bytes = read.map_err(|errno| format!("{from} at {at}: {errno}"))?;
        hash.update(&bytes);
        let written = target.write(at, bytes).await;
        written.map_err(|errno| format!("{to} at {at}: {errno}"))?;
        at += length;
    }
    let flushed = target.flush().await;
    flushed.map_err(|errno| format!("{to}: flush: {errno}"))?;
    let mut text = format!("{size} bytes from {from} to {to}, SHA-256 ");
    let mut sum = hash.finalize().into_iter();
    let written = sum.try_for_each(|byte| write!(text, "{byte:02x}"));
    written.map(|()| text).map_err(|error| error.to_string())
}
