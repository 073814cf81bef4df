//! Sets of texts with judgments: CISI as it is passed around, and the form that BEIR uses.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) documents: Vec<Document>,
    pub(crate) questions: Vec<Question>,
}

/// What is searched: a text of a public set, or a chunk of this repository.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) headings: String,
    pub(crate) symbols: String,
    pub(crate) text: String,
    /// What an embedder reads.
    pub(crate) embedded: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) relevant: Vec<Target>,
}

/// What answers a question: a document, or the place in it that is named.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) place: Option<String>,
    pub(crate) gain: f64,
}

impl Target {
    pub(crate) fn meets(&self, document: &Document) -> bool {
        let within = |place: &String| document.headings.contains(place) || document.symbols.contains(place);
        self.id == document.id && self.place.as_ref().is_none_or(within)
    }
}

impl Set {
    /// For a peer: the same texts, questions and judgments.
    pub(crate) fn handed(&self) -> Value {
        json!({
            "documents": self.documents.iter().map(|each| json!({ "id": each.id, "text": each.embedded })).collect::<Vec<_>>(),
            "questions": self.questions.iter().map(|each| json!({
                "text": each.text,
                "relevant": each.relevant.iter().map(|target| (target.id.clone(), json!(target.gain))).collect::<serde_json::Map<_, _>>(),
            })).collect::<Vec<_>>(),
        })
    }
}

pub(crate) fn read(folder: &Path) -> Result<Set> {
    if folder.join("CISI.ALL").is_file() {
        cisi(folder)
    } else if folder.join("corpus.jsonl").is_file() {
        beir(folder)
    } else {
        bail!("`{}` holds neither CISI.ALL nor corpus.jsonl", folder.display())
    }
}

type Records = Vec<(String, BTreeMap<char, String>)>;

fn cisi(folder: &Path) -> Result<Set> {
    let text = |name: &str| -> Result<String> {
        let path = folder.join(name);
        Ok(String::from_utf8_lossy(&fs::read(&path).with_context(|| path.display().to_string())?).into_owned())
    };
    let field =
        |record: &BTreeMap<char, String>, name: char| record.get(&name).map(|text| one_line(text)).unwrap_or_default();
    let documents = records(&text("CISI.ALL")?)
        .into_iter()
        .map(|(id, record)| plain(id, field(&record, 'T'), field(&record, 'W')))
        .collect();
    let mut relevant: BTreeMap<String, Vec<Target>> = BTreeMap::new();
    for line in text("CISI.REL")?.lines() {
        let mut words = line.split_whitespace();
        if let (Some(question), Some(document)) = (words.next(), words.next()) {
            judged(&mut relevant, question, document, 1.0);
        }
    }
    let questions = records(&text("CISI.QRY")?).into_iter().map(|(id, record)| (id, field(&record, 'W')));
    Ok(Set { name: "CISI".to_owned(), documents, questions: asked(questions, relevant) })
}

/// `.I 1`, then fields of a letter each: `.T`, `.W`.
fn records(text: &str) -> Records {
    let mut records: Records = Vec::new();
    let mut field = None;
    for line in text.lines() {
        if let Some(id) = line.strip_prefix(".I ") {
            records.push((id.trim().to_owned(), BTreeMap::new()));
            field = None;
        } else if let (Some(name), 2) =
            (line.strip_prefix('.').and_then(|rest| rest.chars().next()), line.trim_end().len())
        {
            field = Some(name);
        } else if let (Some(name), Some((_, record))) = (field, records.last_mut()) {
            let so_far = record.entry(name).or_default();
            so_far.push_str(line);
            so_far.push('\n');
        }
    }
    records
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    title: String,
    text: String,
}

fn beir(folder: &Path) -> Result<Set> {
    let lines = |name: &str| -> Result<Vec<Line>> {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        text.lines().filter(|line| !line.trim().is_empty()).map(|line| Ok(serde_json::from_str(line)?)).collect()
    };
    let documents = lines("corpus.jsonl")?.into_iter().map(|line| plain(line.id, line.title, line.text)).collect();
    let path = folder.join("qrels/test.tsv");
    let mut relevant: BTreeMap<String, Vec<Target>> = BTreeMap::new();
    for line in fs::read_to_string(&path).with_context(|| path.display().to_string())?.lines() {
        let mut words = line.split('\t');
        if let (Some(question), Some(document), Some(gain)) = (words.next(), words.next(), words.next()) {
            // The first line names the columns.
            if let Some(gain) = gain.trim().parse().ok().filter(|gain| *gain > 0.0) {
                judged(&mut relevant, question, document, gain);
            }
        }
    }
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let questions = lines("queries.jsonl")?.into_iter().map(|line| (line.id, line.text));
    Ok(Set { name, documents, questions: asked(questions, relevant) })
}

fn plain(id: String, title: String, text: String) -> Document {
    let embedded = format!("{title} {text}").trim().to_owned();
    Document { id, title: String::new(), text: embedded.clone(), embedded, ..Document::default() }
}

fn judged(relevant: &mut BTreeMap<String, Vec<Target>>, question: &str, document: &str, gain: f64) {
    let targets = relevant.entry(question.to_owned()).or_default();
    if !targets.iter().any(|target| target.id == document) {
        targets.push(Target { id: document.to_owned(), place: None, gain });
    }
}

/// Questions that somebody judged.
fn asked(
    questions: impl Iterator<Item = (String, String)>,
    mut relevant: BTreeMap<String, Vec<Target>>,
) -> Vec<Question> {
    questions.filter_map(|(id, text)| Some(Question { text, relevant: relevant.remove(&id)? })).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
