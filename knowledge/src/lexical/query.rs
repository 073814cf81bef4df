//! A question as a query: its words, how often each was said, the rarest first where there are too many.

use std::collections::BTreeMap;

use tantivy::{
    Score, Searcher, Term,
    query::{BooleanQuery, BoostQuery, ConstScoreQuery, Occur, Query, TermQuery},
    schema::IndexRecordOption,
    tokenizer::TextAnalyzer,
};

use super::{Filter, analyse, schema};

/// Words of a question that are looked for at most: more cost time and gained nothing where it was measured
/// (`knowledge/README.md`).
const WORDS_MAX: usize = 24;
/// Bytes of a question that are read.
const QUESTION_BYTES_MAX: usize = 32 << 10;

pub(super) struct Analysers {
    pub words: TextAnalyzer,
    pub names: TextAnalyzer,
}

/// The query, or none if the question has no word that could be found.
pub(super) fn build(
    question: &str,
    filter: &Filter,
    fields: &schema::Fields,
    analysers: &mut Analysers,
    searcher: &Searcher,
) -> tantivy::Result<Option<Box<dyn Query>>> {
    let end = question.floor_char_boundary(QUESTION_BYTES_MAX);
    let question = question.get(..end).unwrap_or_default();
    let mut words: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    for (word, count) in kept(analyse::terms(&mut analysers.words, question), fields, searcher)? {
        for weighed in fields.weighed() {
            words.push(weigh(Term::from_field_text(weighed.field, &word), count * weighed.boost));
        }
    }
    for (name, count) in counted(analyse::terms(&mut analysers.names, question)).into_iter().take(WORDS_MAX) {
        words.push(weigh(Term::from_field_text(fields.names, &name), count * schema::NAMES_BOOST));
    }
    for (name, count) in counted(analyse::asked_names(question)).into_iter().take(WORDS_MAX) {
        words.push(weigh(Term::from_field_text(fields.symbol, &name), count * schema::SYMBOL_BOOST));
    }
    if words.is_empty() {
        return Ok(None);
    }
    Ok(Some(filtered(Box::new(BooleanQuery::new(words)), filter, fields)))
}

fn weigh(term: Term, boost: Score) -> (Occur, Box<dyn Query>) {
    let term = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
    (Occur::Should, Box::new(BoostQuery::new(term, boost)))
}

fn counted(words: Vec<String>) -> BTreeMap<String, f32> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_insert(0.0) += 1.0;
    }
    counts
}

/// The words that say most, by how often they were said and how rare they are.
fn kept(words: Vec<String>, fields: &schema::Fields, searcher: &Searcher) -> tantivy::Result<Vec<(String, f32)>> {
    let mut words: Vec<(String, f32)> = counted(words).into_iter().collect();
    if words.len() > WORDS_MAX {
        let total = searcher.num_docs() as f32;
        let mut weights = BTreeMap::new();
        for (word, count) in &words {
            let holds = searcher.doc_freq(&Term::from_field_text(fields.body, word))? as f32;
            let rarity = (1.0 + (total - holds + 0.5).max(0.0) / (holds + 0.5)).ln();
            weights.insert(word.clone(), if holds > 0.0 { count * rarity } else { 0.0 });
        }
        let weight = |word: &str| weights.get(word).copied().unwrap_or_default();
        words.sort_by(|(a, _), (b, _)| weight(b).total_cmp(&weight(a)).then_with(|| a.cmp(b)));
        words.truncate(WORDS_MAX);
    }
    Ok(words)
}

fn filtered(query: Box<dyn Query>, filter: &Filter, fields: &schema::Fields) -> Box<dyn Query> {
    if *filter == Filter::default() {
        return query;
    }
    let labelled =
        |label: &String| -> Box<dyn Query> { Box::new(TermQuery::new(fields.label(label), IndexRecordOption::Basic)) };
    // A label says which, never how good.
    let silent = |query: Box<dyn Query>| -> Box<dyn Query> { Box::new(ConstScoreQuery::new(query, 0.0)) };
    let mut clauses = vec![(Occur::Must, query)];
    clauses.extend(filter.all.iter().map(|label| (Occur::Must, silent(labelled(label)))));
    if !filter.any.is_empty() {
        clauses.push((Occur::Must, silent(Box::new(BooleanQuery::union(filter.any.iter().map(labelled).collect())))));
    }
    clauses.extend(filter.none.iter().map(|label| (Occur::MustNot, labelled(label))));
    Box::new(BooleanQuery::new(clauses))
}
