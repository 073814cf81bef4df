//! A file that declares an MCP server: how it is reached, and what its tools are held to.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{file::call_time, shape};
use crate::{
    contract::{Accepts, Ceiling, Effect, McpDeclaration, McpServer, McpTerms, McpTransport, Permission},
    yaml::{self, Mistake, Node},
};

/// The kind that such a file says it is of.
const KIND: &str = "McpServer";

/// JSON Schema (2020-12) of such a file.
pub(super) fn schema() -> Value {
    serde_json::from_str(include_str!("server.schema.json")).unwrap_or_default()
}

#[derive(Deserialize)]
struct Written {
    name: String,
    version: String,
    stdio: Option<Stdio>,
    http: Option<Http>,
    #[serde(default)]
    defaults: Terms,
    #[serde(default)]
    tools: BTreeMap<String, Terms>,
    pin: Option<String>,
}

#[derive(Deserialize)]
struct Stdio {
    command: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Http {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
struct Terms {
    #[serde(rename = "as")]
    called: Option<String>,
    effect: Option<Effect>,
    timeout: Option<String>,
    category: Option<String>,
    permissions: Option<Vec<Permission>>,
    ceiling: Option<Ceiling>,
    accepts: Option<Accepts>,
}

/// Whether a file declares an MCP server, and no skill.
pub fn is_server(source: &str) -> bool {
    yaml::parse(source).is_ok_and(|node| node.get("kind").and_then(Node::as_str) == Some(KIND))
}

/// Reads a file that declares an MCP server.
///
/// # Errors
/// Every mistake with its place.
pub fn read_server(source: &str, file: &str) -> Result<McpDeclaration, Vec<Mistake>> {
    let named = |mistake: Mistake| mistake.in_file(file);
    let node = yaml::parse(source).map_err(|mistake| vec![named(mistake)])?;
    let mistakes = shape::mistakes(&node, &schema());
    if !mistakes.is_empty() {
        return Err(mistakes.into_iter().map(named).collect());
    }
    let written = Written::deserialize(node.to_json())
        .map_err(|error| vec![named(Mistake::new(node.span, format!("this declares no server: {error}")))])?;
    declaration(written, &node).map_err(|mistake| vec![named(mistake)])
}

fn declaration(written: Written, node: &Node) -> Result<McpDeclaration, Mistake> {
    let transport = match (written.stdio, written.http) {
        (Some(Stdio { command, args, env }), None) => McpTransport::Stdio { command, args, env },
        (None, Some(Http { url, headers })) => McpTransport::Http { url, headers },
        _ => return Err(Mistake::new(node.span, "say one of `stdio` and `http`: how the server is reached")),
    };
    if semver::Version::parse(&written.version).is_err() {
        let message = format!("`{}` is no semantic version: write it as in `1.0.0`", written.version);
        return Err(Mistake::new(node.nearest("/version").span, message));
    }
    let defaults = terms(written.defaults, node, "/defaults")?;
    let tool = |(name, said): (String, Terms)| {
        let pointer = format!("/tools/{}", name.replace('~', "~0").replace('/', "~1"));
        Ok((name, terms(said, node, &pointer)?))
    };
    Ok(McpDeclaration {
        server: McpServer { name: written.name, transport },
        version: written.version,
        defaults,
        tools: written.tools.into_iter().map(tool).collect::<Result<_, Mistake>>()?,
        pin: written.pin,
    })
}

fn terms(said: Terms, node: &Node, at: &str) -> Result<McpTerms, Mistake> {
    let timeout = said.timeout.map(|text| call_time(&text, node, &format!("{at}/timeout"))).transpose()?;
    let Terms { called, effect, category, permissions, ceiling, accepts, .. } = said;
    Ok(McpTerms { called, effect, timeout, category, permissions, ceiling, accepts })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WHOLE: &str = "\
kind: McpServer
name: shop
version: 1.0.0
http:
  url: https://shop.example/mcp
  headers: { authorization: 'Bearer ${KEY}' }
defaults: { timeout: 5s, accepts: tainted }
tools:
  get/stock: { as: stock, effect: pure, category: store }
";

    #[test]
    fn a_file_says_how_a_server_is_reached_and_what_its_tools_are_held_to() {
        assert!(is_server(WHOLE) && !is_server("name: a.b\n") && !is_server("a: ["));
        let read = read_server(WHOLE, "shop.yaml").unwrap();
        assert_eq!((read.server.name.as_str(), read.version.as_str()), ("shop", "1.0.0"));
        let McpTransport::Http { url, headers } = &read.server.transport else { panic!("{read:?}") };
        assert_eq!((url.as_str(), headers.len()), ("https://shop.example/mcp", 1));
        let stock = read.tools.get("get/stock").cloned().unwrap().or(&read.defaults);
        assert_eq!((stock.effect, stock.timeout), (Some(Effect::Pure), Some(Duration::from_secs(5))));
        assert_eq!((stock.called.as_deref(), stock.accepts), (Some("stock"), Some(Accepts::Tainted)));
    }

    #[test]
    fn what_is_wrong_with_it_is_told_with_its_place() {
        for (from, to, place, part) in [
            ("http:", "htp:", "shop.yaml:4:1", "`htp` is not known here (did you mean `http`?)"),
            ("'Bearer ${KEY}'", "Bearer abc", "shop.yaml:6:29", "`authorization`"),
            ("timeout: 5s", "timeout: 0s", "shop.yaml:7:22", "no time that a call can take"),
            ("version: 1.0.0", "version: one", "shop.yaml:3:10", "no semantic version"),
            ("effect: pure", "effect: none", "shop.yaml:9:", "`effect` cannot be `none`"),
            ("http:\n", "stdio: { command: /bin/x }\nhttp:\n", "shop.yaml:1:1", "one of `stdio` and `http`"),
        ] {
            assert!(WHOLE.contains(from), "{from}");
            let found = read_server(&WHOLE.replacen(from, to, 1), "shop.yaml").unwrap_err();
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert!(found.iter().any(|told| told.starts_with(place) && told.contains(part)), "{to}: {found:#?}");
        }
    }
}
