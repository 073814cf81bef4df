//! Compiles every `mesh/v1/*.proto` with protox, so that no protoc is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let third_party = root.join("third_party");
    let mut sources: Vec<PathBuf> = fs::read_dir(root.join("mesh/v1"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    sources.sort();
    println!("cargo:rerun-if-changed=mesh/v1");
    println!("cargo:rerun-if-changed=third_party");

    let descriptors = protox::compile(&sources, [&root, &third_party])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("mesh_v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".mesh.v1")
        .compile_well_known_types(false)
        .compile_fds(descriptors)?;
    Ok(())
}
