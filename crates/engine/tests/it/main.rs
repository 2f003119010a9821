#[cfg(test)]
mod backend;
#[cfg(test)]
mod ops;
