//! What an outsider can ask of a node without knowing it: reflection, and plain HTTP.

use std::time::Duration;

use anyhow::{Context, Result};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// Every method of our own services, as `package.Service/Method`, asked of the running node.
///
/// # Errors
/// When reflection does not answer.
pub async fn method_names(grpc: &str) -> Result<Vec<String>> {
    let mut client = ServerReflectionClient::connect(grpc.to_owned()).await?;
    let listed = ask(&mut client, MessageRequest::ListServices(String::new())).await?;
    let MessageResponse::ListServicesResponse(services) = listed else { anyhow::bail!("no list of services") };
    let mut methods = Vec::new();
    for service in services.service.iter().filter(|service| service.name.starts_with("mesh.")) {
        let described = ask(&mut client, MessageRequest::FileContainingSymbol(service.name.clone())).await?;
        let MessageResponse::FileDescriptorResponse(files) = described else { anyhow::bail!("no descriptor") };
        for file in files.file_descriptor_proto {
            let file = prost_types::FileDescriptorProto::decode(file.as_slice())?;
            for described in &file.service {
                let name = format!("{}.{}", file.package(), described.name());
                if name == service.name {
                    methods.extend(described.method.iter().map(|method| format!("{name}/{}", method.name())));
                }
            }
        }
    }
    methods.sort();
    methods.dedup();
    Ok(methods)
}

async fn ask(
    client: &mut ServerReflectionClient<tonic::transport::Channel>,
    request: MessageRequest,
) -> Result<MessageResponse> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    answers.message().await?.and_then(|answer| answer.message_response).context("reflection said nothing")
}

/// GETs `http://…` and answers status and body. A stream is read for as long as `at_most`.
///
/// # Errors
/// When nobody listens, or what answers is no HTTP.
pub async fn get(url: &str, key: Option<&str>, at_most: Duration) -> Result<(u16, String)> {
    let rest = url.strip_prefix("http://").context("http:// is expected")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).await?;
    let authorization = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n{authorization}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(at_most, stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP status")?;
    Ok((status, text))
}
