//! What may happen to products.

pub mod product;
