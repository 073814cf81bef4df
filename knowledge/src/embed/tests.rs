use super::*;

#[derive(serde::Deserialize)]
struct Row {
    text: String,
    ids: Vec<u16>,
    vector: Option<Vec<f32>>,
}

/// What the Python package makes of 1,000 texts (`knowledge/models/make --fixture`).
fn rows() -> Vec<Row> {
    let lines = include_str!("../../models/fixtures/texts.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_text_has_the_pieces_that_the_tables_own_package_gives_it() {
    let table = StaticTable::offline().unwrap();
    let rows = rows();
    assert_eq!(rows.len(), 1_000);
    for Row { text, ids, .. } in rows {
        assert_eq!(table.encode(&text), ids, "{text:?}");
    }
}

#[test]
fn a_vector_in_eight_bits_points_where_the_packages_own_does() {
    let table = StaticTable::offline().unwrap();
    let mut seen = 0;
    for Row { text, vector, .. } in rows() {
        let Some(theirs) = vector else { continue };
        let ours = table.embed(&[&text]).unwrap().remove(0);
        assert_eq!(ours.len(), table.model().dimensions);
        let cosine: f32 = ours.iter().zip(&theirs).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.999, "{cosine} for {text:?}");
        seen += 1;
    }
    assert!(seen >= 40);
}

#[test]
fn vectors_are_of_unit_length_and_an_empty_text_has_none() {
    let table = StaticTable::offline().unwrap();
    let vectors = table.embed(&["where budgets are counted", "", "x"]).unwrap();
    let lengths: Vec<f32> = vectors.iter().map(|v| v.iter().map(|x| x * x).sum::<f32>().sqrt()).collect();
    assert!((lengths.first().unwrap() - 1.0).abs() < 1e-5);
    assert_eq!(lengths.get(1), Some(&0.0));
}

#[test]
fn the_offline_model_says_what_it_is() {
    let embedder = Embedder::offline().unwrap();
    assert_eq!(embedder.model().dimensions, 256);
    assert_eq!(embedder.model().digest.len(), 64);
    assert!(embedder.model().note.contains("weaker than a sentence model"));
    assert!(matches!(embedder, Embedder::Cpu(_)));
}
