//! What the control nodes may hold, and what it means.

use alloc::string::String;

use hv::ShutdownReason;

/// How much of a value that is not known is repeated, in characters.
const SHOWN: usize = 40;

/// What `control/shutdown` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Nothing: the node is empty once it has been acknowledged.
    Nothing,
    /// End the domain.
    End(ShutdownReason),
    /// Be suspended, to be saved or migrated.
    Suspend,
    /// Something that is not known; its start, made printable.
    Unknown(String),
}

impl Shutdown {
    /// What the value `bytes` asks for.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        match bytes {
            b"" => Self::Nothing,
            b"poweroff" | b"halt" => Self::End(ShutdownReason::Poweroff),
            b"reboot" => Self::End(ShutdownReason::Reboot),
            b"crash" => Self::End(ShutdownReason::Crash),
            b"suspend" => Self::Suspend,
            other => Self::Unknown(start(other)),
        }
    }
}

/// What `control/sysrq` asks for: Linux's letters, as far as they mean something here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sysrq {
    /// Nothing.
    Nothing,
    /// End the domain at once: `b` reboots, `o` powers off, `c` crashes.
    End(ShutdownReason),
    /// `t`: log the trace ring and the tasks.
    Tasks,
    /// Something that is not known; its start, made printable.
    Unknown(String),
}

impl Sysrq {
    /// What the value `bytes` asks for.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        match bytes {
            // `xl sysrq` writes one letter; a former reader may have left a NUL.
            b"" | b"\0" => Self::Nothing,
            b"b" => Self::End(ShutdownReason::Reboot),
            b"o" => Self::End(ShutdownReason::Poweroff),
            b"c" => Self::End(ShutdownReason::Crash),
            b"t" => Self::Tasks,
            other => Self::Unknown(start(other)),
        }
    }
}

/// What `cpu/N/availability` asks for, which `xl vcpu-set` writes for each vCPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// That the vCPU runs.
    Online,
    /// That it does not.
    Offline,
    /// Something that is not known; its start, made printable.
    Unknown(String),
}

impl Availability {
    /// What the value `bytes` asks for.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        match bytes {
            b"online" => Self::Online,
            b"offline" => Self::Offline,
            other => Self::Unknown(start(other)),
        }
    }
}

fn start(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x05_only_whole_words_are_known() {
        let known = [
            ("poweroff", ShutdownReason::Poweroff),
            ("halt", ShutdownReason::Poweroff),
            ("reboot", ShutdownReason::Reboot),
            ("crash", ShutdownReason::Crash),
        ];
        for (word, reason) in known {
            assert_eq!(Shutdown::parse(word.as_bytes()), Shutdown::End(reason));
        }
        assert_eq!(Shutdown::parse(b""), Shutdown::Nothing);
        assert_eq!(Shutdown::parse(b"suspend"), Shutdown::Suspend);
        for odd in [
            "Poweroff",
            "poweroff\0",
            " poweroff",
            "poweroff\n",
            "s3",
            "0",
            "\u{1b}[2J",
        ] {
            assert_eq!(
                Shutdown::parse(odd.as_bytes()),
                Shutdown::Unknown(odd.into())
            );
        }
        let Shutdown::Unknown(text) = Shutdown::parse(&[0xff; 4096]) else {
            panic!("garbage is not known");
        };
        assert_eq!(text.chars().count(), SHOWN);
    }

    #[test]
    fn x05_availability_is_one_of_two_words() {
        assert_eq!(Availability::parse(b"online"), Availability::Online);
        assert_eq!(Availability::parse(b"offline"), Availability::Offline);
        for odd in ["", "Online", "online\0", "1", "\u{1b}[2J"] {
            assert_eq!(
                Availability::parse(odd.as_bytes()),
                Availability::Unknown(odd.into())
            );
        }
    }

    #[test]
    fn x05_sysrq_letters() {
        assert_eq!(Sysrq::parse(b"b"), Sysrq::End(ShutdownReason::Reboot));
        assert_eq!(Sysrq::parse(b"o"), Sysrq::End(ShutdownReason::Poweroff));
        assert_eq!(Sysrq::parse(b"c"), Sysrq::End(ShutdownReason::Crash));
        assert_eq!(Sysrq::parse(b"t"), Sysrq::Tasks);
        assert_eq!(
            (Sysrq::parse(b""), Sysrq::parse(b"\0")),
            (Sysrq::Nothing, Sysrq::Nothing)
        );
        for odd in ["B", "bb", "s", "\u{7f}"] {
            assert_eq!(Sysrq::parse(odd.as_bytes()), Sysrq::Unknown(odd.into()));
        }
    }
}
