//! What the operator allows: programs that servers may be, hosts that are spoken to, variables that are read.

use std::{collections::BTreeMap, fmt, time::Duration};

use mesh_kernel::envelope::TenantId;
use reqwest::Url;

use crate::contract::{Failure, McpServer, McpTransport};

/// What the operator allows, and how much.
#[derive(Clone)]
pub struct Settings {
    /// Command lines that are started: words parted by blanks. One that ends in ` *` may have any arguments behind
    /// it, any other none but its own.
    pub commands: Vec<String>,
    /// Hosts that are spoken to, as in `api.example.com`, `*.example.com`, `127.0.0.1:8080`; the scheme's own port
    /// when none is said.
    pub hosts: Vec<String>,
    /// Most data memory of a process. **Units**: bytes.
    pub memory_max: u64,
    /// How long a connection that nobody uses is kept.
    pub idle: Duration,
    /// Reads a variable of the node's.
    pub variable: fn(&str) -> Option<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commands, hosts, memory_max, idle, variable: _ } = self;
        f.debug_struct("Settings")
            .field("commands", commands)
            .field("hosts", hosts)
            .field("memory_max", memory_max)
            .field("idle", idle)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    /// Nothing is allowed.
    fn default() -> Self {
        Self {
            commands: Vec::new(),
            hosts: Vec::new(),
            memory_max: 1024 * 1024 * 1024,
            idle: Duration::from_secs(300),
            variable: |_| None,
        }
    }
}

impl Settings {
    /// Whether the server may be connected to at all.
    ///
    /// # Errors
    /// With the line that the operator would have to add.
    pub(super) fn allow(&self, server: &McpServer) -> Result<(), Failure> {
        let (key, needed) = match &server.transport {
            McpTransport::Stdio { command, args, .. } => {
                if !command.starts_with('/') {
                    let message = format!("the command of `{}` is no absolute path: `{command}`", server.name);
                    return Err(not_allowed(message));
                }
                let words: Vec<&str> = std::iter::once(command).chain(args).map(String::as_str).collect();
                if self.commands.iter().any(|line| permits(line, &words)) {
                    return Ok(());
                }
                ("commands", words.join(" "))
            }
            McpTransport::Http { url, .. } => {
                let url = url_of(&server.name, url)?;
                let host = host_of(&url);
                if self.hosts.iter().any(|pattern| holds(pattern, &host, url.port_or_known_default())) {
                    return Ok(());
                }
                ("hosts", url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
            }
        };
        let message = format!(
            "the operator has not allowed the MCP server `{}`: in `mesh.toml`, section `[mcp]`, \
             `{key}` would have to hold \"{needed}\"",
            server.name
        );
        Err(not_allowed(message))
    }

    /// The texts with what their references mean for this tenant.
    ///
    /// A tenant reaches variables that were set for it and no others: `${KEY}` is `MCP__<TENANT>__KEY`.
    ///
    /// # Errors
    /// When a text holds no reference, or the node has no such variable. No value is told.
    pub(super) fn resolved(
        &self,
        tenant: &TenantId,
        texts: &BTreeMap<String, String>,
    ) -> Result<Vec<(String, Secret)>, Failure> {
        let resolve = |(name, text): (&String, &String)| {
            let wrong = |what: String| Err(Failure::validation("mcp.variable", what));
            let Some((before, variable, after)) = reference(text) else {
                let what = format!("`{name}` must hold one reference, as in `${{KEY}}`: values are never written down");
                return wrong(what);
            };
            let owner = tenant.as_str().to_uppercase().replace(['-', '.'], "_");
            let whole = format!("MCP__{owner}__{variable}");
            let Some(value) = (self.variable)(&whole) else {
                return wrong(format!("`{name}` needs the variable `{whole}`, which the node does not have"));
            };
            Ok((name.clone(), Secret { whole: format!("{before}{value}{after}"), value }))
        };
        texts.iter().map(resolve).collect()
    }
}

/// A text with a value in it that nobody may see.
pub(super) struct Secret {
    /// What is sent.
    pub(super) whole: String,
    /// What must not be shown.
    pub(super) value: String,
}

/// Where a server answers.
///
/// # Errors
/// When it is no address of a server.
pub(super) fn url_of(server: &str, url: &str) -> Result<Url, Failure> {
    let wrong = || not_allowed(format!("the MCP server `{server}` has no address that can be asked: `{url}`"));
    let parsed = Url::parse(url).map_err(|_| wrong())?;
    let is_plain = parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none();
    let is_asked = matches!(parsed.scheme(), "http" | "https") && parsed.has_host();
    if is_plain && is_asked { Ok(parsed) } else { Err(wrong()) }
}

/// The host of an address, as manifests spell it.
pub(super) fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_ascii_lowercase()
}

fn not_allowed(message: String) -> Failure {
    Failure::validation("mcp.not-allowed", message)
}

fn permits(line: &str, words: &[&str]) -> bool {
    let mut allowed: Vec<&str> = line.split_whitespace().collect();
    let is_open = allowed.len() > 1 && allowed.last() == Some(&"*");
    if is_open {
        allowed.pop();
        return words.starts_with(&allowed);
    }
    // Compared as one line too: an argument may hold blanks.
    !allowed.is_empty() && (allowed == words || line == words.join(" "))
}

fn holds(pattern: &str, host: &str, port: Option<u16>) -> bool {
    let (name, wanted) = match pattern.rsplit_once(':') {
        Some((name, wanted)) if !name.ends_with(':') && !wanted.ends_with(']') => (name, wanted.parse().ok()),
        _ => (pattern, None),
    };
    let is_port = match wanted {
        Some(wanted) => port == Some(wanted),
        None => matches!(port, Some(80 | 443)),
    };
    let is_host = name.strip_prefix("*.").map_or_else(
        || name.eq_ignore_ascii_case(host),
        |above| host.strip_suffix(above).is_some_and(|below| below.len() > 1 && below.ends_with('.')),
    );
    is_port && is_host
}

/// What stands before, in and behind the one `${NAME}` of a text.
fn reference(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (name, after) = rest.split_once('}')?;
    let is_inside = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(is_inside);
    // Two underscores part the tenant from the name: a name that has them could be another tenant's.
    (is_name && !name.contains("__") && !after.contains("${")).then_some((before, name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stdio(command: &str, args: &[&str]) -> McpServer {
        let args = args.iter().map(|word| (*word).to_owned()).collect();
        let transport = McpTransport::Stdio { command: command.into(), args, env: BTreeMap::new() };
        McpServer { name: "s".into(), transport }
    }

    fn http(url: &str) -> McpServer {
        let transport = McpTransport::Http { url: url.into(), headers: BTreeMap::new() };
        McpServer { name: "s".into(), transport }
    }

    #[test]
    fn nothing_is_started_or_asked_that_the_operator_has_not_named() {
        let settings = Settings {
            commands: vec!["/bin/sums --safe".into(), "/bin/any *".into()],
            hosts: vec!["api.example.com".into(), "*.inside.example".into(), "127.0.0.1:8080".into()],
            ..Settings::default()
        };
        for good in [
            stdio("/bin/sums", &["--safe"]),
            stdio("/bin/any", &["a", "b"]),
            stdio("/bin/any", &[]),
            http("https://api.example.com/mcp"),
            http("https://a.inside.example/"),
            http("http://127.0.0.1:8080/mcp"),
        ] {
            settings.allow(&good).unwrap();
        }
        for bad in [
            stdio("/bin/sums", &[]),
            stdio("/bin/sums", &["--safe", "--all"]),
            stdio("/bin/anything", &[]),
            stdio("any", &[]),
            http("https://api.example.com:8443/mcp"),
            http("https://api.example.com.evil.example/"),
            http("https://inside.example/"),
            http("https://evilinside.example/"),
            http("http://127.0.0.1/mcp"),
            http("https://me:secret@api.example.com/mcp"),
            http("file:///etc/passwd"),
        ] {
            let told = settings.allow(&bad).unwrap_err();
            assert_eq!(told.code, "mcp.not-allowed", "{bad:?}");
        }
        let told = settings.allow(&stdio("/bin/other", &["-x"])).unwrap_err();
        assert!(told.message.contains("`commands` would have to hold \"/bin/other -x\""), "{told}");
    }

    #[test]
    fn a_reference_reaches_the_tenants_own_variables_and_is_never_told() {
        let settings = Settings {
            variable: |name| (name == "MCP__ACME_SHOP__KEY").then(|| "hush".to_owned()),
            ..Settings::default()
        };
        let texts = |text: &str| BTreeMap::from([("authorization".to_owned(), text.to_owned())]);
        let acme = TenantId::parse("acme-shop").unwrap();
        let found = settings.resolved(&acme, &texts("Bearer ${KEY}")).unwrap();
        assert_eq!(found.first().map(|(_, secret)| secret.whole.as_str()), Some("Bearer hush"));
        let other = TenantId::parse("other").unwrap();
        for (tenant, text) in [
            (&other, "${KEY}"),
            (&acme, "a value"),
            (&acme, "${A}${B}"),
            (&acme, "${SHOP__KEY}"),
            (&acme, "${key}"),
            (&acme, "${NONE}"),
        ] {
            let told = settings.resolved(tenant, &texts(text)).map(drop).unwrap_err();
            assert!(told.code == "mcp.variable" && !told.message.contains("hush"), "{told}");
        }
    }
}
