//! The dom0 end of a guest's console, held open.
//!
//! xenconsoled makes a new pseudo-terminal when the last program closes the old one, so what types
//! on a console keeps it open. Raw, so that nothing is echoed back to the guest as its own input.

use super::{Input, Reply, path};
use crate::wire::Kind;
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::mpsc::Receiver;
use std::thread;

pub(super) fn serve(body: &[u8], reply: &Reply, inputs: &Receiver<Input>) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut terminal = File::from(open(path(body)?, flags, Mode::empty())?);
    let mut settings = tcgetattr(&terminal)?;
    settings.make_raw();
    tcsetattr(&terminal, OptionalActions::Now, &settings)?;

    // Unread output would fill the terminal; the console's log has it all. This thread ends when
    // xenconsoled closes its end.
    let mut output = terminal.try_clone()?;
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while output.read(&mut buffer).is_ok_and(|length| length > 0) {}
    });
    loop {
        match inputs.recv() {
            Ok(Input::Data(bytes)) => terminal.write_all(&bytes)?,
            Ok(Input::End) => {}
            _ => return reply.send(Kind::Done, []),
        }
    }
}
