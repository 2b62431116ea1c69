//! Accepts clients.

use alloc::rc::Rc;
use alloc::string::String;

use embedded_io_async::Write;
use exec::{error, info};
use futures_util::FutureExt;
use http::End;
use hv::Hypervisor;
use net::{IpAddress, Net, TcpStream};
use shell::command::Parts;

use crate::admission::Place;
use crate::collect::Page;
use crate::routes;

/// For one client too many: it may come again.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";

/// Serves the status page at TCP `port`, for as long as the domain lives: to be spawned as a task.
/// With a `token`, whoever has it may run commands of the shell.
pub async fn serve<H: Hypervisor>(parts: Parts<H>, net: Net, port: u16, token: Option<String>) {
    accept(Rc::new(Page::new(parts, net, port, token))).await;
}

async fn accept(page: Rc<Page>) {
    let mut listener = match page.net.listen(page.port) {
        Ok(listener) => listener,
        Err(why) => return error!(page.log, "page", "port {}: {why}", page.port),
    };
    let commands = if page.token.is_some() {
        "with"
    } else {
        "without"
    };
    info!(
        page.log,
        "page", "at port {}, {commands} commands", page.port
    );
    loop {
        let (mut stream, from) = listener.accept().await;
        match page.clients.admit(from.addr) {
            Some(place) => {
                let served = client(page.clone(), stream, from.addr, place);
                page.exec.spawn("page client", served);
            }
            // A connection that has just begun takes so little at once, or it goes without.
            None => drop(stream.write(FULL).now_or_never()),
        }
    }
}

async fn client(page: Rc<Page>, mut stream: TcpStream, from: IpAddress, _place: Place) {
    let sleep = |time| page.exec.sleep(time);
    let answer = async |request| routes::answer(&page, request, from).await;
    let stays = || page.clients.is_roomy();
    match http::serve(&mut stream, &sleep, &answer, &stays).await {
        End::Broken => stream.abort(),
        // It closes in the background, and within a bounded time.
        End::Closed | End::Refused(_) => drop(stream),
    }
}
