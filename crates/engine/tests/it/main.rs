#[cfg(test)]
mod backend;
