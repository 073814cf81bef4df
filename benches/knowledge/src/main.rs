//! What the knowledge crate holds beside its peers, each command one comparison: `benches/compare lineage`.

mod lineage;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("lineage") => lineage::main(&arguments.collect::<Vec<_>>()),
        other => bail!("`{}` is no command; there is: lineage", other.unwrap_or_default()),
    }
}
