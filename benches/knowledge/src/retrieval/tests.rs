//! The gate: what is found in this repository must not get worse.

use super::*;

/// Measured when the set was made, less a margin for texts that change. See `knowledge/README.md`.
const LEXICAL: f64 = 0.60;
const VECTOR: f64 = 0.37;
const FUSED: f64 = 0.60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_place_that_answers_a_question_is_still_there() {
    let set = judged::read(&root()).unwrap();
    assert_eq!(set.questions.len(), 50);
    for question in &set.questions {
        for target in &question.relevant {
            let there = set.documents.iter().any(|document| target.meets(document));
            assert!(there, "{} > {:?} is gone, which answered: {}", target.id, target.place, question.text);
        }
    }
}

#[test]
fn questions_over_this_repository_are_answered_as_well_as_before() {
    let set = judged::read(&root()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let found = Found::of(&set, &run::search(&set, folder.path()).unwrap());
    for (name, quality, least) in
        [("lexical", found.lexical, LEXICAL), ("vector", found.vector, VECTOR), ("fused", found.fused, FUSED)]
    {
        assert!(quality.ndcg10 >= least, "{name}: nDCG@10 is {:.3}, and was above {least}", quality.ndcg10);
    }
    assert!(found.fused.recall100 >= 0.92, "{:.3}", found.fused.recall100);
}

#[test]
fn sets_are_read_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "CISI.ALL",
        ".I 1\n.T\nOne title\n.A\nSomebody\n.W\nFirst line\nsecond\n.X\n1 2 3\n.I 2\n.T\nTwo\n.W\nText\n",
    );
    write("CISI.QRY", ".I 1\n.W\nWhat is one?\n.I 2\n.W\nNobody judged this.\n");
    write("CISI.REL", "     1      1\t0\t0.000000\n");
    let set = sets::read(folder.path()).unwrap();
    assert_eq!((set.documents.len(), set.questions.len()), (2, 1));
    assert_eq!(set.documents.first().unwrap().text, "One title First line second");
    fs::remove_file(folder.path().join("CISI.ALL")).unwrap();
    write("corpus.jsonl", "{\"_id\":\"a\",\"title\":\"T\",\"text\":\"x\"}\n");
    write("queries.jsonl", "{\"_id\":\"q\",\"text\":\"y\"}\n");
    write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\ta\t2\n");
    let set = sets::read(folder.path()).unwrap();
    assert_eq!(set.questions.first().unwrap().relevant.first().unwrap().gain, 2.0);
}
