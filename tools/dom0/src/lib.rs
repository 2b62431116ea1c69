//! Programs that run in the lab dom0.
