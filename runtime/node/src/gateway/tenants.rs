//! `TenantService`: tenants of the node, and the API keys of each.

use mesh_kernel::{
    entity::Decider,
    envelope::{Address, ErrorKind, Refusal, Role, TenantId},
    path::{Caller, Reply},
    ports::Digest,
};
use mesh_platforms::control_plane::{
    machines::tenant::TenantMachine,
    messages::{KeyId, TenantCommand},
};
use mesh_proto::v1::{self, tenant_service_server::TenantService};
use tonic::{Request, Response, Status};

use super::{
    GatewayState, Terms, address,
    auth::caller,
    convert::view::{KeyView, TenantView, read},
    filter,
    lists::{KeyRow, TenantRow},
    page::Binding,
    status::{answer, refused_field},
};

/// The service.
pub(super) struct Tenants(pub(super) GatewayState);

#[tonic::async_trait]
impl TenantService for Tenants {
    async fn create_tenant(
        &self,
        request: Request<v1::CreateTenantRequest>,
    ) -> Result<Response<v1::CreateTenantResponse>, Status> {
        let caller = caller(&request)?;
        answer(self.create(&caller, request.into_inner()).await)
    }

    async fn list_tenants(
        &self,
        request: Request<v1::ListTenantsRequest>,
    ) -> Result<Response<v1::ListTenantsResponse>, Status> {
        let caller = caller(&request)?;
        answer(self.list(&caller, request.into_inner()).await)
    }

    async fn get_tenant(
        &self,
        request: Request<v1::GetTenantRequest>,
    ) -> Result<Response<v1::GetTenantResponse>, Status> {
        let caller = caller(&request)?;
        answer(self.get(&caller, request.into_inner()).await)
    }

    async fn disable_tenant(
        &self,
        request: Request<v1::DisableTenantRequest>,
    ) -> Result<Response<v1::DisableTenantResponse>, Status> {
        let caller = caller(&request)?;
        answer(self.disable(&caller, request.into_inner()).await)
    }

    async fn enable_tenant(
        &self,
        request: Request<v1::EnableTenantRequest>,
    ) -> Result<Response<v1::EnableTenantResponse>, Status> {
        let caller = caller(&request)?;
        answer(self.enable(&caller, request.into_inner()).await)
    }

    async fn delete_tenant(
        &self,
        request: Request<v1::DeleteTenantRequest>,
    ) -> Result<Response<v1::DeleteTenantResponse>, Status> {
        let caller = caller(&request)?;
        answer(self.delete(&caller, request.into_inner()).await)
    }

    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
        let caller = caller(&request)?;
        answer(self.create_key(&caller, request.into_inner()).await)
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        let caller = caller(&request)?;
        answer(self.list_keys(&caller, request.into_inner()).await)
    }

    async fn revoke_api_key(
        &self,
        request: Request<v1::RevokeApiKeyRequest>,
    ) -> Result<Response<v1::RevokeApiKeyResponse>, Status> {
        let caller = caller(&request)?;
        answer(self.revoke_key(&caller, request.into_inner()).await)
    }
}

impl Tenants {
    async fn create(
        &self,
        caller: &Caller,
        request: v1::CreateTenantRequest,
    ) -> Result<v1::CreateTenantResponse, Refusal> {
        // Asked here as well: to everybody else no other tenant exists, and that would be the answer.
        self.0.mesh.admit_read(caller, "CreateTenant")?;
        let terms = Terms::of("CreateTenant", &request, &request.request_id, "")?;
        let tenant =
            TenantId::parse(&request.tenant_id).map_err(|error| refused_field("tenant_id", error.to_string()))?;
        if request.validate_only {
            return Ok(v1::CreateTenantResponse::default());
        }
        let name = if request.title.is_empty() { request.tenant_id } else { request.title };
        let (caller, address) = (caller.acting_for(tenant.clone())?, own(&tenant)?);
        let reply = self
            .0
            .tell(&caller, address, &TenantCommand::CreateTenant { name, development: request.development }, terms)
            .await?;
        Ok(v1::CreateTenantResponse { position: reply.position.0, tenant: Some(shown(&reply)) })
    }

    async fn list(&self, caller: &Caller, request: v1::ListTenantsRequest) -> Result<v1::ListTenantsResponse, Refusal> {
        self.0.mesh.admit_read(caller, "ListTenants")?;
        let filter = filter::tenants(&request.filter)?;
        let binding = Binding::new(caller.scope(), "tenants", &request.filter);
        let page = binding.request(request.page_size, &request.page_token)?;
        self.0.reach(request.min_position).await?;
        let all = caller.principal().has(Role::Operator);
        let page = self.0.lists.tenants((!all).then(|| caller.scope()), filter, page).await?;
        Ok(v1::ListTenantsResponse {
            tenants: page.rows.iter().map(tenant_of_row).collect(),
            next_page_token: binding.seal(page.next.as_deref()),
            position: page.position.0,
        })
    }

    async fn get(&self, caller: &Caller, request: v1::GetTenantRequest) -> Result<v1::GetTenantResponse, Refusal> {
        let (caller, address) = reach_tenant(caller, &request.tenant_id)?;
        let viewed = self.0.mesh.query(&caller, &address, "GetTenant", "").await?;
        let view: TenantView = read(&viewed.view)?;
        Ok(v1::GetTenantResponse { tenant: Some(view.message(viewed.version)) })
    }

    async fn disable(
        &self,
        caller: &Caller,
        request: v1::DisableTenantRequest,
    ) -> Result<v1::DisableTenantResponse, Refusal> {
        let terms = Terms::of("DisableTenant", &request, &request.request_id, &request.etag)?;
        let (caller, address) = reach_tenant(caller, &request.tenant_id)?;
        let command = TenantCommand::DisableTenant { reason: request.reason };
        let reply = self.0.tell(&caller, address, &command, terms).await?;
        Ok(v1::DisableTenantResponse { position: reply.position.0, tenant: Some(shown(&reply)) })
    }

    async fn enable(
        &self,
        caller: &Caller,
        request: v1::EnableTenantRequest,
    ) -> Result<v1::EnableTenantResponse, Refusal> {
        let terms = Terms::of("EnableTenant", &request, &request.request_id, &request.etag)?;
        let (caller, address) = reach_tenant(caller, &request.tenant_id)?;
        let reply = self.0.tell(&caller, address, &TenantCommand::EnableTenant {}, terms).await?;
        Ok(v1::EnableTenantResponse { position: reply.position.0, tenant: Some(shown(&reply)) })
    }

    async fn delete(
        &self,
        caller: &Caller,
        request: v1::DeleteTenantRequest,
    ) -> Result<v1::DeleteTenantResponse, Refusal> {
        if request.tenant_id.is_empty() {
            return Err(refused_field("tenant_id", "name the tenant that is to be deleted".to_owned()));
        }
        let terms = Terms::of("DeleteTenant", &request, &request.request_id, &request.etag)?;
        let (caller, address) = reach_tenant(caller, &request.tenant_id)?;
        // Before it: afterwards there is nothing to look at.
        let seen = self.0.mesh.query(&caller, &address, "GetTenant", "").await?;
        let reply = self.0.order(&caller, address, &TenantCommand::DeleteTenant {}, terms).await?;
        let mut tenant = read::<TenantView>(&seen.view)?.message(reply.version);
        tenant.set_state(v1::TenantState::Deleting);
        Ok(v1::DeleteTenantResponse { position: reply.position.0, tenant: Some(tenant) })
    }

    async fn create_key(
        &self,
        caller: &Caller,
        request: v1::CreateApiKeyRequest,
    ) -> Result<v1::CreateApiKeyResponse, Refusal> {
        let terms = Terms::of("CreateApiKey", &request, &request.request_id, "")?;
        let (caller, address) = reach_tenant(caller, &request.tenant_id)?;
        let secret = (self.0.secret)();
        let hash = Digest::of(secret.as_bytes());
        let command = TenantCommand::IssueKey { name: request.name, hash, roles: roles(&request.roles)? };
        let reply = self.0.tell(&caller, address, &command, terms).await?;
        let issued = key_in(&reply, KeyId::of(&hash).as_str());
        match issued.filter(|_| !reply.repeated) {
            Some(key) => Ok(v1::CreateApiKeyResponse { key: Some(key), secret, position: reply.position.0 }),
            // The secret just drawn was never recorded, and the one that was is known to nobody here.
            None => Err(Refusal::new(
                "GTW-0010",
                ErrorKind::AlreadyExists,
                "this request made its key before, and the secret was told then: revoke that key and make another one",
            )),
        }
    }

    async fn list_keys(
        &self,
        caller: &Caller,
        request: v1::ListApiKeysRequest,
    ) -> Result<v1::ListApiKeysResponse, Refusal> {
        let (caller, address) = reach_tenant(caller, &request.tenant_id)?;
        self.0.mesh.admit_read(&caller, "ListKeys")?;
        if !request.tenant_id.is_empty() {
            // To an operator who mistypes a name, no keys and no such tenant must not look alike.
            self.0.mesh.query(&caller, &address, "GetTenant", "").await?;
        }
        let binding = Binding::new(caller.scope(), "keys", &request.include_revoked.to_string());
        let page = binding.request(request.page_size, &request.page_token)?;
        self.0.reach(request.min_position).await?;
        let page = self.0.lists.keys(caller.scope(), request.include_revoked, page).await?;
        let tenant = caller.tenant();
        Ok(v1::ListApiKeysResponse {
            keys: page.rows.iter().map(|row| key_of_row(tenant, row)).collect(),
            next_page_token: binding.seal(page.next.as_deref()),
            position: page.position.0,
        })
    }

    async fn revoke_key(
        &self,
        caller: &Caller,
        request: v1::RevokeApiKeyRequest,
    ) -> Result<v1::RevokeApiKeyResponse, Refusal> {
        let terms = Terms::of("RevokeApiKey", &request, &request.request_id, "")?;
        let (caller, address) = reach_tenant(caller, &request.tenant_id)?;
        let command = TenantCommand::RevokeKey { key: request.key_id.clone() };
        let reply = self.0.tell(&caller, address, &command, terms).await?;
        Ok(v1::RevokeApiKeyResponse { key: key_in(&reply, &request.key_id), position: reply.position.0 })
    }
}

/// The caller in the tenant that a request names, and that tenant's address; the own one when it
/// names none.
///
/// To whoever is no operator, another tenant and a text that is no slug do not exist alike.
fn reach_tenant(caller: &Caller, tenant: &str) -> Result<(Caller, Address), Refusal> {
    if tenant.is_empty() {
        return Ok((caller.clone(), own(caller.tenant())?));
    }
    let tenant = TenantId::parse(tenant).map_err(|_| super::not_found("tenant", tenant))?;
    Ok((caller.acting_for(tenant.clone())?, own(&tenant)?))
}

/// Whether the caller's tenant is for development.
///
/// # Errors
/// When the policy does not let the caller read its tenant.
pub(super) async fn is_for_development(state: &GatewayState, caller: &Caller) -> Result<bool, Refusal> {
    let viewed = state.mesh.query(caller, &own(caller.tenant())?, "GetTenant", "").await?;
    Ok(read::<TenantView>(&viewed.view)?.is_for_development)
}

fn own(tenant: &TenantId) -> Result<Address, Refusal> {
    address(tenant, TenantMachine::KIND, "tenant", tenant.as_str())
}

fn roles(names: &[String]) -> Result<Vec<Role>, Refusal> {
    let mut roles = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let role = name.parse::<Role>().ok().filter(|role| *role != Role::System);
        roles.push(role.ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            refused_field(
                &format!("roles[{index}]"),
                format!("`{shown}` is no role: one of operator, admin, developer, approver, viewer is expected"),
            )
        })?);
    }
    Ok(roles)
}

fn shown(reply: &Reply) -> v1::Tenant {
    read::<TenantView>(&reply.view).unwrap_or_default().message(reply.version)
}

/// The key with this id or name in a tenant's view; of several with the name the living one.
fn key_in(reply: &Reply, key: &str) -> Option<v1::ApiKey> {
    let view: TenantView = read(&reply.view).ok()?;
    let is = |candidate: &&KeyView| candidate.key == key || candidate.name == key;
    let found = view.keys.iter().filter(is).max_by_key(|key| key.issued_at)?;
    Some(found.message(&view.tenant))
}

fn tenant_of_row(row: &TenantRow) -> v1::Tenant {
    v1::Tenant {
        tenant_id: row.tenant.as_str().to_owned(),
        title: row.title.clone(),
        state: row.state.into(),
        create_time: Some(row.created_at.into()),
        disable_time: row.disabled_at.map(Into::into),
        etag: super::keys::etag(row.version),
        development: row.is_for_development,
    }
}

fn key_of_row(tenant: &TenantId, row: &KeyRow) -> v1::ApiKey {
    v1::ApiKey {
        name: row.name.clone(),
        tenant_id: tenant.as_str().to_owned(),
        roles: row.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        create_time: Some(row.created_at.into()),
        created_by: row.created_by.clone(),
        revoke_time: row.revoked_at.map(Into::into),
        key_id: row.key_id.clone(),
    }
}
