//! The transmission phase: requests are taken one after the other, and carried out beside each
//! other.

use alloc::rc::Rc;
use alloc::vec;
use core::pin::pin;
use core::time::Duration;

use futures_util::{FutureExt, select_biased};

use crate::budget::Permit;
use crate::carry;
use crate::code::Code;
use crate::connection::Connection;
use crate::failure::Fault;
use crate::intake::Intake;
use crate::judge::{Verdict, judge};
use crate::read::read;
use crate::wire::{REQUEST_SIZE, Request};
use crate::write::{skip, write};

/// How long requests that are under way are awaited when the client wants to leave, or the provider
/// is lost.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves a client until it leaves. When this ends, nothing of it is to be sent but what was put
/// into its queue.
///
/// # Errors
/// Why it ended, if not by the client's own word.
pub(crate) async fn serve(client: &Rc<Connection>, intake: &Intake) -> Result<(), Fault> {
    let result = {
        let mut requests = pin!(take_requests(client, intake).fuse());
        let mut lost = pin!(client.lost().fuse());
        select_biased! {
            result = requests => result,
            () = lost => Err(Fault::Lost),
        }
    };
    // A disk that does not answer must not keep the stream.
    let settled = client.exec.timeout(DRAIN, client.settled()).await;
    result.and(settled.map_err(|_| Fault::Late))
}

async fn take_requests(client: &Rc<Connection>, intake: &Intake) -> Result<(), Fault> {
    let mut header = vec![0; REQUEST_SIZE];
    loop {
        header = intake.exact(header).await;
        let request = Request::parse(&header);
        let request = request.ok_or(Fault::Protocol("a request without its magic number"))?;
        let size = client.device().media_size();
        let verdict = judge(&request, client.terms(), size, client.structured);
        let length = match verdict {
            Verdict::Disconnect => return Ok(()),
            Verdict::End(why) => return Err(Fault::Protocol(why)),
            Verdict::Read { .. } | Verdict::Write { .. } | Verdict::WriteZeroes { .. } => {
                request.length
            }
            Verdict::Trim { .. } | Verdict::Flush | Verdict::Refuse { .. } => 0,
        };
        let permit = client.share.take(length).await;
        begin(client, (request, permit), verdict, intake).await?;
    }
}

/// Begins with a request; its payload is taken when this ends.
async fn begin(
    client: &Rc<Connection>,
    order: (Request, Permit),
    verdict: Verdict,
    intake: &Intake,
) -> Result<(), Fault> {
    let shared = client.clone();
    match verdict {
        Verdict::Write { durable } => write(client, order, durable, intake).await?,
        Verdict::Read { whole } => client.spawn(read(shared, order, whole)),
        Verdict::WriteZeroes { durable } => {
            client.spawn(carry::write_zeroes(shared, order, durable));
        }
        Verdict::Trim { durable } => client.spawn(carry::trim(shared, order, durable)),
        Verdict::Flush => client.spawn(carry::flush(shared, order)),
        Verdict::Refuse { code, payload } => {
            // A provider that is gone has no size: the client is to hear why.
            let code = client.device().error().map_or(code, |_| Code::Shutdown);
            skip(&client.exec, intake, payload).await?;
            let (request, permit) = order;
            client.answer(&request, Err(code), permit);
        }
        Verdict::Disconnect | Verdict::End(_) => {}
    }
    Ok(())
}
