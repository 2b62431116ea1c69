//! Something to measure a network by: takes a stream at TCP port 5001 and says how long it was,
//! makes one of the length that is wanted at 5002, and counts datagrams at UDP port 5003.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec;

use app::App;
use embedded_io_async::{Read, Write};
use hv::ShutdownReason;
use net::{NetError, TcpStream, UdpSocket};

/// Bytes that are moved at once.
const PIECE: usize = 128 << 10;

boot::program!(main);

async fn main(app: App) -> ShutdownReason {
    let (sink, source) = (app.net.listen(5001), app.net.listen(5002));
    let (Ok(mut sink), Ok(mut source), Ok(counter)) = (sink, source, app.net.udp(5003)) else {
        return ShutdownReason::Crash;
    };
    let (sinks, sources) = (app.clone(), app.clone());
    app.spawn("sink", async move {
        loop {
            let (stream, _) = sink.accept().await;
            sinks.spawn("take", async {
                let _cut_short = take(stream).await;
            });
        }
    });
    app.spawn("source", async move {
        loop {
            let (stream, _) = source.accept().await;
            sources.spawn("give", async {
                let _cut_short = give(stream).await;
            });
        }
    });
    app.ready().await;
    app.say(format_args!("serving"));
    count(counter).await
}

/// Reads to the end, and says how many bytes that were.
async fn take(mut stream: TcpStream) -> Result<(), NetError> {
    let (mut buffer, mut total) = (vec![0; PIECE], 0_u64);
    loop {
        match stream.read(&mut buffer).await? {
            0 => break,
            length => total += length as u64,
        }
    }
    stream.write_all(&total.to_le_bytes()).await?;
    stream.close().await
}

/// Reads a number, and sends as many bytes.
async fn give(mut stream: TcpStream) -> Result<(), NetError> {
    let (mut number, buffer) = ([0; 8], vec![0x5a; PIECE]);
    if stream.read_exact(&mut number).await.is_err() {
        return Ok(());
    }
    let mut left = u64::from_le_bytes(number);
    while left > 0 {
        let piece = left.min(PIECE as u64);
        stream.write_all(&buffer[..piece as usize]).await?;
        left -= piece;
    }
    stream.close().await
}

/// Counts datagrams; answers one of 8 bytes with itself and how many there were.
async fn count(mut socket: UdpSocket) -> ShutdownReason {
    let (mut buffer, mut total) = ([0; 1500], 0_u64);
    loop {
        let (length, from) = socket.receive(&mut buffer).await;
        if length > 8 {
            total += 1;
            continue;
        }
        buffer[length..length + 8].copy_from_slice(&total.to_le_bytes());
        let _unheard = socket.send(&buffer[..length + 8], from).await;
    }
}
