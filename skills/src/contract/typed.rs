//! A native skill from a function: what it takes and gives is in the function's types.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Call, Failure, Manifest, Skill};

/// A skill that does `work`. Its schemas are those of the types `I` and `O`, with what their attributes and doc
/// comments say; the manifest says the rest.
///
/// ```
/// use mesh_skills::contract::{Gives, Manifest, typed};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use serde_json::json;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Text {
///     /// what to count in
///     text: String,
/// }
///
/// #[derive(Serialize, JsonSchema)]
/// struct Words {
///     words: usize,
/// }
///
/// let manifest = Manifest::new("text.words", "Counts the words of a text.")
///     .example("two", json!({"text": "good morning"}), Gives::Output(json!({"words": 2})));
/// let skill = typed(manifest, async |input: Text, _| Ok(Words { words: input.text.split_whitespace().count() }));
/// assert_eq!(skill.manifest().input["properties"]["text"]["description"], "what to count in");
/// ```
pub fn typed<I, O, F, Done>(manifest: Manifest, work: F) -> Arc<dyn Skill>
where
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + JsonSchema + Send + 'static,
    F: Fn(I, Call) -> Done + Send + Sync + 'static,
    Done: Future<Output = Result<O, Failure>> + Send + 'static,
{
    let manifest = manifest.takes(taken::<I>()).gives(given::<O>());
    Arc::new(Typed { manifest, work: Box::new(move |input, call| Box::pin(work(input, call))) })
}

/// What a typed skill does.
type Work<I, O> = dyn Fn(I, Call) -> BoxFuture<'static, Result<O, Failure>> + Send + Sync;

struct Typed<I, O> {
    manifest: Manifest,
    work: Box<Work<I, O>>,
}

impl<I, O> Skill for Typed<I, O>
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + Send + 'static,
{
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let output = (self.work)(call.input()?, call).await?;
            serde_json::to_value(output)
                .map_err(|error| Failure::internal("skill.output", format!("the output is no JSON: {error}")))
        })
    }
}

/// The JSON Schema of what is read as this type.
pub fn taken<T: JsonSchema>() -> Value {
    schema::<T>(settings())
}

/// The JSON Schema of what is written as this type.
pub fn given<T: JsonSchema>() -> Value {
    schema::<T>(settings().for_serialize())
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    })
}

fn schema<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    plain(&mut schema);
    schema
}

/// Leaves out what is said of Rust: names of types, and formats such as `uint32`, which no other language knows and
/// some models' providers refuse.
fn plain(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.remove("title");
    let is_number = fields.get("type").is_some_and(|kind| {
        let is = |kind: &Value| kind == "integer" || kind == "number";
        is(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(is))
    });
    if is_number {
        fields.remove("format");
    }
    for (key, value) in fields.iter_mut() {
        match key.as_str() {
            // What is below is named by the author.
            "properties" | "patternProperties" | "$defs" => {
                value.as_object_mut().into_iter().flatten().for_each(|(_, part)| plain(part));
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                value.as_array_mut().into_iter().flatten().for_each(plain);
            }
            "items" | "additionalProperties" | "not" | "contains" | "propertyNames" => plain(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::contract::{FailureClass, Gives, Registered, testing};

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "its schema is what is looked at")]
    struct Order {
        /// what is ordered
        item_name: String,
        #[schemars(range(min = 1, max = 9))]
        number: u32,
        title: Option<Title>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Title {
        Dr,
        Prof,
    }

    #[test]
    fn a_schema_says_what_the_types_say_and_nothing_of_rust() {
        let expected = json!({
            "type": "object",
            "required": ["itemName", "number"],
            "additionalProperties": false,
            "properties": {
                "itemName": {"type": "string", "description": "what is ordered"},
                "number": {"type": "integer", "minimum": 1, "maximum": 9},
                "title": {"type": ["string", "null"], "enum": ["dr", "prof", null]},
            },
        });
        assert_eq!(taken::<Order>(), expected);
    }

    #[tokio::test]
    async fn a_function_is_a_skill_whose_input_and_output_are_checked() {
        let manifest = Manifest::new("order.count", "Counts.").example(
            "one",
            json!({"itemName": "pen", "number": 3}),
            Gives::Output(json!(3)),
        );
        let skill = typed(manifest, async |order: Order, call: Call| {
            call.log.note("counted");
            match order.number {
                9 => Err(Failure::resource("order.full", "nine are too many")),
                number => Ok(number),
            }
        });
        let entry = Registered::new(skill).unwrap();
        assert!(entry.check_input(&json!({"itemName": "pen", "number": 0})).is_err());
        let call = |number: u32| entry.skill().call(testing::call(json!({"itemName": "pen", "number": number})));
        assert_eq!(call(3).await.unwrap(), json!(3));
        assert_eq!(call(9).await.unwrap_err().class, FailureClass::Resource);
    }
}
