//! `mesh runs submit`.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use mesh_proto::v1;
use prost_reflect::{DynamicMessage, ReflectMessage, prost::Message};
use serde_json::{Map, Value};

use super::{show, watch};
use crate::cli::{
    Failure, clients,
    context::{Context, fresh_request_id, read_text},
};

/// What a run is given.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// One part of the input; VALUE is JSON, or else a text; or a whole JSON object; may be given several times
    #[arg(long = "input", short = 'i', value_name = "KEY=VALUE", conflicts_with = "input_file")]
    input: Vec<String>,
    /// The input as a JSON or YAML file; - is standard input
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
}

/// By which a run is known to whoever asked for it.
#[derive(Debug, Args)]
pub(crate) struct Marks {
    /// Makes the request repeatable: the same id again answers with the same run
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// The project that it belongs to
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(crate) project: String,
    /// A name and a value to find the run by; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE")]
    pub(crate) labels: Vec<String>,
}

/// What `mesh runs submit` takes.
#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// The published definition, as NAME or NAME@VERSION
    #[arg(value_name = "DEFINITION")]
    definition: String,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    marks: Marks,
    /// Check everything and submit nothing
    #[arg(long)]
    validate_only: bool,
    /// Follow the run until it ends; the exit code says whether it succeeded
    #[arg(long, short = 'w')]
    watch: bool,
}

pub(super) async fn submit(args: Submit, context: Context) -> Result<(), Failure> {
    let (definition, version) = name_and_version(&args.definition)?;
    let request = v1::SubmitRunRequest {
        definition,
        version,
        input: Some(args.input.read()?),
        request_id: args.marks.request_id.unwrap_or_else(fresh_request_id),
        project_id: args.marks.project,
        validate_only: args.validate_only,
        labels: labels(&args.marks.labels)?,
    };
    let mut client = clients::workflows(context.link().await?);
    let answer = client.submit_run(request).await?.into_inner();
    let Some(run) = &answer.run else {
        return Ok(context.out.line("valid: nothing was submitted")?);
    };
    if args.watch {
        return watch::until_end(run.run_id.clone(), client, &context).await;
    }
    if context.out.is_json() {
        return context.out.json("SubmitRunResponse", &answer);
    }
    if answer.repeated {
        context.out.line("the same request had come before")?;
    }
    let whole = client.get_run(v1::GetRunRequest { run_id: run.run_id.clone() }).await?;
    show::print(whole.get_ref().run.as_ref().unwrap_or(run), &context)
}

/// Splits `deploy@3`.
pub(crate) fn name_and_version(text: &str) -> Result<(String, u32), Failure> {
    let Some((name, version)) = text.rsplit_once('@') else { return Ok((text.to_owned(), 0)) };
    let version = version
        .parse()
        .ok()
        .filter(|version| *version > 0)
        .ok_or_else(|| Failure::Usage(format!("`{text}`: a version is a whole number from 1, as in {name}@2")))?;
    Ok((name.to_owned(), version))
}

/// `NAME=VALUE`, each a label.
pub(crate) fn labels(pairs: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let split = |pair: &String| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let wrong = |pair: &String| Failure::Usage(format!("`{pair}` is no NAME=VALUE"));
    pairs.iter().map(|pair| split(pair).ok_or_else(|| wrong(pair))).collect()
}

impl InputArgs {
    /// The input.
    pub(crate) fn read(&self) -> Result<prost_types::Struct, Failure> {
        let value = match &self.input_file {
            Some(path) => {
                let text = read_text(path)?;
                mesh_skills::yaml::parse(&text).map_err(|mistake| Failure::Usage(mistake.to_string()))?.to_json()
            }
            None => Value::Object(pairs(&self.input)?),
        };
        if !value.is_object() {
            return Err(Failure::Usage("the input of a run is an object: write keys and values".to_owned()));
        }
        to_struct(&value).ok_or_else(|| Failure::Usage("the input holds a number that JSON cannot carry".to_owned()))
    }
}

/// `KEY=VALUE`, or a whole JSON object, as one object. A value is JSON where it is JSON, else a text.
fn pairs(pairs: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut object = Map::new();
    for pair in pairs {
        if pair.trim_start().starts_with('{') {
            let whole: Map<String, Value> = serde_json::from_str(pair)
                .map_err(|error| Failure::Usage(format!("`{pair}` is no JSON object: {error}")))?;
            object.extend(whole);
            continue;
        }
        let (key, text) = pair
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("`{pair}` is neither KEY=VALUE nor a JSON object")))?;
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        object.insert(key.to_owned(), value);
    }
    Ok(object)
}

/// A JSON object as the contract's `Struct`.
fn to_struct(value: &Value) -> Option<prost_types::Struct> {
    let descriptor = prost_types::Struct::default().descriptor();
    let dynamic = DynamicMessage::deserialize(descriptor, value).ok()?;
    prost_types::Struct::decode(dynamic.encode_to_vec().as_slice()).ok()
}

/// A JSON value as the contract's `Value`.
pub(super) fn to_value(value: &Value) -> Option<prost_types::Value> {
    let descriptor = prost_types::Value::default().descriptor();
    let dynamic = DynamicMessage::deserialize(descriptor, value).ok()?;
    prost_types::Value::decode(dynamic.encode_to_vec().as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_may_name_its_version() {
        assert_eq!(name_and_version("deploy").unwrap(), ("deploy".to_owned(), 0));
        assert_eq!(name_and_version("deploy@3").unwrap(), ("deploy".to_owned(), 3));
        for bad in ["deploy@", "deploy@0", "deploy@x"] {
            assert!(name_and_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_value_is_json_where_it_is_json() {
        let given = ["n=3", "flag=true", "name=acme", "list=[1]", "text=\"3\"", "empty="].map(str::to_owned);
        let object = Value::Object(pairs(&given).unwrap());
        let expected = serde_json::json!({
            "n": 3, "flag": true, "name": "acme", "list": [1], "text": "3", "empty": "",
        });
        assert_eq!(object, expected);
        assert!(pairs(&["nothing".to_owned()]).is_err());
        let mixed = [r#"{"name": "Ada", "n": 1}"#.to_owned(), "n=2".to_owned()];
        assert_eq!(Value::Object(pairs(&mixed).unwrap()), serde_json::json!({ "name": "Ada", "n": 2 }));
        assert!(pairs(&["{".to_owned()]).is_err());
        let carried = to_struct(&expected).unwrap();
        assert_eq!(carried.fields.len(), 6);
    }
}
