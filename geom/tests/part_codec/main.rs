//! PART's codec against disks with every kind of damage. The bytes are made here, by hand, or come
//! from the real tools (`vectors/`); nothing is encoded by the code under test.

mod class;
mod disk;
mod ebr;
mod gpt_header;
mod gpt_table;
mod mbr;
mod media;
mod property;
mod recover;
mod vectors;
