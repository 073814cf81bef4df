//! `mesh dead-letters`: what could not be delivered, whole.

use clap::{Args, Subcommand};
use mesh_proto::v1;

use super::{
    Failure,
    args::PageArgs,
    clients,
    context::Context,
    output::{Table, age, clean, instant, or_dash, to_json},
};

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List dead letters, the newest first
    List(List),
    /// Show a dead letter with its message
    Get(Named),
    /// Send a dead letter again, as the same message with the same idempotency key
    Replay(Named),
}

/// What `mesh dead-letters list` takes.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Also those that were sent again and taken
    #[arg(long)]
    replayed: bool,
    /// Those of all tenants; an operator's right
    #[arg(long)]
    all_tenants: bool,
    #[command(flatten)]
    page: PageArgs,
}

/// A dead letter.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The dead letter
    #[arg(value_name = "ID")]
    id: String,
}

pub(super) async fn dispatch(command: DeadLetters, context: Context) -> Result<(), Failure> {
    match command {
        DeadLetters::List(args) => list(args, context).await,
        DeadLetters::Get(args) => get(args, context).await,
        DeadLetters::Replay(args) => replay(args, context).await,
    }
}

async fn list(args: List, context: Context) -> Result<(), Failure> {
    let request = v1::ListDeadLettersRequest {
        page_size: args.page.limit,
        page_token: args.page.page,
        include_replayed: args.replayed,
        all_tenants: args.all_tenants,
    };
    let answer = clients::dead_letters(context.link().await?).list_dead_letters(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListDeadLettersResponse", &answer);
    }
    let mut table = Table::new(&["DEAD LETTER", "MESSAGE", "FOR", "LAID", "TRIED", "REPLAYED", "REASON"]);
    for letter in &answer.dead_letters {
        table.row([
            letter.dead_letter_id.as_str().into(),
            letter.message_type.as_str().into(),
            letter.subject.as_str().into(),
            age(letter.create_time, context.now()).into(),
            letter.attempts.to_string().into(),
            age(letter.replay_time, context.now()).into(),
            letter.reason.as_str().into(),
        ]);
    }
    context.out.table(&table, "no dead letters")?;
    context.more(&answer.next_page_token)
}

async fn get(args: Named, context: Context) -> Result<(), Failure> {
    let request = v1::GetDeadLetterRequest { dead_letter_id: args.id };
    let answer = clients::dead_letters(context.link().await?).get_dead_letter(request).await?.into_inner();
    shown(answer.dead_letter, &context)
}

async fn replay(args: Named, context: Context) -> Result<(), Failure> {
    let request = v1::ReplayDeadLetterRequest { dead_letter_id: args.id };
    let answer = clients::dead_letters(context.link().await?).replay_dead_letter(request).await?.into_inner();
    shown(answer.dead_letter, &context)
}

fn shown(letter: Option<v1::DeadLetter>, context: &Context) -> Result<(), Failure> {
    let letter = letter.ok_or(Failure::Lacking("dead_letter"))?;
    if context.out.is_json() {
        return context.out.json("DeadLetter", &letter);
    }
    let lines = [
        format!("dead letter  {}", letter.dead_letter_id),
        format!("message      {}", letter.message_type),
        format!("for          {}", letter.subject),
        format!("reason       {}", letter.reason),
        format!("laid         {}", instant(letter.create_time)),
        format!("tried        {} times", letter.attempts),
        format!("replayed     {}", instant(letter.replay_time)),
    ];
    for line in lines {
        context.out.line(clean(&line))?;
    }
    for error in &letter.errors {
        context.out.line(clean(&format!("error        {}", or_dash(error))))?;
    }
    if let Some(envelope) = &letter.envelope {
        let json = super::tail::readable(to_json("Envelope", envelope)?, &envelope.payload);
        context.out.line(format!("\n{}", serde_json::to_string_pretty(&json).unwrap_or_default()))?;
    }
    Ok(())
}
