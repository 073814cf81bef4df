//! From a blueprint to a commit, with real git and the real template.

use std::process::Command;

use serde_json::{Value, json};

use super::place::Place;
use crate::{
    blueprint,
    contract::{Failure, FailureClass},
};

const HELPDESK: &str = include_str!("../../../../config/blueprints/helpdesk.yaml");
const BOOKING: &str = include_str!("../../../../config/blueprints/booking.yaml");

async fn committed(place: &Place, run: &str, source: &str) -> Result<Value, Failure> {
    let given = json!({"blueprint": {"source": source}});
    let valid = place.call(run, "blueprint.validate", given.clone()).await?;
    let rendered = place.call(run, "template.render", given).await?;
    let input = json!({
        "product": valid["name"],
        "rendered": rendered["digest"],
        "blueprintDigest": valid["digest"],
        "templateDigest": rendered["templateDigest"],
    });
    place.call(run, "repository.commit", input).await
}

pub(super) fn git(folder: &std::path::Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_blueprint_becomes_one_commit_that_says_where_it_came_from() {
    let place = Place::new();
    let first = committed(&place, "run-1", HELPDESK).await.unwrap();
    assert_eq!(first["new"], true);
    let again = committed(&place, "run-1", HELPDESK).await.unwrap();
    assert_eq!((&again["commit"], &again["new"]), (&first["commit"], &json!(false)));

    let clone = place.folder.path().join("clone");
    let repository = first["repository"].as_str().unwrap();
    git(place.folder.path(), &["clone", "--quiet", repository, clone.to_str().unwrap()]);
    let message = git(&clone, &["log", "-1", "--format=%(trailers:only)"]);
    let digest = blueprint::digest(&blueprint::parse(HELPDESK, "x").unwrap());
    for trailer in [
        "Mesh-Tenant-Id: acme".to_owned(),
        "Mesh-Run-Id: run-1".to_owned(),
        "Mesh-Trace-Id: trace-run-1".to_owned(),
        format!("Mesh-Blueprint-Digest: {digest}"),
    ] {
        assert!(message.contains(&trailer), "`{trailer}` is missing in:\n{message}");
    }
    assert_eq!(std::fs::read_to_string(clone.join("blueprint.yaml")).unwrap(), HELPDESK);
    assert!(clone.join("Cargo.lock").exists() && clone.join("spine").is_dir());
}

#[tokio::test]
async fn quite_another_blueprint_needs_no_change_to_the_code() {
    let place = Place::new();
    committed(&place, "run-1", HELPDESK).await.unwrap();
    let booking = committed(&place, "run-2", BOOKING).await.unwrap();
    assert!(booking["repository"].as_str().unwrap().ends_with("products/booking/repository.git"));
}

#[tokio::test]
async fn a_product_grows_by_what_is_new_and_refuses_to_lose_anything() {
    let place = Place::new();
    let first = committed(&place, "run-1", HELPDESK).await.unwrap();
    let phone = "      - name: phone\n";
    assert_eq!(HELPDESK.matches(phone).count(), 1);
    let nickname = "      - name: nickname\n        type: string\n        max: 40\n";
    let grown = HELPDESK.replace(phone, &format!("{nickname}{phone}"));
    let change = place.call("run-2", "blueprint.validate", json!({"blueprint": {"source": grown}})).await;
    let change = change.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(change["change"], "additive");
    assert_eq!(change["adds"], json!(["customer.nickname"]));
    let second = committed(&place, "run-2", &grown).await.unwrap();
    assert_eq!(second["new"], true);
    assert_ne!(second["commit"], first["commit"]);

    let back = place.call("run-3", "blueprint.validate", json!({"blueprint": {"source": HELPDESK}})).await;
    let failure = back.unwrap_err();
    assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Validation, "blueprint.refused"));
    assert!(failure.message.contains("nickname"), "{failure}");
}

#[tokio::test]
async fn somebody_elses_commit_stops_the_run_at_its_first_step() {
    let place = Place::new();
    let first = committed(&place, "run-1", HELPDESK).await.unwrap();
    let clone = place.folder.path().join("clone");
    let repository = first["repository"].as_str().unwrap();
    git(place.folder.path(), &["clone", "--quiet", repository, clone.to_str().unwrap()]);
    std::fs::write(clone.join("README.md"), "edited by hand").unwrap();
    let who = ["-c", "user.name=A Person", "-c", "user.email=person@example.test"];
    git(&clone, &[&who[..], &["commit", "--quiet", "--all", "-m", "by hand"]].concat());
    git(&clone, &["push", "--quiet", "origin", "main"]);
    let given = json!({"blueprint": {"source": HELPDESK}});
    let failure = place.call("run-2", "blueprint.validate", given).await.unwrap_err();
    assert_eq!(failure.code, "repository.foreign-commit", "{failure}");
}

#[tokio::test]
async fn what_was_applied_and_what_is_read_are_the_same_thing() {
    let place = Place::new();
    for (given, code) in [
        (json!({"source": HELPDESK, "name": "other"}), "blueprint.differs"),
        (json!({"source": HELPDESK, "digest": "sha256:00"}), "blueprint.differs"),
        (json!({"source": "name: Bad Name\nkind: x\n"}), "blueprint.invalid"),
    ] {
        let failure = place.call("run-1", "blueprint.validate", json!({"blueprint": given})).await.unwrap_err();
        assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Validation, code), "{failure}");
    }
    let gone = json!({"product": "helpdesk", "rendered": "sha256:00"});
    let failure = place.call("run-1", "repository.commit", gone).await.unwrap_err();
    assert_eq!(failure.code, "repository.not-rendered");
}

#[tokio::test]
async fn two_tenants_with_one_name_have_two_repositories() {
    let place = Place::new();
    let given = json!({"blueprint": {"source": HELPDESK}});
    committed(&place, "run-1", HELPDESK).await.unwrap();
    let other = place.call_of("other", "run-1", "blueprint.validate", given).await.unwrap();
    assert_eq!(other["change"], "new", "the other tenant's product is not seen");
    let rendered = place.layout("helpdesk").root().join("rendered");
    let digest = std::fs::read_dir(rendered).unwrap().next().unwrap().unwrap().file_name();
    let theirs = json!({"product": "helpdesk", "rendered": format!("sha256:{}", digest.to_str().unwrap())});
    let failure = place.call_of("other", "run-1", "repository.commit", theirs).await.unwrap_err();
    assert_eq!(failure.code, "repository.not-rendered", "another tenant's files were committed");
}
