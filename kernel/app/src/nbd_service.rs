//! Serving disks over NBD.

use alloc::rc::Rc;
use alloc::vec::Vec;

use exec::{Executor, Level, Log, error, info};
use geom::Geom;
use nbd::{Export, Server};
use net::{IpEndpoint, Net, TcpStream};
use shell::settings::NbdExport;

/// NBD's port (IANA).
const PORT: u16 = 10_809;

/// Accepts NBD clients for as long as the domain lives, a task for each. How many there may be is
/// the server's to say. `room` says how many bytes the heap can take.
pub(crate) async fn serve(
    (exec, log): (Executor, Log),
    room: Rc<dyn Fn() -> usize>,
    geom: Geom,
    net: Net,
    exports: Vec<NbdExport>,
) {
    let mut listener = match net.listen(PORT) {
        Ok(listener) => listener,
        Err(why) => return error!(log, "nbd", "port {PORT}: {why}"),
    };
    for NbdExport { name, target } in &exports {
        let mark = if target.read_only { ", read-only" } else { "" };
        info!(
            log,
            "nbd", "{name}: {}{mark}, at port {PORT}", target.provider
        );
    }
    let exports = exports.into_iter().map(|export| Export {
        name: export.name,
        provider: export.target.provider,
        read_only: export.target.read_only,
    });
    let server = Server::within(&geom, &exec, exports.collect(), room);
    loop {
        let (stream, from) = listener.accept().await;
        exec.spawn(
            "nbd client",
            client(server.clone(), log.clone(), stream, from),
        );
    }
}

async fn client(server: Server, log: Log, stream: TcpStream, from: IpEndpoint) {
    let (reader, writer) = stream.split();
    let peer = net::peer::of(from.addr).into();
    if let Err(why) = server.serve(peer, reader, writer).await {
        log.limited(Level::Info, "nbd", format_args!("{from}: {why}"));
    }
}
