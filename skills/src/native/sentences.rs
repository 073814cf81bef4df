//! What was rendered for a product whose blueprint has rules that an agent writes.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::{blueprint_validate::FILE, workshop::io};
use crate::{
    blueprint::{self, Blueprint},
    contract::Failure,
    product::layout::Layout,
    render::{Files, Sentence, TemplateSource, rule_file, sentences},
    rule::{self, Checked, Source},
};

/// Rendered files, and the rules among them that an agent writes.
pub(super) struct Rendering {
    pub(super) folder: PathBuf,
    pub(super) blueprint: Blueprint,
    /// The blueprint's text.
    pub(super) text: String,
    pub(super) sentences: Vec<Sentence>,
}

impl Rendering {
    /// What was rendered under this digest.
    pub(super) fn of(layout: &Layout, digest: &str) -> Result<Self, Failure> {
        Self::read(layout.rendered(digest))
    }

    /// What was rendered last: runs of one product come after each other.
    pub(super) fn latest(layout: &Layout) -> Result<Self, Failure> {
        let digest = fs::read_to_string(layout.latest()).map_err(|_| gone("the product"))?;
        Self::of(layout, &digest)
    }

    fn read(folder: PathBuf) -> Result<Self, Failure> {
        let text = fs::read_to_string(folder.join(FILE)).map_err(|_| gone(&folder.display().to_string()))?;
        let blueprint = blueprint::parse(&text, FILE).map_err(|_| gone(&folder.display().to_string()))?;
        Ok(Self { sentences: sentences(&blueprint), folder, blueprint, text })
    }

    /// The rule of that name.
    pub(super) fn sentence(&self, rule: &str) -> Result<&Sentence, Failure> {
        self.sentences.iter().find(|sentence| sentence.rule == rule).ok_or_else(|| {
            let shown: String = rule.chars().take(120).collect();
            Failure::validation("rule.unknown", format!("the blueprint has no rule `{shown}` that an agent writes"))
        })
    }

    /// The files of rules that stand there already, by path.
    pub(super) fn kept(&self) -> Result<Files, Failure> {
        let mut kept = BTreeMap::new();
        for path in self.sentences.iter().map(Sentence::path) {
            let place = self.folder.join(&path);
            if place.is_file() {
                kept.insert(path, io(&place, fs::read(&place))?);
            }
        }
        Ok(kept)
    }
}

fn gone(what: &str) -> Failure {
    Failure::validation(
        "rule.not-rendered",
        format!("what was rendered for {what} is gone: retry the run from the step that renders"),
    )
}

/// Reads what an agent wrote.
///
/// # Errors
/// Everything that must be different.
pub(super) fn checked(source: &Source, sentence: &Sentence) -> Result<Checked, Failure> {
    rule::check(source, &sentence.signature).map_err(|mistakes| Failure::validation("rule.source", mistakes.join("\n")))
}

/// The file that a function and tests become.
pub(super) fn file(sentence: &Sentence, function: &str, test: &str) -> Result<Vec<u8>, Failure> {
    rule_file(&TemplateSource::default(), sentence, function, test)
        .map_err(|error| Failure::validation("template.render", error.to_string()))
}
