//! Disks that are spread over vCPUs, each with what is served of it: to the rest of the domain, and
//! to its clients, it is as if they were on one.

#![forbid(unsafe_code)]

mod by_hand;
mod served;
mod setting;
