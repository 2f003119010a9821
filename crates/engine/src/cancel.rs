//! See [`tintype_model::cancel`].

pub use tintype_model::cancel::Cancel;
