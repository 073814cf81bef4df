//! The part of `AgentService` that lists tasks.

use mesh_kernel::{envelope::Refusal, path::Caller};
use mesh_proto::v1;

use super::{GatewayState, filter, lists::TaskRow, page::Binding};

pub(super) async fn list(
    state: &GatewayState,
    caller: &Caller,
    request: v1::ListTasksRequest,
) -> Result<v1::ListTasksResponse, Refusal> {
    state.mesh.admit_read(caller, "ListTasks")?;
    let filter = filter::tasks(&request.filter)?;
    let binding = Binding::new(caller.scope(), "tasks", &request.filter);
    let page = binding.request(request.page_size, &request.page_token)?;
    state.reach(request.min_position).await?;
    let page = state.lists.tasks(caller.scope(), filter, page).await?;
    Ok(v1::ListTasksResponse {
        tasks: page.rows.into_iter().map(of_row).collect(),
        next_page_token: binding.seal(page.next.as_deref()),
        position: page.position.0,
    })
}

fn of_row(row: TaskRow) -> v1::Task {
    v1::Task {
        task_id: row.task_id,
        agent: row.agent,
        version: row.version,
        state: row.state.into(),
        run_id: row.run_id,
        step_id: row.step_id,
        submitted_by: row.submitted_by,
        assign_time: Some(row.created_at.into()),
        end_time: row.ended_at.map(Into::into),
        corrections: row.corrections,
        spent: row.ended_at.map(|_| v1::TaskSpent {
            input_tokens: row.spent.input_tokens,
            output_tokens: row.spent.output_tokens,
            lost_tokens: row.spent.lost_tokens,
            cost_micros: row.spent.cost,
            turns: row.spent.turns,
            model_calls: row.spent.model_calls,
            tool_calls: row.spent.tool_calls,
        }),
        ..Default::default()
    }
}
