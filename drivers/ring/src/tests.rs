//! Both ends facing each other, and peers that lie.

mod interposed;
mod model;
mod peers;
mod stream;
