//! The table for people and the line for programs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    ask::{Asked, Asks},
    lives::{Awake, Restarts},
    measure::{median, quantile},
    tell::{Told, ratio},
};

/// Everything that was measured.
pub(crate) struct Results {
    pub(crate) load: [f64; 2],
    pub(crate) messages: u64,
    /// By number of senders.
    pub(crate) told: BTreeMap<u64, BTreeMap<&'static str, Told>>,
    /// By number of threads.
    pub(crate) asks: [(u32, Asks); 2],
    pub(crate) restarts: Restarts,
    pub(crate) awake: Awake,
}

impl Results {
    pub(crate) fn print(&self) {
        println!(
            "two workers where nothing else is said; load {:.1} before, {:.1} after\n",
            self.load[0], self.load[1]
        );
        println!("{:<8} {:<12} {:>10} {:>10} {:>16}", "senders", "told by", "CPU ns", "wall ns", "ractor's / own");
        for (senders, told) in &self.told {
            for (side, each) in told {
                let ratio = ratio(told, side);
                println!("{senders:<8} {side:<12} {:>10.0} {:>10.0} {ratio:>16.2}", each.cpu(), each.wall());
            }
        }
        println!(
            "\n{:<8} {:<12} {:>10} {:>10} {:>10} {:>16}",
            "threads", "asked", "CPU ns", "p50 us", "p99 us", "ractor's / own"
        );
        for (threads, asks) in &self.asks {
            for (side, asked, ratio) in [("ours", &asks.ours, asks.ratio()), ("ractor", &asks.ractor, 1.0)] {
                let (p50, p99) = (asked.wall(0.5), asked.wall(0.99));
                println!("{threads:<8} {side:<12} {:>10.0} {p50:>10.2} {p99:>10.2} {ratio:>16.2}", asked.cpu());
            }
        }
        let (restarts, awake) = (&self.restarts, &self.awake);
        println!(
            "\nrestart with 1,000 queued: p50 {:.0} us, p99 {:.0} us, {} of them; {} messages lost",
            median(&restarts.took),
            quantile(&restarts.took, 0.99),
            restarts.took.len(),
            restarts.lost
        );
        println!(
            "wake without a journal: p50 {:.1} us, p99 {:.1} us, CPU {:.1} us; a ractor actor started and asked: CPU {:.1} us",
            median(&awake.wake),
            quantile(&awake.wake, 0.99),
            awake.wake_cpu,
            awake.spawn_cpu
        );
        println!(
            "awake: {:.0} bytes each with its slot; a bare ractor actor {:.0}; slots left once all sleep: {}\n",
            awake.live_bytes, awake.ractor_bytes, awake.slots_asleep
        );
        println!("{}", self.line());
    }

    fn line(&self) -> Value {
        let tell = self.told.values().map(|told| ratio(told, "ours")).fold(f64::INFINITY, f64::min);
        let floor = self.told.values().map(|told| ratio(told, "ours") / ratio(told, "tokio mpsc"));
        let side = |name: &str| {
            let cpu =
                self.told.iter().filter_map(|(n, told)| Some((format!("tell_cpu_ns_p{n}"), told.get(name)?.cpu())));
            Value::Object(cpu.map(|(key, cpu)| (key, json!(rounded(cpu)))).collect::<Map<_, _>>())
        };
        let mut ours = side("ours");
        let (restarts, awake) = (&self.restarts, &self.awake);
        let asked = |side: fn(&Asks) -> &Asked| {
            let of = |(threads, asks): &(u32, Asks)| {
                let told = json!({ "cpu_ns": rounded(side(asks).cpu()), "p50_us": rounded(side(asks).wall(0.5)) });
                (format!("threads_{threads}"), told)
            };
            Value::Object(self.asks.iter().map(of).collect::<Map<_, _>>())
        };
        let ask = self.asks.iter().map(|(_, asks)| asks.ratio()).fold(f64::INFINITY, f64::min);
        let more = json!({
            "ask": asked(|asks| &asks.ours),
            "restart_p99_us": rounded(quantile(&restarts.took, 0.99)), "restart_lost": restarts.lost,
            "wake_p50_us": rounded(median(&awake.wake)), "wake_cpu_us": rounded(awake.wake_cpu),
            "live_bytes": rounded(awake.live_bytes), "slots_asleep": awake.slots_asleep,
        });
        if let (Value::Object(ours), Value::Object(more)) = (&mut ours, more) {
            ours.extend(more);
        }
        json!({
            "bench": "kernel",
            "versions": { "mesh": env!("CARGO_PKG_VERSION"), "ractor": "0.16.5", "kameo": "0.22.2", "tokio": "1" },
            "load": self.load,
            "work": { "ours": self.messages, "peers": self.messages },
            "ours": ours,
            "peers": {
                "ractor": side("ractor"), "kameo": side("kameo"), "tokio_mpsc": side("tokio mpsc"),
                "ractor_ask": asked(|asks| &asks.ractor),
                "ractor_spawn_cpu_us": rounded(awake.spawn_cpu), "ractor_live_bytes": rounded(awake.ractor_bytes),
            },
            "ratio": { "tell": rounded(tell), "ask": rounded(ask) },
            "limit": { "tell": rounded(floor.fold(f64::INFINITY, f64::min)) },
        })
    }
}

/// Three figures behind the point are more than was measured.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
