//! `mesh tenants`: an operator's business.

use clap::{Args, Subcommand};
use mesh_proto::v1;

use super::{
    Failure,
    args::PageArgs,
    clients,
    context::{Context, fresh_request_id},
    output::{Cell, Table, age, label, tone_of},
};

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum Tenants {
    /// Make a tenant
    Create(Create),
    /// List tenants
    List(PageArgs),
    /// Show a tenant; without a name your own
    Get(Get),
    /// Let a tenant's keys do nothing any more; what it has is kept
    Disable(Disable),
    /// Let a disabled tenant's keys be accepted again
    Enable(Named),
}

/// What `mesh tenants create` takes.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its slug: lower-case letters, digits and -
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Its name, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    title: String,
}

/// What `mesh tenants get` takes.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Its slug
    #[arg(value_name = "TENANT", default_value = "", hide_default_value = true)]
    tenant: String,
}

/// A tenant that must be named.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its slug
    #[arg(value_name = "TENANT")]
    tenant: String,
}

/// What `mesh tenants disable` takes.
#[derive(Debug, Args)]
pub(crate) struct Disable {
    #[command(flatten)]
    named: Named,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub(super) async fn dispatch(command: Tenants, context: Context) -> Result<(), Failure> {
    match command {
        Tenants::Create(args) => create(args, context).await,
        Tenants::List(page) => list(page, context).await,
        Tenants::Get(args) => get(args, context).await,
        Tenants::Disable(args) => disable(args, context).await,
        Tenants::Enable(args) => enable(args, context).await,
    }
}

async fn create(args: Create, context: Context) -> Result<(), Failure> {
    let request = v1::CreateTenantRequest {
        tenant_id: args.tenant,
        title: args.title,
        request_id: fresh_request_id(),
        validate_only: false,
    };
    let answer = clients::tenants(context.link().await?).create_tenant(request).await?.into_inner();
    shown(answer.tenant, &context)
}

async fn list(page: PageArgs, context: Context) -> Result<(), Failure> {
    let request = v1::ListTenantsRequest { page_size: page.limit, page_token: page.page, ..Default::default() };
    let answer = clients::tenants(context.link().await?).list_tenants(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListTenantsResponse", &answer);
    }
    context.out.table(&table(&answer.tenants, &context), "no tenants")?;
    context.more(&answer.next_page_token)
}

async fn get(args: Get, context: Context) -> Result<(), Failure> {
    let request = v1::GetTenantRequest { tenant_id: args.tenant };
    let answer = clients::tenants(context.link().await?).get_tenant(request).await?.into_inner();
    shown(answer.tenant, &context)
}

async fn disable(args: Disable, context: Context) -> Result<(), Failure> {
    let request = v1::DisableTenantRequest {
        tenant_id: args.named.tenant,
        reason: args.reason,
        request_id: fresh_request_id(),
        etag: String::new(),
    };
    let answer = clients::tenants(context.link().await?).disable_tenant(request).await?.into_inner();
    shown(answer.tenant, &context)
}

async fn enable(args: Named, context: Context) -> Result<(), Failure> {
    let request =
        v1::EnableTenantRequest { tenant_id: args.tenant, request_id: fresh_request_id(), etag: String::new() };
    let answer = clients::tenants(context.link().await?).enable_tenant(request).await?.into_inner();
    shown(answer.tenant, &context)
}

fn shown(tenant: Option<v1::Tenant>, context: &Context) -> Result<(), Failure> {
    let tenant = tenant.ok_or(Failure::Lacking("tenant"))?;
    if context.out.is_json() {
        return context.out.json("Tenant", &tenant);
    }
    Ok(context.out.table(&table(&[tenant], context), "")?)
}

fn table(tenants: &[v1::Tenant], context: &Context) -> Table {
    let mut table = Table::new(&["TENANT", "STATE", "MADE", "TITLE"]);
    for tenant in tenants {
        let state = label(tenant.state().as_str_name(), "TENANT_STATE");
        table.row([
            tenant.tenant_id.as_str().into(),
            Cell::toned(&state, tone_of(&state)),
            age(tenant.create_time, context.now()).into(),
            tenant.title.as_str().into(),
        ]);
    }
    table
}
