//! The server, in a Linux guest: a thread a connection, and nothing done with the bytes.

use super::{COUNTER, PIECE, QUESTION, SINK, SOURCE};
use anyhow::Result;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;

/// Serves for ever at `address`; says `serving` when it can be asked.
///
/// # Errors
/// If a port cannot be had.
pub fn run(address: Ipv4Addr) -> Result<()> {
    let sink = TcpListener::bind((address, SINK))?;
    let source = TcpListener::bind((address, SOURCE))?;
    let counter = UdpSocket::bind((address, COUNTER))?;
    println!("serving");
    thread::spawn(move || accept(&sink, take));
    thread::spawn(move || accept(&source, give));
    count(&counter)
}

/// A client that goes away costs its own connection.
fn accept(listener: &TcpListener, serve: fn(TcpStream) -> Result<()>) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || serve(stream));
    }
}

fn take(mut stream: TcpStream) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut total = 0_u64;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            length => total += u64::try_from(length)?,
        }
    }
    Ok(stream.write_all(&total.to_le_bytes())?)
}

fn give(mut stream: TcpStream) -> Result<()> {
    let mut number = [0; 8];
    stream.read_exact(&mut number)?;
    let mut left = u64::from_le_bytes(number);
    let buffer = vec![0x5a; PIECE];
    while left > 0 {
        let piece = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        stream.write_all(&buffer[..piece])?;
        left -= u64::try_from(piece)?;
    }
    Ok(())
}

fn count(socket: &UdpSocket) -> Result<()> {
    let mut buffer = [0; 2048];
    let mut total = 0_u64;
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        if length > QUESTION {
            total += 1;
            continue;
        }
        let mut answer = buffer[..length].to_vec();
        answer.extend(total.to_le_bytes());
        // Who asks and has left does not hear it.
        let _ = socket.send_to(&answer, from);
    }
}
