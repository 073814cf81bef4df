//! `mesh skills register`: skills from files.

use std::path::{Path, PathBuf};

use clap::Args;
use mesh_proto::v1;
use mesh_skills::{
    contract::Manifest,
    manifests::{read, read_instructions},
    yaml::Mistake,
};

use crate::{
    cli::{
        Failure, clients,
        context::{Context, fresh_request_id, read_text, to_proto},
        output::clean,
    },
    manifest::{brief, whole},
};

/// The file of a folder of instructions.
const INSTRUCTIONS: &str = "SKILL.md";

/// What `mesh skills register` takes.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// A manifest file in YAML or JSON, a folder with a SKILL.md, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Check everything and register nothing
    #[arg(long)]
    validate_only: bool,
}

pub(super) async fn register(args: Register, context: Context) -> Result<(), Failure> {
    let (mut manifests, mut mistakes) = (Vec::new(), Vec::new());
    for file in &args.files {
        match manifest(file, &context)? {
            Ok(manifest) => manifests.push(manifest),
            Err(found) => mistakes.extend(found.into_iter().map(to_proto)),
        }
    }
    if !mistakes.is_empty() {
        return Err(Failure::Mistakes(mistakes));
    }
    let request = v1::RegisterSkillsRequest {
        skills: manifests.iter().map(|manifest| whole(brief(manifest), manifest)).collect(),
        request_id: fresh_request_id(),
        validate_only: args.validate_only,
    };
    let answer = clients::skills(context.link().await?).register_skills(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("RegisterSkillsResponse", &answer);
    }
    let how = if args.validate_only { "would be registered" } else { "is registered" };
    for Manifest { name, version, .. } in &manifests {
        let is_new = answer.registered.iter().any(|it| (&it.name, &it.version) == (name, version));
        let how = if is_new { how } else { "was registered before with this manifest" };
        context.out.line(format!("{}@{} {how}", clean(name), clean(version)))?;
    }
    Ok(())
}

/// What a file or a folder says, or its mistakes.
fn manifest(path: &Path, context: &Context) -> Result<Result<Manifest, Vec<Mistake>>, Failure> {
    let is_instructions = path.file_name().is_some_and(|name| name == INSTRUCTIONS);
    if !path.is_dir() && !is_instructions {
        return Ok(read(&read_text(path)?, &path.display().to_string()));
    }
    let file = if is_instructions { path.to_owned() } else { path.join(INSTRUCTIONS) };
    let text = read_text(&file)?;
    // `.` and `a/..` have names too.
    let whole = file.canonicalize().map_err(|source| Failure::File { path: file.clone(), verb: "read", source })?;
    let folder = whole.parent().unwrap_or(&whole);
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let others = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let others = others.filter(|entry| entry.file_name() != INSTRUCTIONS).count();
    let read = read_instructions(&text, &file.display().to_string(), &name);
    if others > 0 && read.is_ok() {
        let shown = folder.display();
        context.note(format!("{shown}: only the text of {INSTRUCTIONS} is taken; {others} beside it are not"))?;
    }
    Ok(read)
}
