//! Names of objects that outlive the objects.
//!
//! Every id is taken from one counter that never goes back, so an id is its own generation: one of
//! a dead object finds nothing, and can never find a later object in its place. Ids are what dumps
//! print, and they stay the same for as long as the object lives.

use core::fmt;

/// Defines one id type per kind of object, so that they cannot be mixed up.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A geom: one instance of a class.
    GeomId
}
id! {
    /// A provider: what can be opened.
    ProviderId
}
id! {
    /// A consumer: the attachment of a geom, or of an application, to a provider.
    ConsumerId
}
id! {
    /// A disk as its driver created it.
    DiskId
}
id! {
    /// A request on its way.
    RequestId
}
