//! Step 1 for gRPC: from the request's metadata to a caller.
//!
//! It runs before any service of ours, so that no method can forget it; a method that is reached
//! without a caller answers `INTERNAL` and does nothing.

use mesh_kernel::{
    envelope::{ErrorKind, Refusal},
    path::{Caller, Mesh},
    ports::Credential,
};
use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

use super::status::status;

/// Authenticates each request and puts the [`Caller`] into its extensions.
#[derive(Clone)]
pub(super) struct Authenticate {
    mesh: Mesh,
}

impl Authenticate {
    /// An interceptor that asks this kernel.
    pub(super) fn new(mesh: Mesh) -> Self {
        Self { mesh }
    }
}

impl Interceptor for Authenticate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata();
        let credential = credential(metadata).map_err(|refusal| status(&refusal))?;
        let traceparent = text(metadata, "traceparent").map(str::to_owned);
        let caller = self.mesh.accept(&credential, traceparent.as_deref()).map_err(|refusal| status(&refusal))?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

/// Who sends this request.
///
/// # Errors
/// `INTERNAL` when the service was mounted without [`Authenticate`].
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(|| status(&Refusal::new("GTW-0002", ErrorKind::Internal, "the request was not authenticated")))
}

/// The credential in `authorization: Bearer …` or `x-api-key: …`.
///
/// # Errors
/// When there is none.
pub(super) fn credential(metadata: &MetadataMap) -> Result<Credential, Refusal> {
    if let Some(given) = text(metadata, "authorization") {
        let bearer = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, key)) = bearer else {
            return Err(unauthenticated("`authorization` must be `Bearer` and an API key"));
        };
        return Ok(Credential::ApiKey(key.trim().to_owned()));
    }
    match text(metadata, "x-api-key") {
        Some(key) => Ok(Credential::ApiKey(key.trim().to_owned())),
        None => Err(unauthenticated("an API key is needed: send `authorization: Bearer …`")),
    }
}

fn unauthenticated(message: &str) -> Refusal {
    Refusal::new("GTW-0003", ErrorKind::Unauthenticated, message)
}

fn text<'a>(metadata: &'a MetadataMap, name: &str) -> Option<&'a str> {
    metadata.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(name: &'static str, value: &str) -> Result<String, ErrorKind> {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, value.parse().unwrap());
        match credential(&metadata) {
            Ok(Credential::ApiKey(key)) => Ok(key),
            Ok(Credential::Session(_)) => panic!("gRPC knows no sessions"),
            Err(refusal) => Err(refusal.kind),
        }
    }

    #[test]
    fn a_key_comes_as_bearer_or_as_a_header_of_its_own() {
        assert_eq!(key_of("authorization", "Bearer abc").unwrap(), "abc");
        assert_eq!(key_of("authorization", "bearer  abc ").unwrap(), "abc");
        assert_eq!(key_of("x-api-key", "abc").unwrap(), "abc");
        for bad in ["abc", "Basic abc", ""] {
            assert_eq!(key_of("authorization", bad), Err(ErrorKind::Unauthenticated), "`{bad}`");
        }
        assert_eq!(key_of("other", "abc"), Err(ErrorKind::Unauthenticated));
    }
}
