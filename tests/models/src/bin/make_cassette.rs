//! `make_cassette MESH`: records the shipped cassette anew.
//!
//! The answers in `config/agents/cassettes/by-hand` were written by hand. They are served by the scripted model
//! server to the given binary, which makes a product of `config/blueprints/library.yaml`, drafts a blueprint from an
//! intent, and records what it asks and is answered. Run it from the repository's root when a test says that the cassette no longer fits.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use mesh_model_server::{Answer, Script, Server};
use serde_json::json;

/// The answers, a folder for each conversation.
const BY_HAND: &str = "config/agents/cassettes/by-hand";
/// The cassette.
const CASSETTE: &str = "config/agents/cassettes/product";
/// What is asked of the model.
const LIBRARY: &[&str] = &["run", "config/blueprints/library.yaml"];
const INTENT: &[&str] = &["run", "--intent", "a helpdesk for dentists"];
/// The model that the shipped configuration asks.
const MODEL: &str = "written-by-hand";

type Failed = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let Some(mesh) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err("the binary is expected: make_cassette MESH".into());
    };
    let server = Server::start().await?;
    for folder in fs::read_dir(BY_HAND)? {
        server.script(script(&folder?.path())?);
    }
    let data = std::env::temp_dir().join(format!("mesh-cassette-{}", std::process::id()));
    let new = data.join("cassette");
    for (mode, args) in [("record", LIBRARY), ("record-missing", INTENT)] {
        let status = Command::new(&mesh)
            .args(args)
            .args(["--exit", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .envs([("OPENAI_BASE_URL", server.url().as_str()), ("OPENAI_MODEL", MODEL)])
            .envs([("MESH_MODELS_CASSETTE_MODE", mode), ("MESH_MODELS_CASSETTE", &*new.to_string_lossy())])
            .status()?;
        if !status.success() {
            return Err(format!("`{}` failed: {status}; its data is in {}", args.join(" "), data.display()).into());
        }
    }
    replace(&new, Path::new(CASSETTE))?;
    fs::remove_dir_all(&data)?;
    println!("recorded {} answers; build mesh again, for it carries the cassette", server.seen().len());
    Ok(())
}

/// The answers of one conversation: `1.function` and `1.test`, or `1.blueprint`; `2.…`.
fn script(folder: &Path) -> Result<Script, Failed> {
    let when = fs::read_to_string(folder.join("when"))?.trim().to_owned();
    let mut answers = Vec::new();
    for number in 1.. {
        let part = |name: &str| fs::read_to_string(folder.join(format!("{number}.{name}")));
        let given = match (part("function"), part("blueprint")) {
            (Ok(function), _) => json!({"function": function, "test": part("test")?}),
            (_, Ok(blueprint)) => json!({"blueprint": blueprint}),
            _ => break,
        };
        let text = given.to_string();
        answers.push(Answer { text, pieces: 4, ..Answer::default() });
    }
    Ok(Script { when, answers, ..Script::default() })
}

/// Moves the new cassette's files to where the old one's are.
fn replace(new: &Path, old: &Path) -> Result<(), Failed> {
    for file in fs::read_dir(old)? {
        fs::remove_file(file?.path())?;
    }
    for file in fs::read_dir(new)? {
        let file = file?;
        fs::copy(file.path(), old.join(file.file_name()))?;
    }
    Ok(())
}
