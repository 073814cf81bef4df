//! Agent Mesh.
fn main() {}
