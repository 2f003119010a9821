//! The network block device protocol (its `doc/proto.md`) over Unix sockets, as far as it is needed
//! here. The client: what QEMU exports is read in parallel, with what it knows of holes and of
//! changes, and images of any format are written through `qemu-nbd`. The server: images that a
//! snapshot holds, read only, for whoever can make something of them.

mod client;
mod image;
pub(crate) mod protocol;
pub(crate) mod server;

pub(crate) use client::Nbd;
pub(crate) use image::{NbdImage, NbdSink, dirty};
