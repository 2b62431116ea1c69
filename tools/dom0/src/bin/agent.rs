//! `agent PORT`: serves the lab on a virtio-serial port, for ever.
#![forbid(unsafe_code)]

use dom0::agent;
use std::fs::File;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(port) = std::env::args().nth(1) else {
        eprintln!("usage: agent PORT");
        return ExitCode::from(2);
    };
    let end = serve(&port);
    eprintln!("agent: {port}: {end}");
    ExitCode::FAILURE
}

fn serve(port: &str) -> io::Error {
    let opened = File::options().read(true).write(true).open(port);
    match opened.and_then(|file| agent::serve(file.try_clone()?, file)) {
        Ok(()) => io::ErrorKind::UnexpectedEof.into(),
        Err(error) => error,
    }
}
