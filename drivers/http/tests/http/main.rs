//! Requests as clients send them, also as none should.
//!
//! Cases of bad input: H01 line ends, H02 control characters, H03 continued lines, H04 request
//! lines, H05 targets, H06 versions and methods, H07 fields, H08 hosts, H09 lengths, H10 transfer
//! codings, H11 limits, H12 slow clients, H13 expectations, H14 streams that fail.

mod answers;
mod malformed;
mod slow;
mod wire;
