//! Our own set: questions over this repository, each with the places that answer it, judged by reading.
//!
//! A place is a path, and a heading or a name in it where the whole file would be too much. So the set stays true
//! while texts change, and a place that is gone fails a test.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use mesh_knowledge::chunk::{self, Limits};
use serde::Deserialize;

use super::sets::{Document, Question, Set, Target};

/// What is searched: what a person would read first, and two crates' sources.
const TEXTS: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "proto/mesh/v1",
    "runtime/kernel/src",
    "runtime/journal/src",
];

#[derive(Deserialize)]
struct Judged {
    question: String,
    relevant: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    path: String,
    place: String,
}

/// The chunks of this repository, and the questions.
pub(crate) fn read(root: &Path) -> Result<Set> {
    let mut paths = Vec::new();
    for text in TEXTS {
        walk(root, text, &mut paths)?;
    }
    paths.sort();
    let mut documents = Vec::new();
    for path in paths {
        let bytes = fs::read(root.join(&path))?;
        let limits = Limits::default();
        // Pictures and the like.
        let Ok((kind, text)) = chunk::detect(&path, &bytes, &limits) else { continue };
        for each in chunk::chunk(&path, kind, text, &limits) {
            documents.push(Document {
                id: path.clone(),
                title: String::new(),
                headings: each.place.clone(),
                symbols: each.symbol.clone().unwrap_or_default(),
                embedded: each.embedded(),
                text: each.text,
            });
        }
    }
    let lines = fs::read_to_string(root.join("knowledge/judged/questions.jsonl"))?;
    let questions = lines.lines().map(|line| -> Result<Question> {
        let judged: Judged = serde_json::from_str(line)?;
        let target = |Place { path, place }| Target {
            id: path,
            place: Some(place).filter(|place| !place.is_empty()),
            gain: 1.0,
        };
        Ok(Question { text: judged.question, relevant: judged.relevant.into_iter().map(target).collect() })
    });
    Ok(Set { name: "this repository".to_owned(), documents, questions: questions.collect::<Result<_>>()? })
}

fn walk(root: &Path, at: &str, into: &mut Vec<String>) -> Result<()> {
    if root.join(at).is_file() {
        into.push(at.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(root.join(at)).with_context(|| at.to_owned())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        walk(root, &format!("{at}/{name}"), into)?;
    }
    Ok(())
}
