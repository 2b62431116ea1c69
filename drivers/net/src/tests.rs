//! Tests over a hub in memory: real stacks on both sides.

mod acknowledgements;
mod attacks;
mod dhcp;
mod frames;
mod limits;
mod neighbors;
mod peer;
mod tcp;
mod world;
