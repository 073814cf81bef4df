//! Compiles the whole contract with protox, so that no protoc is needed.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let third_party = root.join("third_party");
    println!("cargo:rerun-if-changed=mesh/v1");
    println!("cargo:rerun-if-changed=third_party");

    // The error details of google.rpc are compiled although no file of ours imports all of them:
    // so a client that knows the contract by reflection alone can read them.
    let mut sources = protos(&root.join("mesh/v1"))?;
    sources.extend(protos(&third_party.join("google/rpc"))?);
    let descriptors = protox::compile(&sources, [&third_party, &root])?;

    // What traces are told in: no part of our contract, so not in its descriptors.
    let traces = third_party.join("opentelemetry/proto/collector/trace/v1/trace_service.proto");
    let traces = protox::compile([traces], [&third_party])?;
    tonic_prost_build::configure().compile_fds(traces)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("mesh_v1.bin"), descriptors.encode_to_vec())?;
    // Maps in the order of their keys: the same message has the same bytes, and so the same digest.
    tonic_prost_build::configure()
        .bytes(".mesh.v1")
        .btree_map(".mesh.v1")
        .compile_well_known_types(false)
        .compile_fds(descriptors)?;
    Ok(())
}

fn protos(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
