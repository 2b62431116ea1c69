//! A web server at port 80: one page that says what disks there are.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::Cell;

use app::App;
use http::{Request, Response, Status, response::TEXT};
use hv::ShutdownReason;
use net::TcpStream;

/// Clients that are served at the same time.
const CLIENTS: u32 = 32;

boot::program!(main);

async fn main(app: App) -> ShutdownReason {
    app.ready().await;
    let Ok(mut listener) = app.net.listen(80) else {
        return ShutdownReason::Crash;
    };
    app.say(format_args!("a web server at port 80"));
    let clients = Rc::new(Cell::new(0));
    loop {
        let (stream, _) = listener.accept().await;
        if clients.get() == CLIENTS {
            stream.abort();
            continue;
        }
        clients.set(clients.get() + 1);
        let (served, clients) = (app.clone(), clients.clone());
        app.spawn("web client", async move {
            serve(&served, stream).await;
            clients.set(clients.get() - 1);
        });
    }
}

async fn serve(app: &App, mut stream: TcpStream) {
    let sleep = |time| app.exec.sleep(time);
    let answer = async |request: Request| match request.head.path() {
        "/" => Response::ok(TEXT, disks(app).into_bytes()),
        _ => Response::error(Status::NotFound, "there is only /"),
    };
    // Whoever has connected may stay.
    let _end = http::serve(&mut stream, &sleep, &answer, &|| true).await;
}

fn disks(app: &App) -> String {
    let line = |disk: geom::disk::DiskInfo| format!("{}: {} bytes\n", disk.name, disk.media_size);
    app.geom.disks().into_iter().map(line).collect()
}
