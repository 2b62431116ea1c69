//! What an export is of: the text of the backend's node `params`, pure.
//!
//! `xl block-attach` passes `target=` through unseen where the backend is a driver domain, so this
//! is where an administrator's words arrive: a provider's name, and options behind commas. Where
//! exports are [declared](Declarations), it is the name of one of these.

use alloc::string::String;
use alloc::vec::Vec;
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
    /// Exports are declared, and it is none of them.
    Undeclared(String),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("target= names no provider"),
            Self::Name(name) => write!(f, "target={name:?} is no provider's name"),
            Self::Option(option) => {
                write!(f, "target= has the unknown option {option:?}; there is: ro")
            }
            Self::Undeclared(name) => {
                write!(
                    f,
                    "target={name:?} is none of the exports that are declared here"
                )
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

/// What may be exported: everything, or only what the domain's administrator has declared, by the
/// names given there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declarations(Option<Vec<(String, Target)>>);

impl Declarations {
    /// Declares an export: `NAME:PROVIDER[,ro]`. The name is letters, digits, `-`, `_` and `.`.
    /// From the first call on nothing else is exported, even if what is declared is not of this
    /// form, or its name was declared already: then it is left out, and `None` is returned.
    #[must_use]
    pub fn declare(&mut self, text: &str) -> Option<()> {
        let all = self.0.get_or_insert_default();
        let (name, target) = text.split_once(':')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
            return None;
        }
        if all.iter().any(|(known, _)| known == name) {
            return None;
        }
        all.push((String::from(name), Target::parse(target).ok()?));
        Some(())
    }

    /// Whether there are any.
    #[must_use]
    pub fn are_there(&self) -> bool {
        self.0.is_some()
    }

    /// What a toolstack's target is here. Read-only is what either of the two says is.
    ///
    /// # Errors
    /// [`TargetError::Undeclared`] if there are declarations and none has this name.
    pub fn resolve(&self, asked: Target) -> Result<Target, TargetError> {
        let Some(all) = &self.0 else {
            return Ok(asked);
        };
        match all.iter().find(|(name, _)| *name == asked.provider) {
            Some((_, target)) => Ok(Target {
                provider: target.provider.clone(),
                read_only: target.read_only || asked.read_only,
            }),
            None => Err(TargetError::Undeclared(start(&asked.provider))),
        }
    }
}

/// The names, separated by commas.
impl fmt::Display for Declarations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, _) in self.0.iter().flatten() {
            write!(f, "{separator}{name}")?;
            separator = ", ";
        }
        Ok(())
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

    fn resolved(declarations: &Declarations, text: &str) -> Result<Target, TargetError> {
        Target::parse(text).and_then(|asked| declarations.resolve(asked))
    }

    #[test]
    fn with_declarations_there_is_nothing_else() {
        let mut declarations = Declarations::default();
        assert_eq!(resolved(&declarations, "xbd0"), Ok(target("xbd0", false)));
        for text in ["root:/dev/xbd1p1", "swap:md0,ro"] {
            assert_eq!(declarations.declare(text), Some(()), "{text}");
        }
        assert_eq!(
            declarations.declare("swap:md0"),
            None,
            "a name is one thing"
        );
        assert_eq!(resolved(&declarations, "root"), Ok(target("xbd1p1", false)));
        assert_eq!(
            resolved(&declarations, "root,ro"),
            Ok(target("xbd1p1", true))
        );
        assert_eq!(resolved(&declarations, "swap"), Ok(target("md0", true)));
        assert_eq!(declarations.to_string(), "root, swap");
        let other = String::from("xbd1p1");
        assert_eq!(
            resolved(&declarations, "xbd1p1"),
            Err(TargetError::Undeclared(other))
        );
    }

    #[test]
    fn what_is_no_declaration_lets_nothing_be_exported() {
        let long = "x".repeat(LONGEST_NAME + 1) + ":md0";
        for text in [
            "", "md0", ":md0", "a:", "a b:md0", "a:md0,rw", "a:,ro", &long,
        ] {
            let mut declarations = Declarations::default();
            assert_eq!(declarations.declare(text), None, "{text}");
            assert_eq!(declarations.to_string(), "");
            for asked in ["md0", "a"] {
                let error = TargetError::Undeclared(String::from(asked));
                assert_eq!(resolved(&declarations, asked), Err(error), "{text}");
            }
        }
    }
}
