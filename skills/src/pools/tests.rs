//! Rates and breakers around calls, with a clock that a test moves.

use mesh_kernel::ports::Clock;
use tokio::time::Instant;

use super::*;
use crate::contract::{Effect, testing};

/// The time that tokio's tests skip.
struct Skipped(Instant);

impl Clock for Skipped {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(0).plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn pools(settings: Settings) -> Pools {
    Pools::new(Arc::new(Skipped(Instant::now())), settings)
}

fn breaking() -> Settings {
    Settings { breaking: Breaking { failures: 2, wait: 4 * SECOND, wait_max: 8 * SECOND }, ..Settings::default() }
}

fn manifest(name: &str) -> Manifest {
    Manifest::new(name, "does something").effect(Effect::Idempotent)
}

fn call(tenant: &str) -> Call {
    testing::call_of(tenant, "run-1", serde_json::Value::Null)
}

async fn pass(pools: &Pools, skill: &str, tenant: &str, patience: Option<Duration>) -> Result<Pass, Failure> {
    let passed = pools.pass(&manifest(skill), &Host::Workers, &call(tenant), patience).await;
    passed.map(|(pass, _)| pass)
}

async fn ends(pools: &Pools, skill: &str, failure: Option<Failure>) {
    let pass = pass(pools, skill, "acme", None).await.unwrap();
    pass.ended(failure.as_ref().map_or(Ok(&()), Err), true);
}

fn lost() -> Failure {
    Failure::external("worker.lost", "the worker was lost").of_host()
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_for_lost_hosts_and_late_calls_and_for_nothing_that_a_skill_says() {
    let pools = pools(breaking());
    for _ in 0..9 {
        ends(&pools, "a.refuses", Some(Failure::external("shop.no-stock", "there is none"))).await;
        ends(&pools, "a.busy", Some(Failure::resource("mcp.busy", "full").unasked())).await;
        ends(&pools, "a.mixed", Some(lost())).await;
        ends(&pools, "a.mixed", None).await;
    }
    ends(&pools, "a.late", Some(Failure::timeout("skill.timeout", "too long").late())).await;
    ends(&pools, "a.late", Some(lost())).await;
    let open = pass(&pools, "a.late", "acme", None).await.err().unwrap();
    assert_eq!((open.code.as_str(), open.retry_after), ("skill.breaker", Some(4 * SECOND)));
    for said in ["`a.late@1.0.0`", "since 1970-01-01T00:00:00", "2 failures", "the worker was lost", "again in 4.0s"] {
        assert!(open.message.contains(said), "{said}: {open}");
    }
    for still in ["a.refuses", "a.busy", "a.mixed"] {
        assert!(pass(&pools, still, "acme", None).await.is_ok(), "{still}");
    }
    assert!(pass(&pools, "a.late", "other", None).await.is_ok(), "another tenant has its own breakers");
    let late = manifest("a.late");
    let stands = |tenant: &str| {
        let seen = pools.seen(testing::scope(tenant).tenant(), &late, &Host::Workers);
        seen.into_iter().next().unwrap().1.stands
    };
    assert_eq!((stands("acme"), stands("other")), (Stands::Open, Stands::Closed));
    let figures = pools.figures();
    assert_eq!(figures.len(), 1, "{figures:?}");
    let (_, of_acme) = figures.first().unwrap();
    assert_eq!((of_acme.open_skills, of_acme.tally.opened, of_acme.tally.breaker_refused), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_would_try_again_waits_until_one_call_has_shown_that_it_works() {
    let pools = pools(breaking());
    for _ in 0..2 {
        ends(&pools, "a.b", Some(lost())).await;
    }
    let began = Instant::now();
    let tries = pass(&pools, "a.b", "acme", Some(60 * SECOND)).await.unwrap();
    assert_eq!(began.elapsed(), 4 * SECOND);
    let others = pools.clone();
    let waits = mesh_kernel::task::spawn("waits", async move { pass(&others, "a.b", "acme", Some(60 * SECOND)).await });
    tokio::time::sleep(2 * SECOND).await;
    assert!(!waits.is_finished(), "one tries at a time");
    assert_eq!(pass(&pools, "a.b", "acme", None).await.err().unwrap().code, "skill.breaker");
    tries.ended::<()>(Err(&lost()), true);
    let again = waits.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), 14 * SECOND, "the wait doubles");
    drop(again);
    let third = pass(&pools, "a.b", "acme", Some(SECOND)).await.unwrap();
    third.ended(Ok(&()), true);
    assert!(
        pass(&pools, "a.b", "acme", None).await.is_ok() && pools.figures().iter().all(|(_, it)| it.open_skills == 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_has_a_breaker_that_late_calls_of_one_skill_do_not_open() {
    let pools = pools(breaking());
    let host = Host::Mcp("shop".into());
    let ends = async |skill: &str, failure: Failure| {
        let (pass, _) = pools.pass(&manifest(skill), &host, &call("acme"), None).await?;
        pass.ended::<()>(Err(&failure), true);
        Ok::<(), Failure>(())
    };
    let late = || Failure::timeout("skill.timeout", "too long").late();
    ends("shop.slow", late()).await.unwrap();
    ends("shop.slow", late()).await.unwrap();
    assert_eq!(ends("shop.slow", late()).await.unwrap_err().code, "skill.breaker");
    ends("shop.one", lost()).await.unwrap();
    ends("shop.two", lost()).await.unwrap();
    let told = ends("shop.three", lost()).await.unwrap_err();
    assert!(told.code == "host.breaker" && told.message.contains("`mcp/shop`"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_holds_calls_back_as_long_as_they_have_time_and_no_other_tenants() {
    let pools = pools(Settings::default());
    let rated = manifest("a.b").at_rate(Rate { calls: 60, per: 60 * SECOND, burst: Some(2) });
    let pace = async |tenant: &str, left| pools.pace(&rated, &Host::Workers, &call(tenant), left).await;
    let began = Instant::now();
    for _ in 0..5 {
        pace("acme", 10 * SECOND).await.unwrap();
    }
    assert_eq!(began.elapsed(), 3 * SECOND);
    pace("other", SECOND).await.unwrap();
    assert_eq!(began.elapsed(), 3 * SECOND, "another tenant has its own");
    let held = pace("acme", SECOND).await.unwrap_err();
    assert_eq!((held.code.as_str(), held.retry_after), ("skill.rate", Some(SECOND)));
    assert!(held.message.contains("`a.b` takes 60 calls in 60s, 2 of them at once"), "{held}");
    assert_eq!(pace("acme", 3 * SECOND).await.unwrap(), 2 * SECOND, "what it waits is taken from its time");
}

#[tokio::test(start_paused = true)]
async fn tenants_and_hosts_have_rates_that_an_operator_sets() {
    let one = Some(Rate { calls: 1, per: 60 * SECOND, burst: None });
    for (settings, what) in [
        (Settings { tenant: one, ..Settings::default() }, "a tenant may make"),
        (Settings { host: one, ..Settings::default() }, "the host `workers`"),
    ] {
        let pools = pools(settings);
        let pace = async |skill: &str, host| pools.pace(&manifest(skill), &host, &call("acme"), SECOND).await;
        pace("a.one", Host::Workers).await.unwrap();
        let told = pace("a.two", Host::Workers).await.unwrap_err();
        assert!(told.message.contains(what), "{told}");
        let elsewhere = pace("a.two", Host::Native).await;
        assert_eq!(elsewhere.is_ok(), what.contains("host"), "the node itself is bounded by the tenant's rate alone");
    }
}
