//! From a driver back to the maker of a request.

use core::task::Waker;

use crate::graph::Graph;
use crate::id::RequestId;
use crate::inbox::{Completion, Inbox};
use crate::mesh::Mesh;

impl Mesh {
    /// Works on completions, at most so many. `false` if there are none.
    #[inline]
    pub(crate) fn serve_completions(&self, most: u32) -> bool {
        let mut left = most;
        loop {
            let waker = self.graph.borrow_mut().serve_inbox(&self.inbox, &mut left);
            match waker {
                Some(waker) => waker.wake(),
                None => return left < most,
            }
        }
    }
}

impl Graph {
    /// Works on completions until a maker is to be woken, or none of `left` are left.
    #[inline]
    fn serve_inbox(&mut self, inbox: &Inbox, left: &mut u32) -> Option<Waker> {
        let mut waker = None;
        while *left > 0 && waker.is_none() {
            let Some(completion) = inbox.pop() else {
                break;
            };
            *left -= 1;
            waker = self.completed(completion);
        }
        if core::mem::take(&mut self.stirred) || *left == 0 {
            inbox.ring();
        }
        waker
    }

    /// Notes that a piece is back. Returns the waker of a maker whose request has ended.
    #[inline]
    fn completed(&mut self, completion: Completion) -> Option<Waker> {
        let Completion {
            request: id,
            result,
            dropped,
        } = completion;
        self.dropped_bios += u64::from(dropped);
        let request = self.requests.get_mut(id)?;
        let disk_id = request.disk;
        let disk = self.disks.get_mut(disk_id)?;
        request.in_flight -= 1;
        disk.in_flight -= 1;
        if let Err(errno) = result {
            if request.waiting {
                disk.queue.retain(|rest| rest.request != id);
            }
            request.fail(errno);
        }
        if !disk.queue.is_empty() && !disk.sending {
            disk.sending = true;
            self.stirred = true;
            self.sending.push_back(disk_id);
        }
        let (over, leaving) = (request.is_over(), !disk.is_live());
        if over && disk.barrier == Some(id) {
            disk.barrier = None;
        }
        let waker = if over { self.end_request(id) } else { None };
        if leaving {
            self.stirred = true;
            self.advance(disk_id);
        }
        waker
    }

    /// Ends a request that is over: tells its maker, and its consumer if that waits to close.
    #[inline]
    pub(crate) fn end_request(&mut self, id: RequestId) -> Option<Waker> {
        let request = self.requests.remove(id)?;
        if let Some(consumer) = self.consumers.get_mut(request.consumer) {
            consumer.in_flight -= 1;
            let (provider, closing) = (consumer.provider, consumer.closing);
            self.stirred |= consumer.tastes | closing;
            if consumer.tastes {
                self.post(provider, |pending| pending.step = true);
            }
            if closing {
                self.finish_close(request.consumer);
            }
        }
        request.maker.end(request.error.map_or(Ok(()), Err))
    }
}
