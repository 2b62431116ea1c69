//! Names of objects that outlive the objects.
//!
//! Every id has its own number from a counter that never goes back, so an id is its own generation:
//! one of a dead object finds nothing, and can never find a later object in its place. Below the
//! number it has the slot of its object in the [`Table`](crate::table::Table) of its kind. Dumps
//! print the number, which stays the same for as long as the object lives.

use core::fmt;

use crate::table::Id;

/// Bits of an id that name the slot: 16 million objects of a kind at a time, far more than there is
/// memory for. The number has the other 40 bits.
const SLOT_BITS: u32 = 24;

/// Defines one id type per kind of object, so that they cannot be mixed up.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u64);

        impl Id for $name {
            fn new(serial: u64, slot: usize) -> Self {
                Self((serial << SLOT_BITS) | slot as u64)
            }

            fn slot(self) -> usize {
                (self.0 & ((1 << SLOT_BITS) - 1)) as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (self.0 >> SLOT_BITS).fmt(f)
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
