//! A block frontend of ours in dom0, told what to do: `tools/dom0/src/frontend`, whose `order` says
//! what it takes.

use anyhow::{Context, Result};
use lab::Nest;

use super::peer::Peer;

/// The process in dom0. Dropped, it is killed, and its nodes go a little later.
pub(super) struct Frontend(Peer);

/// A response, as the frontend found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) queue: u64,
    pub(super) id: u64,
    pub(super) operation: u64,
    pub(super) status: i64,
    /// Whether what no field has is zero.
    pub(super) is_clean: bool,
}

impl Frontend {
    /// Starts it for the device `vdev`, whose backend is in the domain `backend`. `options` are the
    /// program's own.
    pub(super) fn start(nest: &Nest, backend: u32, vdev: u32, options: &str) -> Result<Self> {
        let line = format!("exec /run/lab/frontend --backend {backend} --vdev {vdev} {options}");
        Ok(Self(Peer::start(nest, &line)?))
    }

    /// Gives an order; returns what it says once it has obeyed.
    pub(super) fn obey(&mut self, order: &str) -> Result<String> {
        self.0.obey(order)
    }

    /// Gives orders, one a line or between semicolons, that have nothing to say.
    pub(super) fn obey_all(&mut self, orders: &str) -> Result<()> {
        let mut orders = orders.split(['\n', ';']).map(str::trim);
        orders.try_for_each(|order| self.obey(order).map(drop))
    }

    /// Gives an order that cannot be obeyed; returns why.
    pub(super) fn refuses(&mut self, order: &str) -> Result<String> {
        self.0.refuses(order)
    }

    /// Waits for all responses.
    pub(super) fn take(&mut self) -> Result<Vec<Response>> {
        responses(&self.obey("take")?)
    }

    /// Sends a request and returns its only response.
    pub(super) fn ask(&mut self, request: &str) -> Result<Response> {
        self.obey(&format!("send {request}"))?;
        let said = self.take().with_context(|| request.to_owned())?;
        let [response] = said[..] else {
            anyhow::bail!("{request}: {said:?}");
        };
        Ok(response)
    }

    /// Ends it, after all nodes are gone.
    pub(super) fn end(self) -> Result<()> {
        self.0.end()
    }
}

/// The responses among what it said.
fn responses(said: &str) -> Result<Vec<Response>> {
    let lines = said
        .lines()
        .filter_map(|line| line.strip_prefix("response "));
    let responses = lines.map(|line| {
        let value = |name: &str| {
            let mut words = line.split(' ').filter_map(|word| word.split_once('='));
            words.find_map(|(key, value)| (key == name).then_some(value))
        };
        Some(Response {
            queue: value("queue")?.parse().ok()?,
            id: value("id")?.parse().ok()?,
            operation: value("operation")?.parse().ok()?,
            status: value("status")?.parse().ok()?,
            is_clean: value("padding")? == "zero",
        })
    });
    let all: Option<Vec<Response>> = responses.collect();
    all.with_context(|| said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_found() {
        let said = "response queue=1 id=18446744073709551615 operation=6 status=-2 padding=kept\n\
                    response queue=0 id=7 operation=0 status=0 padding=zero\n\
                    taken=2 outstanding=0";
        let found = responses(said).unwrap();
        assert_eq!(
            found[0],
            Response {
                queue: 1,
                id: u64::MAX,
                operation: 6,
                status: -2,
                is_clean: false
            }
        );
        assert!(found[1].is_clean && found.len() == 2);
        assert!(responses("response queue=1").is_err());
    }
}
