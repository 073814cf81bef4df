//! Starting, stopping, cleaning: a shell script stands in for a built product.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::json;

use super::place::Place;

const COMMIT: &str = "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff";

fn built(place: &Place) {
    let release = place.layout("p").release(COMMIT);
    fs::create_dir_all(&release).unwrap();
    let app = release.join("app");
    fs::write(&app, "#!/bin/sh\necho \"$@\" > args\necho '{\"url\":\"http://127.0.0.1:1\"}'\nexec sleep 600\n")
        .unwrap();
    fs::set_permissions(&app, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(release.join("demo.json"), r#"{"accounts": [{"tenant": "A", "email": "a@x", "password": "p"}]}"#)
        .unwrap();
}

#[tokio::test]
async fn a_built_product_is_started_once_kept_and_stopped() {
    let place = Place::new();
    let at = json!({"product": "p", "commit": COMMIT});
    let missing = place.call("run-1", "product.start", at.clone()).await.unwrap_err();
    assert_eq!(missing.code, "product.not-built");
    built(&place);
    let first = place.call("run-1", "product.start", at.clone()).await.unwrap();
    assert_eq!(first["logins"][0]["tenant"], "A");
    let args = fs::read_to_string(place.layout("p").release(COMMIT).join("args")).unwrap();
    let data = place.layout("p").data();
    assert_eq!(args.trim(), format!("--listen 127.0.0.1:0 --seed-demo --data {}", data.display()));
    let again = place.call("run-1", "product.start", at).await.unwrap();
    assert_eq!(again["pid"], first["pid"], "a second process was started");

    let clean = json!({"product": "p", "data": true});
    let busy = place.call("run-1", "product.clean", clean.clone()).await.unwrap_err();
    assert_eq!(busy.code, "product.runs");
    place.call("run-1", "product.clean", json!({"product": "p"})).await.unwrap();
    assert!(place.layout("p").release(COMMIT).exists(), "what runs was removed");
    for _ in 0..2 {
        place.call("run-1", "product.stop", json!({"product": "p"})).await.unwrap();
    }
    place.call("run-1", "product.clean", clean).await.unwrap();
    assert!(!place.layout("p").root().exists());
}

#[tokio::test]
async fn no_name_reaches_out_of_the_tenants_products() {
    let place = Place::new();
    for product in ["..", "../../other/products/p", "/etc", ""] {
        for (skill, input) in [
            ("product.stop", json!({"product": product})),
            ("product.clean", json!({"product": product, "data": true})),
            ("product.start", json!({"product": product, "commit": COMMIT})),
            ("product.build", json!({"product": product, "commit": COMMIT})),
        ] {
            let failure = place.call("run-1", skill, input).await.unwrap_err();
            assert_eq!(failure.code, "product.name", "{skill} `{product}`: {failure}");
        }
    }
}
