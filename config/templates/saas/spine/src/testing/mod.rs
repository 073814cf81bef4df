//! What a product's tests stand on: a whole site without a socket, browsers, and the walk that
//! tries every route with another tenant's identity.

mod browser;
mod site;
mod walk;
mod world;

pub use browser::{Answer, Browser};
pub use site::{PASSWORD, Program, Site};
pub use walk::{Case, Step, spine_steps, walk};
pub use world::World;
