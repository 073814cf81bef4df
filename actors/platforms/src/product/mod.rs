//! Generated SaaS Product: what the factory made, and where it answers.
//!
//! **For**: one place that tells what a product is: its address, the commit and the blueprint that it
//! was made from, the run that made it, how its tests ended, and log-ins to try it with.
//!
//! **Owns** `product/product` (the blueprint's name is its id). What runs is Runtime & Cloud's to
//! know, what was committed DevOps'; this is what was *delivered*, and moves when they announce it.
//!
//! **Never** does it hold what the product's own tenants store: that is the product's, on its own
//! disk.

pub mod machines;
pub mod messages;
pub mod reactions;
