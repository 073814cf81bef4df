//! Which runs: flags as the contract's filter.

use clap::Args;
use mesh_kernel::envelope::Timestamp;

use crate::cli::Failure;

/// Which runs.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Filter {
    /// Only in this state; may be given several times
    #[arg(long, value_name = "STATE", value_parser = [
        "created", "running", "waiting", "paused", "compensating", "succeeded", "failed", "cancelled",
    ])]
    pub(crate) state: Vec<String>,
    /// Only failed ones
    #[arg(long, conflicts_with = "state")]
    pub(crate) failed: bool,
    /// Only of this definition
    #[arg(long, value_name = "NAME")]
    pub(crate) definition: Option<String>,
    /// Only of this project
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,
    /// Only submitted in the last while, such as 30m or 7d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// A filter in the contract's own words, such as 'state = FAILED'
    #[arg(long, value_name = "FILTER", conflicts_with_all = ["state", "failed", "definition", "project", "since"])]
    pub(crate) filter: Option<String>,
}

impl Filter {
    /// The contract's filter.
    ///
    /// # Errors
    /// When `--since` is no length of time.
    pub(crate) fn text(&self, now: Timestamp) -> Result<String, Failure> {
        if let Some(filter) = &self.filter {
            return Ok(filter.clone());
        }
        let mut terms: Vec<String> =
            self.state.iter().map(|state| format!("state = {}", state.to_uppercase())).collect();
        if self.failed {
            terms.push("state = FAILED".to_owned());
        }
        if let Some(name) = &self.definition {
            terms.push(format!("definition = {}", quoted(name)));
        }
        if let Some(project) = &self.project {
            terms.push(format!("project_id = {}", quoted(project)));
        }
        if let Some(since) = &self.since {
            terms.push(format!("create_time >= \"{}\"", ago(since, now)?));
        }
        Ok(terms.join(" AND "))
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn ago(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let length = crate::config::read_time(text)
        .ok_or_else(|| Failure::Usage(format!("`{text}` is no length of time: write 30s, 15m, 2h or 7d")))?;
    let nanos = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_unix_nanos(now.unix_nanos().saturating_sub(nanos).max(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_the_contracts_filter() {
        let now = Timestamp::from_unix_nanos(7_200_000_000_000);
        let filter = Filter {
            state: vec!["waiting".into(), "paused".into()],
            definition: Some("de\"ploy".into()),
            since: Some("1h".into()),
            ..Filter::default()
        };
        assert_eq!(
            filter.text(now).unwrap(),
            "state = WAITING AND state = PAUSED AND definition = \"de\\\"ploy\" AND create_time >= \"1970-01-01T01:00:00Z\""
        );
        assert_eq!(Filter { failed: true, ..Filter::default() }.text(now).unwrap(), "state = FAILED");
        assert_eq!(Filter::default().text(now).unwrap(), "");
        assert!(Filter { since: Some("soon".into()), ..Filter::default() }.text(now).is_err());
    }
}
