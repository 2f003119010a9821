//! Virtual machines: real guests of QEMU with a real agent, emulated.

mod bad_days;
mod capture;
mod restore;
mod support;
