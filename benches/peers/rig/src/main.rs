//! rig's side of `benches/compare agents`: its agent with one tool, so many runs in flight, on one thread.
//! Its last line says what they cost.

use std::{cell::Cell, error::Error, fs, future::Future, time::Instant};

use clap::Parser;
use futures_util::future::try_join_all;
use rig_agent::AgentBuilder;
use rig_core::{providers::openai::OpenAIConfig, tool::PortableTool};
use serde::Deserialize;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What every side is told.
#[derive(Parser)]
struct Options {
    #[arg(long)]
    url: String,
    #[arg(long)]
    in_flight: usize,
    #[arg(long)]
    runs: usize,
    #[arg(long)]
    warm: usize,
}

#[derive(Deserialize)]
struct Asked {
    key: String,
}

/// The tool that the model calls twice.
struct Lookup;

impl PortableTool for Lookup {
    const NAME: &'static str = "lookup";
    type Args = Asked;
    type Output = String;
    type Error = std::convert::Infallible;

    fn description(&self) -> String {
        "Looks a key up.".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({ "type": "object", "properties": { "key": { "type": "string" } }, "required": ["key"] })
    }

    async fn call(&self, asked: Asked) -> std::result::Result<String, Self::Error> {
        Ok(format!("the value of {}", asked.key))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let openai = OpenAIConfig::new("none").with_base_url(&options.url).client();
    let agent = AgentBuilder::new(openai.chat("bench"))
        .preamble("Look up what you are asked for.")
        .default_max_turns(4)
        .tool(Lookup)
        .build();
    let once = || async {
        let answer = agent.prompt("Look up a and b.").await?;
        match answer.output().as_str() {
            "done" => Ok(()),
            other => Err(format!("the agent's answer is `{other}`").into()),
        }
    };
    let rest = memory("VmRSS")?;
    repeat(options.warm, options.in_flight, once).await?;
    let (began, used) = (Instant::now(), cpu()?);
    repeat(options.runs, options.in_flight, once).await?;
    let said = json!({
        "version": "0.44.0", "runs": options.runs, "seconds": began.elapsed().as_secs_f64(),
        "cpu_seconds": cpu()? - used, "rest_bytes": rest, "peak_bytes": memory("VmHWM")?,
    });
    println!("{said}");
    Ok(())
}

async fn repeat<Run: Future<Output = Result<()>>>(
    times: usize,
    in_flight: usize,
    once: impl Fn() -> Run,
) -> Result<()> {
    let begun = Cell::new(0);
    let loops = (0..in_flight).map(|_| async {
        while begun.get() < times {
            begun.set(begun.get() + 1);
            once().await?;
        }
        Ok(())
    });
    try_join_all(loops).await.map(drop)
}

/// Time on a processor so far, all threads. **Units**: seconds.
fn cpu() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    // Linux counts it in hundredths of a second.
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// A line of this process's status. **Units**: bytes.
fn memory(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no such line of the status")?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}
