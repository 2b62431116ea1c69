//! The image: a whole domain.
#![no_std]
#![no_main]

boot::image!(boot::domain::run);
