//! Sends back what it is sent, at TCP port 7 (RFC 862).
#![no_std]
#![no_main]

extern crate alloc;

use alloc::rc::Rc;
use core::cell::Cell;

use app::App;
use embedded_io_async::{Read, Write};
use hv::ShutdownReason;
use net::TcpStream;

boot::program!(main);

/// Clients at a time: each has its kibibyte, and the stack has bounds of its own.
const CLIENTS: usize = 2000;

async fn main(app: App) -> ShutdownReason {
    let mut listener = match app.net.listen(7) {
        Ok(listener) => listener,
        Err(why) => {
            app.say(format_args!("port 7: {why}"));
            return ShutdownReason::Poweroff;
        }
    };
    app.say(format_args!("echo at port 7"));
    let clients = Rc::new(Cell::new(0));
    loop {
        let (stream, from) = listener.accept().await;
        if clients.get() == CLIENTS {
            stream.abort();
            continue;
        }
        clients.set(clients.get() + 1);
        app.mention(format_args!("{from} is here"));
        let (told, clients) = (app.clone(), clients.clone());
        app.spawn("echo", async move {
            let count = echo(stream).await;
            clients.set(clients.get() - 1);
            told.mention(format_args!("{from} is gone, after {count} bytes"));
        });
    }
}

/// Answers one client until it has no more to say; how many bytes it had.
async fn echo(mut stream: TcpStream) -> u64 {
    let (mut buffer, mut count) = ([0; 1024], 0);
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                if stream.write_all(&buffer[..length]).await.is_err() {
                    break;
                }
                count += length as u64;
            }
        }
    }
    // It has been told that there will be no more; whether it has heard makes no difference here.
    let _told = stream.close().await;
    count
}
