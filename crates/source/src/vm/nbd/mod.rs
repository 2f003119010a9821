//! A small client of the network block device protocol (its `doc/proto.md`), over Unix sockets:
//! what QEMU exports is read in parallel, with what it knows of holes and of changes, and images
//! of any format are written through `qemu-nbd`.

mod client;
mod image;
pub(crate) mod protocol;

pub(crate) use client::Nbd;
pub(crate) use image::{NbdImage, NbdSink, dirty};
