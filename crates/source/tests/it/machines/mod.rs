//! Virtual machines: real guests of QEMU with a real agent, emulated.

mod bad_days;
mod capture;
mod conformance;
mod hotplug;
mod libvirt;
mod libvirt_off;
mod networks;
mod planned;
mod restore;
mod support;
mod switching;
