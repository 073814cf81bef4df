//! A worker with one skill: `cargo run -p mesh-worker --example shout -- http://127.0.0.1:7400 KEY`.

use mesh_worker::{Error, Skill, Worker};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (url, key) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let text = json!({ "type": "object", "required": ["text"], "properties": { "text": { "type": "string" } } });
    let shout = Skill::pure("acme.shout", "1.0.0", "Says it in capitals.").takes(text.clone()).gives(text).example(
        "a greeting",
        json!({ "text": "hello" }),
        json!({ "text": "HELLO" }),
    );
    Worker::new(&url, &key)
        .skill(shout, |call| async move {
            let text = call.input.get("text").and_then(Value::as_str).unwrap_or_default();
            Ok(json!({ "text": text.to_uppercase() }))
        })
        .run(std::future::pending())
        .await
}
