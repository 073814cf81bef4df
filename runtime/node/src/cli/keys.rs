//! `mesh keys`: API keys of a tenant.

use clap::{Args, Subcommand};
use mesh_proto::v1;

use super::{
    Failure,
    args::PageArgs,
    clients,
    context::{Context, fresh_request_id},
    output::{Cell, Table, Tone, age, or_dash},
};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key; its secret is printed once and stored nowhere
    Create(Create),
    /// List keys, without their secrets
    List(List),
    /// Revoke a key, for good
    Revoke(Revoke),
}

/// What `mesh keys create` takes.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name: what logs call it
    #[arg(value_name = "NAME")]
    name: String,
    /// What it may do; may be given several times
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = [
        "operator", "admin", "developer", "approver", "viewer",
    ])]
    roles: Vec<String>,
    #[command(flatten)]
    of: Of,
}

/// Whose keys.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// The tenant, when it is not your own
    #[arg(long, value_name = "TENANT", default_value = "", hide_default_value = true)]
    tenant: String,
}

/// What `mesh keys list` takes.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    of: Of,
    /// Also those that were revoked
    #[arg(long)]
    revoked: bool,
    #[command(flatten)]
    page: PageArgs,
}

/// What `mesh keys revoke` takes.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The key's id, as `mesh keys list` shows it
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    of: Of,
}

pub(super) async fn dispatch(command: Keys, context: Context) -> Result<(), Failure> {
    match command {
        Keys::Create(args) => create(args, context).await,
        Keys::List(args) => list(args, context).await,
        Keys::Revoke(args) => revoke(args, context).await,
    }
}

async fn create(args: Create, context: Context) -> Result<(), Failure> {
    let request = v1::CreateApiKeyRequest {
        tenant_id: args.of.tenant,
        name: args.name,
        roles: args.roles,
        request_id: fresh_request_id(),
    };
    let answer = clients::tenants(context.link().await?).create_api_key(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("CreateApiKeyResponse", &answer);
    }
    let key = answer.key.ok_or(Failure::Lacking("key"))?;
    context.out.table(&table(&[key], &context), "")?;
    context.out.line(format!("\nits secret, told only now:\n{}", answer.secret))?;
    Ok(context.out.line("\nuse it with: export MESH_API_KEY=…")?)
}

async fn list(args: List, context: Context) -> Result<(), Failure> {
    let request = v1::ListApiKeysRequest {
        tenant_id: args.of.tenant,
        page_size: args.page.limit,
        page_token: args.page.page,
        include_revoked: args.revoked,
        min_position: 0,
    };
    let answer = clients::tenants(context.link().await?).list_api_keys(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListApiKeysResponse", &answer);
    }
    context.out.table(&table(&answer.keys, &context), "no keys")?;
    context.more(&answer.next_page_token)
}

async fn revoke(args: Revoke, context: Context) -> Result<(), Failure> {
    let request =
        v1::RevokeApiKeyRequest { tenant_id: args.of.tenant, key_id: args.key, request_id: fresh_request_id() };
    let answer = clients::tenants(context.link().await?).revoke_api_key(request).await?.into_inner();
    let key = answer.key.ok_or(Failure::Lacking("key"))?;
    if context.out.is_json() {
        return context.out.json("ApiKey", &key);
    }
    Ok(context.out.table(&table(&[key], &context), "")?)
}

fn table(keys: &[v1::ApiKey], context: &Context) -> Table {
    let mut table = Table::new(&["KEY", "NAME", "TENANT", "ROLES", "MADE", "BY", "STATE"]);
    for key in keys {
        let state = if key.revoke_time.is_some() {
            Cell::toned(format!("revoked {}", age(key.revoke_time, context.now())), Tone::Bad)
        } else {
            Cell::toned("accepted", Tone::Good)
        };
        table.row([
            key.key_id.as_str().into(),
            key.name.as_str().into(),
            or_dash(&key.tenant_id).into(),
            key.roles.join(",").into(),
            age(key.create_time, context.now()).into(),
            or_dash(&key.created_by).into(),
            state,
        ]);
    }
    table
}
