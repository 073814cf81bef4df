//! `mesh skills register`: skills and MCP servers from files.

use std::path::{Path, PathBuf};

use clap::Args;
use mesh_proto::v1;
use mesh_skills::{
    contract::{Manifest, McpDeclaration},
    manifests::{is_server, read, read_instructions, read_server},
    yaml::Mistake,
};

use super::effect;
use crate::{
    cli::{
        Failure, clients,
        context::{Context, fresh_request_id, read_text, to_proto},
        output::clean,
    },
    manifest::{brief, server, whole},
};

/// The file of a folder of instructions.
const INSTRUCTIONS: &str = "SKILL.md";

/// What `mesh skills register` takes.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// A manifest or an MCP server in YAML or JSON, a folder with a SKILL.md, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Check everything and register nothing
    #[arg(long)]
    validate_only: bool,
}

/// What a file says.
enum Read {
    Skill(Box<Manifest>),
    Server(Box<McpDeclaration>),
}

pub(super) async fn register(args: Register, context: Context) -> Result<(), Failure> {
    let (mut manifests, mut servers, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
    for file in &args.files {
        match read_one(file, &context)? {
            Ok(Read::Skill(manifest)) => manifests.push(*manifest),
            Ok(Read::Server(declared)) => servers.push(server(&declared)),
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
        mcp_servers: servers,
    };
    let answer = clients::skills(context.link().await?).register_skills(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("RegisterSkillsResponse", &answer);
    }
    let how = if args.validate_only { "would be registered" } else { "is registered" };
    let own = manifests.iter().map(|Manifest { name, version, .. }| (name, version));
    for (name, version) in own.chain(answer.tools.iter().map(|tool| (&tool.name, &tool.version))) {
        let is_new = answer.registered.iter().any(|it| (&it.name, &it.version) == (name, version));
        let how = if is_new { how } else { "was registered before with this manifest" };
        context.out.line(format!("{}@{} {how}", clean(name), clean(version)))?;
        for line in answer.tools.iter().filter(|tool| (&tool.name, &tool.version) == (name, version)).flat_map(tool) {
            context.out.line(line)?;
        }
    }
    if let Some(pinned) = answer.tools.iter().find_map(|tool| tool.mcp.as_ref()) {
        context.note(format!("the whole list is {}; `pin` in the file holds it to that", pinned.list_pin))?;
    }
    Ok(())
}

/// What is approved with a tool: what the server says of it, and what it is held to.
fn tool(skill: &v1::Skill) -> Vec<String> {
    let Some(tool) = &skill.mcp else { return Vec::new() };
    let mut lines: Vec<String> = skill.description.lines().map(|line| format!("    says   {}", clean(line))).collect();
    if !tool.hints.is_empty() {
        lines.push(format!("    hints  {} (not believed)", clean(&tool.hints.join(", "))));
    }
    lines.push(format!("    effect {}, needs {}", effect(skill), skill.permissions.join(", ")));
    lines.push(format!("    pin    {} of the tool `{}`", tool.pin, clean(&tool.tool)));
    lines
}

/// What a file or a folder says, or its mistakes.
fn read_one(path: &Path, context: &Context) -> Result<Result<Read, Vec<Mistake>>, Failure> {
    let is_instructions = path.file_name().is_some_and(|name| name == INSTRUCTIONS);
    if !path.is_dir() && !is_instructions {
        let (text, file) = (read_text(path)?, path.display().to_string());
        if is_server(&text) {
            return Ok(read_server(&text, &file).map(|declared| Read::Server(Box::new(declared))));
        }
        return Ok(read(&text, &file).map(|manifest| Read::Skill(Box::new(manifest))));
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
    Ok(read.map(|manifest| Read::Skill(Box::new(manifest))))
}
