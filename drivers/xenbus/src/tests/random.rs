//! A daemon that answers, refuses, lies and scribbles by chance.
//!
//! Oracle: the client never panics; what it sends is always whole messages, no two of them in
//! flight under one id and never more than eight; every task gets exactly what was answered to its
//! own request, or an error that the daemon caused; nobody waits once the connection is given up.

use std::collections::HashMap;
use std::time::Duration;

use xen_abi::io::xs_wire::kind;

use super::daemon::{Rig, Slot};
use crate::error::StoreError;
use crate::wire::Message;

/// A small generator (xorshift64*), so that a failing seed replays.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most + 1))
            .map(|_| self.below(256) as u8)
            .collect()
    }
}

struct Reader {
    slot: Slot<Result<Vec<u8>, StoreError>>,
    /// What the daemon answered to this very request.
    answered: Option<Result<Vec<u8>, StoreError>>,
}

struct Play {
    rig: Rig,
    chance: Chance,
    readers: Vec<Reader>,
    waiting: HashMap<u32, Message>,
    broken: bool,
}

impl Play {
    fn ask(&mut self) {
        let path = format!("r{}", self.readers.len());
        let store = self.rig.store.clone();
        let slot = self.rig.start(async move { store.read_bytes(&path).await });
        self.readers.push(Reader {
            slot,
            answered: None,
        });
    }

    fn collect(&mut self) {
        for request in self.rig.requests() {
            assert_eq!(request.kind, kind::READ);
            assert!(request.payload.starts_with(b"r") && request.payload.ends_with(b"\0"));
            let doubled = self.waiting.insert(request.request, request).is_some();
            assert!(!doubled, "two requests in flight under one id");
        }
        assert!(self.waiting.len() <= 8);
    }

    fn pick(&mut self) -> Option<Message> {
        let mut ids: Vec<_> = self.waiting.keys().copied().collect();
        ids.sort_unstable();
        let count = ids.len() as u64;
        let id = (count != 0).then(|| ids[self.chance.below(count) as usize])?;
        self.waiting.get(&id).cloned()
    }

    /// Sends a message, and notes what it must bring to whom.
    fn answer(&mut self, message: &Message) {
        if message.kind != kind::WATCH_EVENT
            && let Some(request) = self.waiting.remove(&message.request)
        {
            let number = String::from_utf8(request.payload[1..request.payload.len() - 1].into());
            let number: usize = number.unwrap().parse().unwrap();
            let name = message
                .payload
                .strip_suffix(b"\0")
                .unwrap_or(&message.payload);
            self.readers[number].answered = Some(match message.kind {
                kind::READ => Ok(message.payload.clone()),
                kind::ERROR => Err(StoreError::from_name(name)),
                _ => Err(StoreError::BadReply),
            });
        }
        self.send(&message.encode());
    }

    fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.rig.send(bytes) {
            self.rig.lose(error);
            self.broken = true;
        }
    }

    fn step(&mut self) {
        match self.chance.below(12) {
            0..4 => self.ask(),
            4..8 => {
                if let Some(mut answer) = self.pick() {
                    answer.payload = self.chance.bytes(40);
                    self.answer(&answer);
                }
            }
            8 => {
                if let Some(mut answer) = self.pick() {
                    answer.kind = [kind::ERROR, kind::WRITE, 0, 99][self.chance.below(4) as usize];
                    answer.payload =
                        [&b"ENOENT\0"[..], b"", b"EIO"][self.chance.below(3) as usize].to_vec();
                    self.answer(&answer);
                }
            }
            9 => {
                let payload = self.chance.bytes(20);
                let request = self.chance.below(40) as u32;
                self.answer(&Message {
                    kind: kind::READ,
                    request,
                    transaction: 3,
                    payload,
                });
            }
            10 => {
                let token = self.chance.below(4);
                let payload = format!("path\0{token}\0").into_bytes();
                let kind = kind::WATCH_EVENT;
                self.answer(&Message {
                    kind,
                    request: 0,
                    transaction: 0,
                    payload,
                });
            }
            _ if self.chance.below(20) == 0 => {
                // Noise: a header with a length of four random bytes ends the connection at once.
                let mut noise = self.chance.bytes(64);
                noise.extend([0xff; 16]);
                self.send(&noise);
                // Whatever it was, the daemon has lost the thread: it does not speak again.
                if !self.broken {
                    self.rig.lose(crate::error::ProtocolError::Closed);
                    self.broken = true;
                }
            }
            _ => self.rig.pass(Duration::from_millis(1)),
        }
    }

    fn check(&self) {
        for reader in &self.readers {
            let got = reader.slot.borrow();
            match (&*got, &reader.answered) {
                (Some(Err(StoreError::Lost(_))), _) => assert!(self.broken),
                (Some(got), Some(answered)) => assert_eq!(got, answered),
                (Some(got), None) => panic!("{got:?} was never answered"),
                (None, answered) => assert!(answered.is_none() && !self.broken),
            }
        }
    }
}

#[test]
fn f24_a_hundred_thousand_steps_of_a_daemon_out_of_its_mind() {
    for seed in 1..=2000 {
        let mut play = Play {
            rig: Rig::starting_at((seed as u32).wrapping_mul(0x0101_0101)),
            chance: Chance(seed),
            readers: Vec::new(),
            waiting: HashMap::new(),
            broken: false,
        };
        for _ in 0..50 {
            if play.broken {
                break;
            }
            play.collect();
            play.step();
        }
        if !play.broken {
            play.rig.turn().unwrap();
        }
        play.check();
    }
}
