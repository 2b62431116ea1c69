//! What every backend does, whatever it serves: goes through the states of xenbus with its frontend
//! as Linux's do (`xenbus.c`), or by a script, and serves meanwhile.
//!
//! - [`bus`]: its directory and the frontend's

pub(crate) mod bus;

use crate::{Next, Xen};
use bus::{Bus, CLOSED, CLOSING, CONNECTED, INIT_WAIT, INITIALISING, Key, Script};

/// A backend of one kind: what it has to say and to do at each step.
pub(crate) trait BackSide {
    /// The state from which on its frontend has published what it needs to connect.
    const PUBLISHED: u32;

    /// Its place on xenbus, and what malice has it do there.
    fn bus(&mut self) -> (&mut Bus, Script<'_>);

    /// What stands in its directory before InitWait.
    fn offer(&self) -> Vec<Key>;

    /// What stands there together with Connected.
    fn properties(&self) -> Vec<Key>;

    /// Whether the toolstack has made the device anew: then it is another one, not this one's.
    fn is_made_anew(&self) -> bool {
        false
    }

    /// Maps and binds what the frontend has published.
    fn connect(&mut self, xen: &Xen) -> Result<(), String>;

    /// It could not connect.
    fn refused(&mut self, _xen: &Xen, _why: &str) {}

    /// Whether it may unmap and close.
    fn may_disconnect(&self) -> bool {
        true
    }

    /// Unmaps and closes.
    fn drop_connection(&mut self, xen: &Xen);

    /// Works on what is mapped.
    fn serve(&mut self, xen: &Xen) -> Next;

    /// One turn of the backend.
    fn work(&mut self, xen: &Xen) -> Next {
        let (bus, script) = self.bus();
        if bus.frozen {
            return Next::Wait;
        }
        bus.drain();
        let scripted = bus.follow(xen, &script);
        if scripted.is_none() {
            self.look(xen);
        }
        let next = sooner(scripted.unwrap_or(Next::Wait), self.serve(xen));
        if scripted.is_none() {
            self.look(xen);
        }
        let (bus, _) = self.bus();
        if bus.finished {
            bus.unwatch();
            return Next::Finished;
        }
        next
    }

    /// Goes on with the handshake, if there may be something new.
    fn look(&mut self, xen: &Xen) {
        let (bus, _) = self.bus();
        if std::mem::take(&mut bus.look) {
            self.handshake(xen);
        }
    }

    /// Goes on as far as the frontend's state allows.
    fn handshake(&mut self, xen: &Xen) {
        if self.bus().0.state == INITIALISING {
            self.invite();
        } else if self.is_made_anew() {
            self.drop_connection(xen);
            self.bus().0.finished = true;
            return;
        }
        let (bus, script) = self.bus();
        let (state, never_map) = (bus.state, script.never_map);
        match bus.frontend_state() {
            Some(INITIALISING) if state == CLOSED && bus.is_online() => self.invite(),
            Some(front) if state == INIT_WAIT && (Self::PUBLISHED..=CONNECTED).contains(&front) => {
                let connected = if never_map { Ok(()) } else { self.connect(xen) };
                match connected {
                    Ok(()) => self.announce(),
                    Err(why) => {
                        self.refused(xen, &why);
                        self.fail(&why);
                    }
                }
            }
            Some(CLOSING) if state < CLOSING => self.switch(CLOSING),
            Some(CLOSED) | None if state != CLOSED && self.may_disconnect() => {
                self.drop_connection(xen);
                self.switch(CLOSED);
            }
            _ => {}
        }
        // A device that is offline and closed is taken away.
        let (bus, _) = self.bus();
        bus.finished |= bus.state == CLOSED && !bus.is_online();
    }

    /// Begins: says what there is.
    fn invite(&mut self) {
        let offer = self.offer();
        self.publish(&offer);
        self.switch(INIT_WAIT);
    }

    /// Says that it is connected, and what the frontend has to know then.
    fn announce(&mut self) {
        let mut keys = self.properties();
        keys.push(("state", Some(CONNECTED.to_string())));
        self.bus().0.state = CONNECTED;
        self.publish(&keys);
    }

    /// Gives the device up, and says why where the toolstack looks.
    fn fail(&mut self, why: &str) {
        self.bus().0.report(why);
        self.switch(CLOSING);
    }

    /// Writes another state.
    fn switch(&mut self, state: u32) {
        let (bus, script) = self.bus();
        if bus.state != state {
            bus.switch(state, script.keys);
        }
    }

    /// Writes keys of its directory together.
    fn publish(&mut self, keys: &[Key]) {
        let (bus, script) = self.bus();
        bus.publish(keys, script.keys);
    }
}

/// The one of two waits that ends first.
pub(crate) fn sooner(one: Next, other: Next) -> Next {
    match (one, other) {
        (Next::Again, _) | (_, Next::Again) => Next::Again,
        (Next::At(one), Next::At(other)) => Next::At(one.min(other)),
        (Next::At(at), _) | (_, Next::At(at)) => Next::At(at),
        _ => Next::Wait,
    }
}
