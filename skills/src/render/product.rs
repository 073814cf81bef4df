//! Which files a product has, and from which of the template's each comes.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use super::context::{self, EntityContext};
use super::{Error, Files, demo, format, words};
use crate::blueprint::Blueprint;

/// The ending of files that are rendered.
const RENDERED: &str = ".j2";

/// What a rendered file says when there is nothing for it to say.
const SKIPPED: &str = "\u{0}skip\u{0}";

/// The files of a product.
pub(super) fn files(template: &Files, blueprint: &Blueprint, source: &str) -> Result<Files, Error> {
    let environment = environment()?;
    let common = context::common(blueprint);
    let entities = context::entities(blueprint);
    let mut files = Files::new();
    for (path, content) in template {
        if path == "Cargo.lock" || path.starts_with("spine/") {
            files.insert(path.clone(), content.clone());
        } else if let Some(rest) = path.strip_prefix("domain/root/") {
            let context = Value::from(Serde(&common));
            add(&environment, &mut files, rest, path, content, &context)?;
        } else if let Some(rest) = path.strip_prefix("domain/entity/") {
            for entity in &entities {
                let target = format!("app/src/{}/{rest}", entity.name);
                add(&environment, &mut files, &target, path, content, &of(&common, entity))?;
            }
        } else if path == "domain/entity_test/entity.rs.j2" {
            for entity in &entities {
                let target = format!("app/tests/product/{}.rs{RENDERED}", entity.name);
                add(&environment, &mut files, &target, path, content, &of(&common, entity))?;
            }
        }
    }
    if !files.contains_key("Cargo.lock") {
        return Err(Error::Missing("Cargo.lock"));
    }
    files.insert("blueprint.yaml".to_owned(), source.as_bytes().to_vec());
    files.insert("demo.json".to_owned(), demo::file(blueprint));
    Ok(files)
}

/// The files of a product without a domain.
pub(super) fn seed(template: &Files) -> Files {
    let mut files = Files::new();
    for (path, content) in template {
        let target = if path == "Cargo.lock" || path.starts_with("spine/") {
            Some(path.as_str())
        } else if let Some(rest) = path.strip_prefix("domain/root/") {
            // The manifests are the same for all products; the rest is theirs.
            let shared = ["Cargo.toml", "app/Cargo.toml", "clippy.toml", ".gitignore"];
            Some(rest).filter(|rest| shared.contains(rest))
        } else {
            path.strip_prefix("seed/")
        };
        if let Some(target) = target {
            files.insert(target.to_owned(), content.clone());
        }
    }
    files
}

fn of(common: &context::Common, entity: &EntityContext) -> Value {
    minijinja::context! {
        e => Value::from(Serde(entity)),
        ..Value::from(Serde(common))
    }
}

fn add(
    environment: &Environment<'_>,
    files: &mut Files,
    target: &str,
    path: &str,
    content: &[u8],
    context: &Value,
) -> Result<(), Error> {
    let Some(target) = target.strip_suffix(RENDERED) else {
        files.insert(target.to_owned(), content.to_vec());
        return Ok(());
    };
    let rendered = rendered(environment, path, content, context)?;
    if !rendered.contains(SKIPPED) {
        files.insert(target.to_owned(), rendered.into_bytes());
    }
    Ok(())
}

/// One file of the template, rendered.
pub(super) fn text(path: &str, content: &[u8], context: &Value) -> Result<Vec<u8>, Error> {
    rendered(&environment()?, path, content, context).map(String::into_bytes)
}

fn rendered(environment: &Environment<'_>, path: &str, content: &[u8], context: &Value) -> Result<String, Error> {
    let text = std::str::from_utf8(content).map_err(|_| Error::NotText(path.to_owned()))?;
    let name = path.strip_suffix(RENDERED).unwrap_or(path);
    environment.render_named_str(name, text, context).map_err(|cause| failed(path, cause))
}

/// Strict: a name that the context lacks is an error and not an empty text.
fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()
        .map_err(|cause| failed("the syntax", cause))?;
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(
        |name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        },
    );
    environment.add_filter("lit", |text: &str| words::literal(text));
    environment.add_filter("doc", |text: &str| words::comment(text));
    environment.add_filter("list_of", |items: Vec<String>, indent: usize, before: &str, after: &str| {
        format::list(&items, indent, before, after)
    });
    environment.add_filter("braced", |fields: Vec<String>, indent: usize, name: &str, before: &str, after: &str| {
        format::braced(&fields, indent, name, before, after)
    });
    environment
        .add_filter("bound", |items: Vec<String>, indent: usize, name: &str| format::bound(&items, indent, name));
    environment.add_filter("wrapped", |code: &str, indent: usize, before: &str, after: &str| {
        format::wrapped(code, indent, before, after)
    });
    environment.add_filter("call", |arguments: Vec<String>, indent: usize, name: &str, after: &str| {
        format::call(&arguments, indent, name, after)
    });
    environment.add_filter("uses", |names: Vec<String>, path: &str| format::uses(&names, path));
    environment.add_function("skip", || SKIPPED);
    Ok(environment)
}

fn failed(file: &str, cause: minijinja::Error) -> Error {
    Error::Render { file: file.to_owned(), cause: Box::new(cause) }
}
