//! Names.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use smoltcp::socket::dns::{GetQueryResultError, QueryHandle, Socket, StartQueryError};
use smoltcp::wire::{DnsQueryType, IpAddress};

use crate::NetError;
use crate::stack::Shared;

/// How long name servers may take together.
const PATIENCE: Duration = Duration::from_secs(25);
/// Questions that may be under way on one interface.
const QUESTIONS: usize = 16;

/// A question to a name server. Dropping it forgets it.
struct Question {
    shared: Rc<Shared>,
    iface: u32,
    /// It is not answered yet.
    open: Option<QueryHandle>,
}

impl Question {
    fn ask(
        shared: &Rc<Shared>,
        iface: u32,
        name: &str,
        about: DnsQueryType,
    ) -> Result<Self, NetError> {
        let mut stack = shared.stack.borrow_mut();
        let iface_of = stack.iface(iface).ok_or(NetError::Unreachable)?;
        if iface_of.questions >= QUESTIONS {
            return Err(NetError::Full);
        }
        let socket = iface_of.others.get_mut::<Socket<'_>>(iface_of.dns);
        let started = socket.start_query(iface_of.smol.context(), name, about);
        let handle = started.map_err(|error| match error {
            StartQueryError::NoFreeSlot => NetError::Full,
            StartQueryError::InvalidName | StartQueryError::NameTooLong => NetError::NoSuchName,
        })?;
        iface_of.questions += 1;
        iface_of.activate_others();
        Ok(Self {
            shared: shared.clone(),
            iface,
            open: Some(handle),
        })
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<IpAddress>, NetError>> {
        let mut stack = self.shared.stack.borrow_mut();
        let iface = stack.iface(self.iface).ok_or(NetError::Unreachable)?;
        let Some(handle) = self.open else {
            return Poll::Ready(Err(NetError::NoSuchName));
        };
        let socket = iface.others.get_mut::<Socket<'_>>(iface.dns);
        let answer = match socket.get_query_result(handle) {
            Err(GetQueryResultError::Pending) => {
                socket.register_query_waker(handle, context.waker());
                return Poll::Pending;
            }
            Err(GetQueryResultError::Failed) => Err(NetError::NoSuchName),
            Ok(addresses) => Ok(addresses.iter().copied().collect()),
        };
        iface.questions -= 1;
        self.open = None;
        Poll::Ready(answer)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let mut stack = self.shared.stack.borrow_mut();
        if let (Some(handle), Some(iface)) = (self.open, stack.iface(self.iface)) {
            iface
                .others
                .get_mut::<Socket<'_>>(iface.dns)
                .cancel_query(handle);
            iface.questions -= 1;
        }
    }
}

/// The addresses of `name`, IPv4 first.
pub(crate) async fn resolve(shared: &Rc<Shared>, name: &str) -> Result<Vec<IpAddress>, NetError> {
    if let Ok(address) = name.parse() {
        return Ok([address].into());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.chars().all(plain) {
        return Err(NetError::NoSuchName);
    }
    let iface = {
        let stack = shared.stack.borrow();
        let mut ifaces = stack.ifaces.iter();
        let knowing = ifaces.find(|iface| iface.up && !iface.addressing.dns().is_empty());
        knowing
            .map(|iface| iface.id)
            .ok_or(NetError::NoNameServer)?
    };
    let mut four = Question::ask(shared, iface, name, DnsQueryType::A)?;
    let mut six = Question::ask(shared, iface, name, DnsQueryType::Aaaa)?;
    let answers = async {
        let four = poll_fn(|context| four.poll(context)).await;
        let six = poll_fn(|context| six.poll(context)).await;
        match (four, six) {
            (Ok(mut four), Ok(six)) => {
                four.extend(six);
                Ok(four)
            }
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            (Err(error), Err(_)) => Err(error),
        }
    };
    let answered = shared.exec.timeout(PATIENCE, answers).await;
    answered.unwrap_or(Err(NetError::TimedOut))
}
