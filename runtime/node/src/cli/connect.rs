//! Finding the node and presenting the key.

use std::{error::Error, time::Duration};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use super::{Failure, args::Global};
use crate::config::DataFolder;

/// Bytes of one answer: definitions and inputs may be large.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection whose requests carry the key.
pub(crate) type Link = InterceptedService<Channel, Bearer>;

/// Puts the key into each request.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("authorization", key.clone());
        }
        Ok(request)
    }
}

/// Connects to the node that the arguments name.
pub(crate) async fn link(global: &Global) -> Result<Link, Failure> {
    let address = match &global.server {
        Some(url) => url.clone(),
        None => running_at(global)?,
    };
    to(&address, global, &key(global)?).await
}

/// Connects to an address with a key.
pub(crate) async fn to(address: &str, global: &Global, key: &str) -> Result<Link, Failure> {
    let mut bearer: MetadataValue<Ascii> = format!("Bearer {key}")
        .parse()
        .map_err(|_| Failure::Usage("the API key holds characters that no key has: copy it again".to_owned()))?;
    bearer.set_sensitive(true);
    let unreachable = |error: &dyn Error| Failure::Unreachable { address: address.to_owned(), cause: innermost(error) };
    let channel = endpoint(address, global)?.connect().await.map_err(|error| unreachable(&error))?;
    Ok(InterceptedService::new(channel, Bearer(Some(bearer))))
}

fn endpoint(address: &str, global: &Global) -> Result<Endpoint, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::Usage(format!("`{address}` is no address of a node: {why}; `http://127.0.0.1:7400` is one"))
    };
    let with_scheme = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let endpoint = Endpoint::from_shared(with_scheme.clone())
        .map_err(|error| wrong(&error))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_while_idle(true);
    if !with_scheme.starts_with("https://") {
        return Ok(endpoint);
    }
    let Some(path) = &global.ca else {
        return Err(Failure::Usage("an https server needs `--ca FILE`: the certificate authority to trust".to_owned()));
    };
    let pem = std::fs::read(path).map_err(|source| Failure::File { path: path.clone(), verb: "read", source })?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    endpoint.tls_config(tls).map_err(|error| wrong(&error))
}

/// Where the node of the data folder says that it answers.
fn running_at(global: &Global) -> Result<String, Failure> {
    let running = DataFolder::at(&global.data).running().map_err(|source| Failure::File {
        path: global.data.join("node.json"),
        verb: "read",
        source,
    })?;
    running.map(|running| running.grpc).ok_or_else(|| Failure::NoNode(global.data.clone()))
}

/// The key: of the environment, else the first one of the data folder.
///
/// With `--server` only the environment counts: a node elsewhere has nothing to do with our folder.
pub(crate) fn key(global: &Global) -> Result<String, Failure> {
    if let Ok(key) = std::env::var("MESH_API_KEY")
        && !key.trim().is_empty()
    {
        return Ok(key.trim().to_owned());
    }
    if global.server.is_some() {
        return Err(Failure::NoKey);
    }
    let data = DataFolder::at(&global.data);
    let kept =
        data.read_operator_key().map_err(|source| Failure::File { path: data.operator_key(), verb: "read", source })?;
    kept.ok_or(Failure::NoKey)
}

/// The last cause of an error, which says what the system said.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
