//! What malformed inputs are made from, kept in `tests/seeds`: a request for each method of the contract,
//! what makes it certainly wrong, and texts.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde::Deserialize;
use serde_json::Value;

use super::text::Words;
use crate::Chance;

/// A request as `requests.json` has it. In its texts `@definition`, `@blueprint`, `@expression` and `@word`
/// stand for a text of that sort, spoilt.
#[derive(Debug, Deserialize)]
struct Written {
    method: String,
    request: Value,
    /// Fields that are set last, one of these sets at a time: with them the request must be refused.
    /// Without any, it changes nothing and may be answered.
    #[serde(default)]
    refused: Vec<serde_json::Map<String, Value>>,
}

/// A request of one method.
#[derive(Debug)]
pub(super) struct Seed {
    pub(super) method: MethodDescriptor,
    request: Value,
    refused: Vec<serde_json::Map<String, Value>>,
}

/// Everything that is in the folder of seeds.
#[derive(Debug)]
pub(super) struct Seeds {
    pub(super) requests: Vec<Seed>,
    pub(super) words: Words,
    /// Requests over HTTP, with `{host}` and `{key}` where those belong.
    pub(super) web: Vec<String>,
    definitions: Vec<String>,
    blueprints: Vec<String>,
}

impl Seeds {
    /// Reads `tests/seeds`, and the definitions and blueprints that are shipped.
    ///
    /// # Errors
    /// When a file cannot be read, and when a method of the contract has no request.
    pub(super) fn read() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = |name: &str| fs::read_to_string(here.join("seeds").join(name)).context(name.to_owned());
        let lines = |name: &str| -> Result<Vec<String>> { Ok(text(name)?.lines().map(str::to_owned).collect()) };
        let pool = DescriptorPool::decode(mesh_proto::FILE_DESCRIPTOR_SET)?;
        let mut definitions = texts(&here.join("seeds/definitions"))?;
        definitions.extend(texts(&here.join("../config/workflows"))?);
        let seeds = Self {
            requests: requests(&pool, serde_json::from_str(&text("requests.json")?)?)?,
            words: Words { words: lines("words.txt")?, expressions: lines("expressions.txt")? },
            web: text("http.txt")?.split("\n\n").map(|one| one.replace('\n', "\r\n")).collect(),
            definitions,
            blueprints: texts(&here.join("../config/blueprints"))?,
        };
        for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let named = seeds.requests.iter().any(|seed| seed.method == method);
            ensure!(named, "`{}` has no request in tests/seeds/requests.json", method.full_name());
        }
        Ok(seeds)
    }

    /// The seed's own request with its texts spoilt, and whether it must be refused once
    /// [`Seeds::refuse`] was asked.
    pub(super) fn message(&self, seed: &Seed, chance: &mut Chance) -> Result<DynamicMessage> {
        let request = self.spoilt(&seed.request, chance);
        Ok(DynamicMessage::deserialize(seed.method.input(), request)?)
    }

    /// Makes a request certainly wrong. False when it may be answered: then it only looks.
    pub(super) fn refuse(&self, seed: &Seed, message: &mut DynamicMessage, chance: &mut Chance) -> Result<bool> {
        let Some(refused) = chance.one(&seed.refused) else { return Ok(false) };
        let wrong = self.spoilt(&Value::Object(refused.clone()), chance);
        let wrong = DynamicMessage::deserialize(seed.method.input(), wrong)?;
        for (field, value) in wrong.fields() {
            message.set_field(&field, value.clone());
        }
        Ok(true)
    }

    fn spoilt(&self, value: &Value, chance: &mut Chance) -> Value {
        match value {
            Value::String(text) => Value::String(match text.as_str() {
                "@definition" => self.document(&self.definitions, chance),
                "@blueprint" => self.document(&self.blueprints, chance),
                "@expression" => self.words.expression(chance),
                "@word" => self.words.word(chance),
                text => text.replace("@word", &self.words.word(chance)),
            }),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.spoilt(item, chance)).collect()),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.clone(), self.spoilt(value, chance))).collect())
            }
            other => other.clone(),
        }
    }

    fn document(&self, of: &[String], chance: &mut Chance) -> String {
        self.words.document(chance.one(of).map_or("", String::as_str), chance)
    }
}

fn requests(pool: &DescriptorPool, written: Vec<Written>) -> Result<Vec<Seed>> {
    let seed = |Written { method, request, refused }: Written| {
        let (service, name) = method.split_once('/').with_context(|| format!("`{method}` has no slash"))?;
        let service = pool.get_service_by_name(&format!("mesh.v1.{service}")).context(method.clone())?;
        let method = service.methods().find(|one| one.name() == name).context(method.clone())?;
        Ok(Seed { method, request, refused })
    };
    written.into_iter().map(seed).collect()
}

/// The texts of a folder's YAML files, in the order of their names.
fn texts(folder: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    paths.iter().map(|path| Ok(fs::read_to_string(path)?)).collect()
}
