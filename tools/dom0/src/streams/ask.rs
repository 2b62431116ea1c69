//! The client, in dom0. Each prints what it measured as numbers in one line.

use super::{COUNTER, PIECE, QUESTION, SINK, SOURCE};
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// It is not slept for less: waking takes longer.
const NAP: Duration = Duration::from_micros(100);

/// How it is called.
pub const USAGE: &str = "\
usage: streams serve
       streams send ADDRESS BYTES              prints: seconds
       streams receive ADDRESS BYTES           prints: seconds
       streams udp ADDRESS SIZE RATE SECONDS   prints: sent, counted, seconds
";

/// Sends so many bytes; the time until the other end has counted them all.
///
/// # Errors
/// If the connection breaks, or fewer were counted.
pub fn send(address: IpAddr, bytes: u64) -> Result<Duration> {
    let mut stream = connect(address, SINK)?;
    let buffer = vec![0xa5; PIECE];
    let start = Instant::now();
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        stream.write_all(&buffer[..piece])?;
        left -= u64::try_from(piece)?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut counted = [0; 8];
    stream.read_exact(&mut counted).context("no count came")?;
    let time = start.elapsed();
    let counted = u64::from_le_bytes(counted);
    ensure!(counted == bytes, "{counted} of {bytes} bytes arrived");
    Ok(time)
}

/// Asks for so many bytes; the time until they are there.
///
/// # Errors
/// If the connection breaks before.
pub fn receive(address: IpAddr, bytes: u64) -> Result<Duration> {
    let mut stream = connect(address, SOURCE)?;
    let mut buffer = vec![0; PIECE];
    let start = Instant::now();
    stream.write_all(&bytes.to_le_bytes())?;
    let mut total = 0;
    while total < bytes {
        match stream.read(&mut buffer)? {
            0 => bail!("{total} of {bytes} bytes came"),
            length => total += u64::try_from(length)?,
        }
    }
    Ok(start.elapsed())
}

/// Sends datagrams of `size` bytes at `rate` a second for `time`: how many, how many of them the
/// other end counted, and the time it took.
///
/// # Errors
/// If it does not say.
pub fn udp(
    address: IpAddr,
    size: usize,
    rate: u32,
    time: Duration,
) -> Result<(u64, u64, Duration)> {
    ensure!(size > QUESTION && rate > 0, "nothing to measure");
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.connect((address, COUNTER))?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let before = counted(&socket)?;
    let datagram = vec![0xa5; size];
    let gap = Duration::from_secs(1) / rate;
    let (start, mut sent) = (Instant::now(), 0_u32);
    while gap * sent < time {
        let early = (gap * sent).saturating_sub(start.elapsed());
        if early >= NAP {
            thread::sleep(early);
        }
        // What its own side drops is lost like any other.
        let _ = socket.send(&datagram);
        sent += 1;
    }
    let taken = start.elapsed();
    thread::sleep(Duration::from_millis(200));
    Ok((u64::from(sent), counted(&socket)? - before, taken))
}

/// What the other end has counted so far, asked until it answers.
fn counted(socket: &UdpSocket) -> Result<u64> {
    for number in 0_u64..60 {
        let question = number.to_le_bytes();
        socket.send(&question)?;
        let mut answer = [0; QUESTION + 8];
        while let Ok(length) = socket.recv(&mut answer) {
            if length == answer.len() && answer.starts_with(&question) {
                let mut count = [0; 8];
                count.copy_from_slice(&answer[QUESTION..]);
                return Ok(u64::from_le_bytes(count));
            }
        }
    }
    bail!("nobody counts")
}

fn connect(address: IpAddr, port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&(address, port).into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
