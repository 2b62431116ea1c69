//! Files: put and got.

use super::{Input, Reply, malformed, path};
use crate::wire::{Kind, Put};
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

/// Writes a file under a temporary name beside its own, then renames it: whoever reads it sees
/// the old one or the whole new one.
pub(super) fn put(body: &[u8], reply: &Reply, inputs: &Receiver<Input>) -> io::Result<()> {
    let request = Put::decode(body).ok_or_else(|| malformed("a malformed put"))?;
    let target = Path::new(&request.path);
    if let Some(directory) = target.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = receive(&partial, request.mode, inputs);
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written?;
    fs::rename(&partial, target)?;
    reply.send(Kind::Done, [])
}

fn receive(partial: &Path, mode: u32, inputs: &Receiver<Input>) -> io::Result<()> {
    let mut file = File::create(partial)?;
    loop {
        match inputs.recv() {
            Ok(Input::Data(bytes)) => file.write_all(&bytes)?,
            Ok(Input::End) => break,
            _ => return Err(ErrorKind::Interrupted.into()),
        }
    }
    file.set_permissions(Permissions::from_mode(mode))
}

pub(super) fn get(body: &[u8], reply: &Reply) -> io::Result<()> {
    reply.send_all(Kind::Data, &mut File::open(path(body)?)?)?;
    reply.send(Kind::Done, [])
}
