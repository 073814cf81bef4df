//! Templates: the deterministic supply of what products are made from.
//!
//! **For**: the same template, version and parameters give the same files, byte for byte, and every
//! rendered file can be traced to the template's digest and the blueprint that filled it in.
//!
//! **Owns** no entity yet: the one shipped template lies in `config/templates/saas`, is embedded in
//! the binary, and is named by its digest in what the render skill answers. The registry of
//! templates, their versions and the three-way update come with the room's own issue.
//!
//! **Never** does it write outside the folder that it was given, and it never reads a clock, a
//! network or an environment while it renders.
