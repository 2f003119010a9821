mod backend;
mod crash;
mod gc;
mod ops;
mod support;
