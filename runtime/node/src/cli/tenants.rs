//! `mesh tenants`: an operator's business.

use std::{io::IsTerminal as _, time::Duration};

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
    /// Delete a tenant and everything that it has, for good
    Delete(Delete),
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
    /// It is for development: -dev versions of its skills may be replaced
    #[arg(long)]
    development: bool,
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

/// What `mesh tenants delete` takes.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    named: Named,
    /// Do not ask whether it is meant
    #[arg(long)]
    yes: bool,
    /// Only while the tenant is as it was seen
    #[arg(long, value_name = "ETAG", default_value = "", hide_default_value = true)]
    etag: String,
    /// Do not wait until its last byte is gone
    #[arg(long)]
    no_wait: bool,
}

pub(super) async fn dispatch(command: Tenants, context: Context) -> Result<(), Failure> {
    match command {
        Tenants::Create(args) => create(args, context).await,
        Tenants::List(page) => list(page, context).await,
        Tenants::Get(args) => get(args, context).await,
        Tenants::Disable(args) => disable(args, context).await,
        Tenants::Enable(args) => enable(args, context).await,
        Tenants::Delete(args) => delete(args, context).await,
    }
}

async fn create(args: Create, context: Context) -> Result<(), Failure> {
    let request = v1::CreateTenantRequest {
        tenant_id: args.tenant,
        title: args.title,
        request_id: fresh_request_id(),
        validate_only: false,
        development: args.development,
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

/// How often it is looked whether a deletion has ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);

async fn delete(args: Delete, context: Context) -> Result<(), Failure> {
    let tenant_id = args.named.tenant;
    if !args.yes && !is_meant(&tenant_id)? {
        return Err(Failure::Failed("nothing was deleted".to_owned()));
    }
    let request =
        v1::DeleteTenantRequest { tenant_id: tenant_id.clone(), request_id: fresh_request_id(), etag: args.etag };
    let mut client = clients::tenants(context.link().await?);
    let answer = client.delete_tenant(request).await?.into_inner();
    shown(answer.tenant, &context)?;
    if args.no_wait {
        return Ok(());
    }
    loop {
        let request = v1::ListTenantsRequest {
            page_size: 500,
            filter: "state = DELETING".to_owned(),
            min_position: answer.position,
            ..Default::default()
        };
        let left = client.list_tenants(request).await?.into_inner().tenants;
        if !left.iter().any(|tenant| tenant.tenant_id == tenant_id) {
            return context
                .note(format!("`{tenant_id}` and everything that it had is gone; backups keep what they hold"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whoever types the name means it.
fn is_meant(tenant: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        let why =
            format!("`{tenant}` and everything that it has would be gone for good: say `--yes` when that is meant");
        return Err(Failure::Usage(why));
    }
    eprint!("`{tenant}` and everything that it has will be gone for good. Type its name to go on: ");
    let mut typed = String::new();
    std::io::stdin().read_line(&mut typed)?;
    Ok(typed.trim() == tenant)
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
