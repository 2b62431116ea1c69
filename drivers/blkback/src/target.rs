//! What an export is of: the text of the backend's node `params`, pure.
//!
//! `xl block-attach` passes `target=` through unseen where the backend is a driver domain, so this
//! is where an administrator's words arrive: a provider's name, and options behind commas.

use alloc::string::String;
use core::fmt;

/// The longest name of a provider that is looked for, in bytes.
const LONGEST_NAME: usize = 128;
/// How much of a bad text an error repeats, in characters.
const SHOWN: usize = 40;

/// What is exported, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider's name in GEOM.
    pub provider: String,
    /// The frontend may not write, whatever `mode` says.
    pub read_only: bool,
}

/// Why a text names no target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// There is no name.
    Empty,
    /// The name is too long or has characters that no provider's name has.
    Name(String),
    /// An option that does not exist.
    Option(String),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("target= names no provider"),
            Self::Name(name) => write!(f, "target={name:?} is no provider's name"),
            Self::Option(option) => {
                write!(f, "target= has the unknown option {option:?}; there is: ro")
            }
        }
    }
}

impl core::error::Error for TargetError {}

impl Target {
    /// Reads `PROVIDER[,ro]`. A path of `/dev/` before the name is left out: `xl` users write it by
    /// habit.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let mut words = text.split(',').map(str::trim);
        let name = words.next().unwrap_or_default();
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        if name.is_empty() {
            return Err(TargetError::Empty);
        }
        let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
        if !printable || name.len() > LONGEST_NAME {
            return Err(TargetError::Name(start(name)));
        }
        let mut target = Self {
            provider: String::from(name),
            read_only: false,
        };
        for word in words {
            match word {
                "ro" => target.read_only = true,
                _ => return Err(TargetError::Option(start(word))),
            }
        }
        Ok(target)
    }
}

fn start(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(provider: &str, read_only: bool) -> Target {
        Target {
            provider: String::from(provider),
            read_only,
        }
    }

    #[test]
    fn a_target_is_a_name_and_options() {
        assert_eq!(Target::parse("xbd0p2"), Ok(target("xbd0p2", false)));
        assert_eq!(Target::parse("md0,ro"), Ok(target("md0", true)));
        assert_eq!(Target::parse("/dev/label/x"), Ok(target("label/x", false)));
        assert_eq!(Target::parse(" md0 , ro "), Ok(target("md0", true)));
    }

    #[test]
    fn what_is_no_target_is_said_back_and_cut() {
        assert_eq!(Target::parse(""), Err(TargetError::Empty));
        assert_eq!(Target::parse(",ro"), Err(TargetError::Empty));
        assert_eq!(
            Target::parse("md0,rw"),
            Err(TargetError::Option(String::from("rw")))
        );
        let long = "x".repeat(LONGEST_NAME + 1);
        assert_eq!(
            Target::parse(&long),
            Err(TargetError::Name("x".repeat(SHOWN)))
        );
        assert!(matches!(
            Target::parse("m\u{7}d0"),
            Err(TargetError::Name(_))
        ));
    }
}
