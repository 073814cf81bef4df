//! From a declaration and a server's list to the skills that its tools become.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    listing::Listing,
    output::plain_schema,
    reach::{host_of, url_of},
};
use crate::contract::{
    Effect, Failure, FailureClass, Manifest, McpDeclaration, McpTerms, McpTool, McpTransport, Permission,
    check_manifest,
};

/// Longest description that is taken from a server. **Units**: characters.
const DESCRIPTION_MAX: usize = 2_000;

/// Whether a declaration can be meant, before anybody is asked.
///
/// # Errors
/// What cannot be.
pub(super) fn check(declaration: &McpDeclaration) -> Result<(), Failure> {
    let name = &declaration.server.name;
    let is_inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let is_part = |part: &str| part.starts_with(|c: char| c.is_ascii_lowercase());
    if name.len() > 60 || !name.bytes().all(is_inside) || !name.split('.').all(is_part) {
        return Err(wrong(format!("`{name}` is no name of a server: write lower-case letters, digits, `-` and `.`")));
    }
    if semver::Version::parse(&declaration.version).is_err() {
        let version = &declaration.version;
        return Err(wrong(format!("`{version}` is no semantic version: write it as in `1.0.0`")));
    }
    Ok(())
}

fn wrong(message: String) -> Failure {
    Failure::validation("mcp.declaration", message)
}

/// The skills that a server's tools become.
///
/// # Errors
/// When a declared tool is not there, two tools would have one name, or one can be no skill.
pub(super) fn manifests(declaration: &McpDeclaration, listing: &Listing) -> Result<Vec<Manifest>, Failure> {
    let server = &declaration.server.name;
    if let Some(pin) = declaration.pin.as_ref().filter(|pin| **pin != listing.pin.to_string()) {
        let message = format!("the tools of the MCP server `{server}` have the digest {}, and not {pin}", listing.pin);
        return Err(Failure::validation("mcp.changed", message));
    }
    if listing.tools.is_empty() {
        return Err(wrong(format!("the MCP server `{server}` has no tools")));
    }
    if let Some(name) = declaration.tools.keys().find(|name| !listing.tools.contains_key(*name)) {
        let has: Vec<&str> = listing.tools.keys().map(String::as_str).collect();
        return Err(wrong(format!("the MCP server `{server}` has no tool `{name}`; it has {}", has.join(", "))));
    }
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let mut manifests = Vec::new();
    for tool in listing.tools.keys() {
        let manifest = manifest(declaration, listing, tool)?;
        if let Some(other) = names.insert(manifest.name.clone(), tool) {
            let name = &manifest.name;
            return Err(wrong(format!("`{other}` and `{tool}` would both be `{name}`: say `as` for one of them")));
        }
        check_manifest(&manifest).map_err(|error| wrong(format!("the tool `{tool}` of `{server}`: {error}")))?;
        manifests.push(manifest);
    }
    Ok(manifests)
}

fn manifest(declaration: &McpDeclaration, listing: &Listing, tool: &str) -> Result<Manifest, Failure> {
    let terms = declaration.tools.get(tool).cloned().unwrap_or_default().or(&declaration.defaults);
    let server = &declaration.server.name;
    let Some((definition, pin)) = listing.tools.get(tool) else {
        return Err(wrong(format!("the MCP server `{server}` has no tool `{tool}`")));
    };
    let part = terms.called.clone().or_else(|| skill_part(tool)).ok_or_else(|| {
        let shown: String = tool.chars().flat_map(char::escape_default).take(80).collect();
        wrong(format!("no skill's name can be made of the tool `{shown}` of `{server}`: say `as`"))
    })?;
    let (permissions, hosts) = reach(declaration, &terms)?;
    let text = |key: &str| definition.get(key).and_then(Value::as_str).map(plain).filter(|text| !text.is_empty());
    let description = text("description").or_else(|| text("title")).unwrap_or_else(|| format!("The tool `{tool}`."));
    let plain = Manifest::new(&format!("{server}.{part}"), &description);
    Ok(Manifest {
        version: declaration.version.clone(),
        input: definition.get("inputSchema").cloned().unwrap_or(Value::Bool(true)),
        output: definition.get("outputSchema").cloned().unwrap_or_else(plain_schema),
        // What the server says about that is a hint.
        effect: terms.effect.unwrap_or(Effect::AtLeastOnce),
        timeout: terms.timeout.unwrap_or(plain.timeout),
        failures: vec![FailureClass::Validation, FailureClass::External, FailureClass::Resource],
        permissions,
        hosts,
        category: terms.category,
        ceiling: terms.ceiling.unwrap_or_default(),
        accepts: terms.accepts.unwrap_or_default(),
        mcp: Some(Box::new(McpTool {
            server: declaration.server.clone(),
            identity: listing.identity.clone(),
            name: tool.to_owned(),
            definition: definition.clone(),
            pin: *pin,
            list_pin: listing.pin,
        })),
        ..plain
    })
}

/// What its transport needs, and what is declared beside.
fn reach(declaration: &McpDeclaration, terms: &McpTerms) -> Result<(Vec<Permission>, Vec<String>), Failure> {
    let mut permissions = terms.permissions.clone().unwrap_or_default();
    let (needed, hosts) = match &declaration.server.transport {
        McpTransport::Stdio { .. } => (Permission::Processes, Vec::new()),
        McpTransport::Http { url, .. } => {
            let url = url_of(&declaration.server.name, url)?;
            let host = host_of(&url);
            let is_here = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
            let needed = if is_here { Permission::Loopback } else { Permission::Network };
            // An address in brackets is none that a manifest can spell.
            let spelt = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
            (needed, if host.starts_with('[') { Vec::new() } else { vec![spelt] })
        }
    };
    if !permissions.contains(&needed) {
        permissions.push(needed);
    }
    Ok((permissions, hosts))
}

/// A tool's name as the last part of a skill's: `getSum`, `get_sum` and `get/sum` are `get-sum`. None when it has
/// letters that look like others, or none at all.
fn skill_part(tool: &str) -> Option<String> {
    let mut part = String::new();
    let mut was_small = false;
    for letter in tool.chars() {
        match letter {
            'A'..='Z' => {
                if was_small {
                    part.push('-');
                }
                part.push(letter.to_ascii_lowercase());
            }
            'a'..='z' | '0'..='9' => part.push(letter),
            '_' | '-' | '.' | '/' | ' ' | ':' if part.ends_with('-') || part.is_empty() => {}
            '_' | '-' | '.' | '/' | ' ' | ':' => part.push('-'),
            _ => return None,
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    let part = part.trim_end_matches('-').to_owned();
    match part.chars().next()? {
        'a'..='z' => Some(part),
        _ => Some(format!("t-{part}")),
    }
}

/// A text without what nobody sees: signs without width, and those that turn the direction of reading.
fn plain(text: &str) -> String {
    let is_hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
    };
    text.chars().filter(|c| !is_hidden(*c)).take(DESCRIPTION_MAX).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::McpServer;

    fn declaration() -> McpDeclaration {
        let transport = McpTransport::Http { url: "https://api.example.com/mcp".into(), headers: BTreeMap::new() };
        McpDeclaration {
            server: McpServer { name: "sums".into(), transport },
            version: "1.0.0".into(),
            defaults: McpTerms::default(),
            tools: BTreeMap::new(),
            pin: None,
        }
    }

    fn listing(tools: &[(&str, Value)]) -> Listing {
        let told = tools.iter().map(|(name, tool)| ((*name).to_owned(), tool.clone())).collect();
        Listing::new(&declaration().server, "sums".into(), told)
    }

    #[test]
    fn mcp03_a_servers_own_hints_grant_nothing() {
        let tool = json!({
            "name": "getSum", "description": "Adds\u{200b}.\u{202e}", "inputSchema": { "type": "object" },
            "annotations": { "readOnlyHint": true, "idempotentHint": true, "openWorldHint": false },
        });
        let listing = listing(&[("getSum", tool)]);
        let made = manifests(&declaration(), &listing).unwrap();
        let sum = made.first().unwrap();
        assert_eq!((sum.name.as_str(), sum.description.as_str()), ("sums.get-sum", "Adds."));
        assert_eq!((sum.effect, &sum.permissions), (Effect::AtLeastOnce, &vec![Permission::Network]));
        assert_eq!((sum.output.clone(), sum.hosts.as_slice()), (plain_schema(), &["api.example.com".to_owned()][..]));
        let mut said = declaration();
        said.defaults.effect = Some(Effect::Idempotent);
        said.tools.insert("getSum".into(), McpTerms { called: Some("add".into()), ..McpTerms::default() });
        let made = manifests(&said, &listing).unwrap();
        let sum = made.first().unwrap();
        assert_eq!((sum.name.as_str(), sum.effect), ("sums.add", Effect::Idempotent));
    }

    #[test]
    fn tools_that_would_shadow_each_other_and_names_that_look_like_others_are_refused() {
        let tool = || json!({ "inputSchema": { "type": "object" } });
        for (listing, word) in [
            (listing(&[("get_sum", tool()), ("get-sum", tool())]), "would both be `sums.get-sum`"),
            (listing(&[("s\u{435}t", tool())]), "no skill's name can be made of the tool `s\\u{435}t`"),
            (listing(&[]), "has no tools"),
            (listing(&[("a", json!({ "inputSchema": { "type": "strnig" } }))]), "no JSON Schema"),
        ] {
            let told = manifests(&declaration(), &listing).unwrap_err();
            assert!(told.message.contains(word), "{told}");
        }
        let mut other = declaration();
        other.tools.insert("subtract".into(), McpTerms::default());
        let told = manifests(&other, &listing(&[("add", tool())])).unwrap_err();
        assert!(told.message.contains("no tool `subtract`; it has add"), "{told}");
        let pinned = McpDeclaration { pin: Some("sha256:00".into()), ..declaration() };
        assert_eq!(manifests(&pinned, &listing(&[("add", tool())])).unwrap_err().code, "mcp.changed");
    }

    #[test]
    fn every_usual_name_of_a_tool_becomes_a_part_of_a_skills_name() {
        for (tool, part) in [
            ("getSum", "get-sum"),
            ("get_sum", "get-sum"),
            ("files/read", "files-read"),
            ("HTTPGet", "httpget"),
            ("2fa", "t-2fa"),
            ("_x__y_", "x-y"),
        ] {
            assert_eq!(skill_part(tool).as_deref(), Some(part), "{tool}");
        }
        assert_eq!((skill_part("__"), skill_part("a b"), skill_part("sümme")), (None, Some("a-b".into()), None));
    }
}
