//! A product is rendered the same each time, whole, and inside its folder.

use super::{Error, Files, TemplateSource, render, render_with, rule_file, seed_project, sentences, template_digest};
use crate::blueprint::{Blueprint, parse};

const HELPDESK: &str = include_str!("../../../config/blueprints/helpdesk.yaml");
const BOOKING: &str = include_str!("../../../config/blueprints/booking.yaml");
const LIBRARY: &str = include_str!("../../../config/blueprints/library.yaml");

fn blueprint(source: &str) -> Blueprint {
    parse(source, "blueprint.yaml").unwrap()
}

#[test]
fn a_product_is_rendered_byte_by_byte_the_same_each_time() {
    for source in [HELPDESK, BOOKING] {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let template = TemplateSource::Embedded;
        let one = render(&template, &blueprint(source), source, first.path()).unwrap();
        let two = render(&template, &blueprint(source), source, second.path()).unwrap();
        assert_eq!(one, two);
        for (path, _) in &one.files {
            let left = std::fs::read(first.path().join(path)).unwrap();
            assert_eq!(left, std::fs::read(second.path().join(path)).unwrap(), "{path}");
        }
        let again = render(&template, &blueprint(source), source, first.path()).unwrap();
        assert_eq!(one, again);
    }
}

#[test]
fn a_product_has_its_parts_and_a_test_for_each_rule() {
    let folder = tempfile::tempdir().unwrap();
    let helpdesk = blueprint(HELPDESK);
    let rendered = render(&TemplateSource::Embedded, &helpdesk, HELPDESK, folder.path()).unwrap();
    let paths: Vec<&str> = rendered.files.iter().map(|(path, _)| path.as_str()).collect();
    for path in [
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "app/src/ticket/states.rs",
        "app/tests/product/walk.rs",
        "blueprint.yaml",
        "demo.json",
        "spine/src/lib.rs",
    ] {
        assert!(paths.contains(&path), "{path} is missing: {paths:#?}");
    }
    assert!(!paths.contains(&"app/src/customer/states.rs"), "a customer has no states");
    for rule in &helpdesk.rules {
        let path = format!("app/src/{}/rules.rs", rule.entity);
        let code = std::fs::read_to_string(folder.path().join(path)).unwrap();
        let named = code.matches(&format!("fn {}(", rule.name)).count();
        assert_eq!(named, 2, "a function and a test of `{}`", rule.sentence);
    }
}

#[test]
fn a_folder_can_stand_in_for_the_embedded_template() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/templates/saas");
    let folder = TemplateSource::Folder(root);
    let embedded = template_digest(&TemplateSource::Embedded).unwrap();
    assert_eq!(template_digest(&folder).unwrap(), embedded);
    let nowhere = TemplateSource::Folder("/no/such/folder".into());
    assert!(matches!(template_digest(&nowhere), Err(Error::Template { .. })));
}

#[test]
fn a_template_that_names_what_is_not_there_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("template/domain/root");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(folder.path().join("template/Cargo.lock"), "").unwrap();
    std::fs::write(root.join("x.rs.j2"), "fine\n{{ p.colour }}\n").unwrap();
    let template = TemplateSource::Folder(folder.path().join("template"));
    let into = folder.path().join("out");
    let error = render(&template, &blueprint(HELPDESK), HELPDESK, &into).unwrap_err().to_string();
    assert!(error.contains("domain/root/x.rs.j2") && error.contains(":2"), "{error}");
}

#[test]
fn a_seed_has_the_same_dependencies_as_every_product() {
    let (seed, product) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let seeded = seed_project(&TemplateSource::Embedded, seed.path()).unwrap();
    let rendered = render(&TemplateSource::Embedded, &blueprint(BOOKING), BOOKING, product.path()).unwrap();
    for path in ["Cargo.lock", "Cargo.toml", "app/Cargo.toml", "spine/Cargo.toml"] {
        let of = |files: &[(String, String)]| files.iter().find(|(name, _)| name == path).cloned();
        assert!(of(&seeded.files).is_some(), "{path}");
        assert_eq!(of(&seeded.files), of(&rendered.files), "{path}");
    }
}

#[test]
fn a_rule_that_an_agent_writes_is_declared_and_stands_in_no_product_until_it_is_written() {
    let (folder, library) = (tempfile::tempdir().unwrap(), blueprint(LIBRARY));
    let template = TemplateSource::Embedded;
    let bare = render(&template, &library, LIBRARY, folder.path()).unwrap();
    let asked = sentences(&library);
    let [isbn, mark] = asked.as_slice() else { panic!("{asked:#?}") };
    assert!(!bare.files.iter().any(|(path, _)| *path == isbn.path()));
    let rules = std::fs::read_to_string(folder.path().join("app/src/book/rules.rs")).unwrap();
    assert!(rules.contains(&format!("mod {};", isbn.rule)), "{rules}");
    assert!(rules.contains(&format!("Ok({}::holds(book, &scope.now.minute()))", mark.rule)), "{rules}");
    for part in ["pub struct Book {", "pub isbn: String,", "fn plain() -> Book", &isbn.signature] {
        assert!(isbn.code.contains(part), "{part} is not told:\n{}", isbn.code);
    }
    let function = format!("{} {{ book.isbn.len() == 13 }}", isbn.signature);
    let file = rule_file(&template, isbn, &function, "#[test]\nfn one() {\n\n    plain();\n}").unwrap();
    let text = String::from_utf8(file.clone()).unwrap();
    assert!(isbn.is_of(&text) && !mark.is_of(&text), "{text}");
    assert!(text.contains("use crate::book::Book;") && text.contains("    fn one() {\n\n        plain();"), "{text}");
    let written = Files::from([(isbn.path(), file)]);
    let whole = render_with(&template, &library, LIBRARY, written, folder.path()).unwrap();
    assert_ne!(whole.digest, bare.digest);
}
