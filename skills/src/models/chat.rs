//! A conversation with a model, in our own types.
//!
//! They stand in journals, so fields are only ever added, with a default. What providers add to an
//! answer beside text and tool calls (reasoning and its signatures) is kept in [`Said::extra`] and
//! sent back as it came: some refuse a conversation in which it is missing.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Message {
    /// What the model is and how it should behave.
    System {
        /// The words.
        text: String,
    },
    /// What it is asked or told.
    User {
        /// The words.
        text: String,
    },
    /// What it said in an earlier turn.
    Assistant(Said),
    /// What came of a tool call.
    Tool {
        /// The [`ToolCall::id`] that it answers.
        call: String,
        /// The result, as the model reads it.
        text: String,
    },
}

/// What a model said in one turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// The words; empty when it only called tools.
    #[serde(default)]
    pub text: String,
    /// The tools that it wants called, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why it would not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What else the provider gave (`reasoning`, `reasoning_content`, …); sent back as it came.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// A tool that the model wants called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolCall {
    /// The provider's name for the call; not unique beyond its turn.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// What to call it with.
    pub arguments: Arguments,
}

/// What a tool is to be called with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arguments {
    /// An object; an empty one when the model gave none.
    Object(Value),
    /// Text that is no JSON object, as the model wrote it: nothing is repaired.
    Unreadable(String),
}

impl Arguments {
    /// Reads the text of a whole tool call.
    pub fn parse(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::Object(Value::Object(Map::new()));
        }
        match serde_json::from_str(text) {
            Ok(object @ Value::Object(_)) => Self::Object(object),
            _ => Self::Unreadable(text.to_owned()),
        }
    }

    /// The text that a provider is sent.
    pub fn to_text(&self) -> String {
        match self {
            Self::Object(value) => value.to_string(),
            Self::Unreadable(text) => text.clone(),
        }
    }
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolSpec {
    /// The name by which it is called.
    pub name: String,
    /// What it does, for the model.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of its arguments.
    #[serde(default)]
    pub parameters: Value,
}

/// The form that the answer's text must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Format {
    /// The form's name.
    pub name: String,
    /// Its JSON Schema.
    pub schema: Value,
    /// Whether the provider must hold the model to it.
    #[serde(default)]
    pub strict: bool,
}

/// What a model is asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The tools that it may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// The form of the answer, when it must have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Most tokens of the answer; always sent, or no budget could be kept.
    pub max_tokens: u32,
    /// How freely it chooses its words; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Further members of the provider's request; they go before all others but `stream`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// A model's whole answer; its end was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// What it said.
    pub said: Said,
    /// Why it stopped.
    pub finish: Finish,
    /// What it used.
    pub usage: Usage,
    /// The provider's name for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that answered, in the provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// It had said what it wanted.
    Stop,
    /// It wants tools called.
    ToolCalls,
    /// It reached the most tokens; the text is cut.
    Length,
    /// The provider's filter ended it; paid for all the same.
    ContentFilter,
    /// Another reason, in the provider's word; empty when a whole answer gave none.
    Other(String),
}

impl Finish {
    /// The reason from the provider's word; none for an empty one, which some send with every piece.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "" => return None,
            "stop" => Self::Stop,
            "tool_calls" | "function_call" => Self::ToolCalls,
            "length" => Self::Length,
            "content_filter" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        })
    }
}

/// What an answer used. **Units**: tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Of the request, cached ones included.
    pub input_tokens: u64,
    /// Of the answer, those of reasoning included.
    pub output_tokens: u64,
    /// Of the input: what the provider had in its cache.
    pub cached_input_tokens: u64,
    /// Of the output: what was reasoning.
    pub reasoning_tokens: u64,
    /// The provider told no figures; these are ours, from the number of bytes.
    pub estimated: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_conversation_has_a_wire_form_that_is_read_back() {
        let said = Said {
            text: "looking".into(),
            tool_calls: vec![
                ToolCall { id: "c1".into(), name: "look".into(), arguments: Arguments::Object(json!({"at": 1})) },
                ToolCall { id: "c2".into(), name: "look".into(), arguments: Arguments::Unreadable("{\"at\":".into()) },
            ],
            refusal: None,
            extra: json!({"reasoning_content": "hm"}).as_object().unwrap().clone(),
        };
        let messages = vec![
            Message::System { text: "be brief".into() },
            Message::User { text: "look".into() },
            Message::Assistant(said),
            Message::Tool { call: "c1".into(), text: "seen".into() },
        ];
        let text = serde_json::to_value(&messages).unwrap();
        assert_eq!(
            text,
            json!([
                {"role": "system", "text": "be brief"},
                {"role": "user", "text": "look"},
                {"role": "assistant", "text": "looking", "extra": {"reasoning_content": "hm"}, "toolCalls": [
                    {"id": "c1", "name": "look", "arguments": {"object": {"at": 1}}},
                    {"id": "c2", "name": "look", "arguments": {"unreadable": "{\"at\":"}}]},
                {"role": "tool", "call": "c1", "text": "seen"},
            ])
        );
        assert_eq!(serde_json::from_value::<Vec<Message>>(text).unwrap(), messages);
    }

    #[test]
    fn a_request_needs_no_more_than_messages_and_a_bound() {
        let least = json!({"messages": [{"role": "assistant"}], "maxTokens": 5});
        let request: Request = serde_json::from_value(least).unwrap();
        assert_eq!(request.messages, [Message::Assistant(Said::default())]);
        assert!(request.tools.is_empty() && request.format.is_none() && request.extra.is_empty());
    }

    #[test]
    fn an_answer_of_an_older_journal_is_read() {
        let answer: Answer =
            serde_json::from_value(json!({"said": {"text": "x"}, "finish": {"other": "eos"}, "usage": {}})).unwrap();
        assert_eq!(answer.finish, Finish::Other("eos".into()));
        assert_eq!((answer.usage, answer.id), (Usage::default(), None));
        for finish in [Finish::Stop, Finish::ToolCalls, Finish::Length, Finish::ContentFilter] {
            let text = serde_json::to_value(&finish).unwrap();
            assert_eq!(serde_json::from_value::<Finish>(text).unwrap(), finish);
        }
    }

    #[test]
    fn arguments_are_an_object_or_what_the_model_wrote() {
        assert_eq!(Arguments::parse(" {\"a\": [1]}"), Arguments::Object(json!({"a": [1]})));
        assert_eq!(Arguments::parse(""), Arguments::Object(json!({})));
        for text in ["{\"a\":", "[1]", "\"a\"", "{'a': 1}"] {
            assert_eq!(Arguments::parse(text), Arguments::Unreadable(text.into()));
            assert_eq!(Arguments::parse(text).to_text(), text);
        }
    }
}
