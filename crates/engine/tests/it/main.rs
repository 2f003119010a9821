mod backend;
<<<<<<< HEAD
=======

>>>>>>> ops
mod crash;
mod gc;
mod ops;
mod support;
