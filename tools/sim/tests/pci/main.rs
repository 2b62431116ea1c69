//! The PCI frontend, with a backend that is honest and with one that is not.

#![forbid(unsafe_code)]

mod coming;
mod function;
mod hostile;
mod setting;
