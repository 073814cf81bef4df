//! Embeddings: texts in, vectors out, in one piece.

use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::{
    Client, Place,
    reading::{Form, form, too_slow, whole_json},
    refused,
    sending::{Errand, Wants},
};
use crate::models::{Fault, chat::Usage, embed::EmbedCall, trouble::Trouble};

impl Client {
    /// The vectors of some texts, in their order, and what they used.
    pub(in crate::models) async fn embed(
        &self,
        place: &Place<'_>,
        call: &EmbedCall,
    ) -> Result<(Vec<Vec<f32>>, Usage), Trouble> {
        let settings = &place.endpoint.settings;
        let started = Instant::now();
        let errand = Errand {
            wants: Wants::Embeddings,
            step_id: &call.step_id,
            attempt_id: &call.attempt_id,
            candidate: call.candidate,
        };
        let body = body(place, call);
        let reply = timeout_at(started + settings.timeouts.total, self.send(place, &errand, &body))
            .await
            .unwrap_or_else(|_| Err(too_slow(Fault::TimeoutTotal, &settings.timeouts)))?;
        let reply = self.accepted(reply, settings).await?;
        if form(&reply.headers, false)? != Form::Json {
            return Err(Trouble::new(Fault::NotJson, "JSON was asked for and a stream came"));
        }
        let answer = whole_json(reply.body, started, &settings.timeouts).await?;
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            return Err(refused::in_body(error));
        }
        let told = answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64);
        let usage = Usage {
            input_tokens: told.unwrap_or_else(|| call.estimate()),
            estimated: told.is_none(),
            ..Usage::default()
        };
        vectors(&answer, call.texts.len()).map(|vectors| (vectors, usage)).map_err(|trouble| trouble.losing(usage))
    }
}

fn body(place: &Place<'_>, call: &EmbedCall) -> Value {
    let mut body: Map<String, Value> = place.candidate.extra.clone();
    body.insert("model".into(), place.model.into());
    body.insert("input".into(), call.texts.iter().map(String::as_str).collect());
    body.insert("encoding_format".into(), "float".into());
    if let Some(dimensions) = call.dimensions {
        body.insert("dimensions".into(), dimensions.into());
    }
    Value::Object(body)
}

/// One vector for each text, all of one length; by `index` where it is told.
fn vectors(answer: &Value, texts: usize) -> Result<Vec<Vec<f32>>, Trouble> {
    let data = answer.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut placed: Vec<_> = data
        .iter()
        .enumerate()
        .map(|(place, item)| {
            let place = u64::try_from(place).unwrap_or(u64::MAX);
            (item.get("index").and_then(Value::as_u64).unwrap_or(place), vector(item))
        })
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    let vectors: Option<Vec<_>> = placed.into_iter().map(|(_, vector)| vector).collect();
    let length = |vectors: &[Vec<f32>]| vectors.first().map_or(0, Vec::len);
    let fits = |vectors: &Vec<Vec<f32>>| {
        vectors.len() == texts && vectors.iter().all(|vector| vector.len() == length(vectors) && !vector.is_empty())
    };
    vectors.filter(fits).ok_or_else(|| {
        Trouble::new(Fault::EmptyAnswer, format!("the answer has not one vector for each of {texts} texts"))
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a vector's numbers are of single precision")]
fn vector(item: &Value) -> Option<Vec<f32>> {
    item.get("embedding")?.as_array()?.iter().map(|number| number.as_f64().map(|number| number as f32)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_has_its_vector_or_none_is_believed() {
        let item = |index: u64, numbers: &[f64]| json!({"index": index, "embedding": numbers});
        let turned = json!({"data": [item(1, &[3.0, 4.0]), item(0, &[1.0, 2.0])]});
        assert_eq!(vectors(&turned, 2).unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
        let without = json!({"data": [{"embedding": [1]}, {"embedding": [2]}]});
        assert_eq!(vectors(&without, 2).unwrap(), [[1.0], [2.0]]);
        for wrong in [
            json!({}),
            json!({"data": [item(0, &[1.0])]}),
            json!({"data": [item(0, &[1.0]), item(1, &[1.0, 2.0])]}),
            json!({"data": [item(0, &[]), item(1, &[])]}),
            json!({"data": [item(0, &[1.0]), {"embedding": "AAAA"}]}),
        ] {
            assert_eq!(vectors(&wrong, 2).unwrap_err().fault, Fault::EmptyAnswer, "{wrong}");
        }
    }
}
