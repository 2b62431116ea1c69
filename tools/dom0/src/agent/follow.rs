//! A file and what is appended to it. It costs dom0 nothing while nothing is.

use super::{Input, Reply, path};
use crate::wire::Kind;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

/// Room for the events of one look.
const EVENTS: usize = 4096;

/// Sends what is in the file and what comes, until it is told to end. The file need not be there
/// yet; its directory must be.
pub(super) fn serve(
    body: &[u8],
    reply: &Reply,
    own: Sender<Input>,
    inputs: &Receiver<Input>,
) -> io::Result<()> {
    let path = Path::new(path(body)?);
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
    inotify::add_watch(&watch, path.parent().unwrap_or(path), changes)?;
    // Dropped when this returns, which ends the thread.
    let (end, _end) = io::pipe()?;
    thread::spawn(move || look_out(&watch, &end, &own));
    let mut file = None;
    loop {
        if file.is_none() {
            file = match File::open(path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        if let Some(file) = &mut file {
            reply.send_all(Kind::Data, file)?;
        }
        match inputs.recv() {
            Ok(Input::Changed | Input::Data(_) | Input::End) => {}
            _ => return reply.send(Kind::Done, []),
        }
    }
}

/// Says what changed in the directory, until the other end of `end` is closed.
fn look_out(watch: &OwnedFd, end: &PipeReader, follower: &Sender<Input>) {
    let mut room = [const { MaybeUninit::uninit() }; EVENTS];
    let mut events = inotify::Reader::new(watch, &mut room);
    loop {
        let mut waits = [
            PollFd::new(watch, PollFlags::IN),
            PollFd::new(end, PollFlags::IN),
        ];
        let waited = poll(&mut waits, None);
        if waited.is_err() || !waits[1].revents().is_empty() {
            return;
        }
        // One word for all that are there.
        while events.next().is_ok() {}
        if follower.send(Input::Changed).is_err() {
            return;
        }
    }
}
