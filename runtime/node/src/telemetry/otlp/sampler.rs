//! Which traces are told: the samplers that the standard variables can name.

/// Decides by the trace alone, so that a trace is whole or absent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampler {
    /// Of 2⁶³ traces, how many.
    bound: u64,
    /// Whether a caller that sampled its own trace, or did not, decides instead.
    by_parent: bool,
}

/// The samplers' names, for messages.
pub(super) const NAMES: &str = "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, \
                                parentbased_traceidratio";

impl Sampler {
    /// Takes nothing.
    pub(super) const OFF: Self = Self { bound: 0, by_parent: false };

    /// The sampler of this name; none when there is no such sampler or the ratio is none.
    pub(super) fn named(name: &str, argument: Option<&str>) -> Option<Self> {
        let (by_parent, own) = match name.strip_prefix("parentbased_") {
            Some(own) => (true, own),
            None => (false, name),
        };
        let ratio = match own {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => argument.map_or(Some(1.0), |text| text.trim().parse::<f64>().ok())?,
            _ => return None,
        };
        let is_ratio = (0.0..=1.0).contains(&ratio);
        is_ratio.then_some(Self { bound: (ratio * (1_u64 << 63) as f64) as u64, by_parent })
    }

    /// Whether this trace is told. `traceparent` is that of the caller who began it.
    pub(super) fn takes(&self, trace: &[u8; 16], traceparent: Option<&str>) -> bool {
        if self.by_parent
            && let Some(flags) = traceparent.and_then(|parent| parent.split('-').nth(3))
            && let Ok(flags) = u8::from_str_radix(flags, 16)
        {
            return flags & 1 == 1;
        }
        let [.., a, b, c, d, e, f, g, h] = *trace;
        (u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1) < self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sampler_takes_what_its_name_says() {
        let traces: Vec<[u8; 16]> = (0..=255_u8).map(|n| [n.wrapping_mul(37); 16]).collect();
        let taken = |name: &str, argument| {
            let sampler = Sampler::named(name, argument).unwrap();
            traces.iter().filter(|trace| sampler.takes(trace, None)).count()
        };
        assert_eq!(taken("always_on", None), 256);
        assert_eq!(taken("always_off", None), 0);
        assert_eq!(taken("traceidratio", Some("0.25")), 64);
        assert_eq!(taken("parentbased_traceidratio", Some("1")), 256);
        for (name, argument) in [("sometimes", None), ("traceidratio", Some("2")), ("traceidratio", Some("x"))] {
            assert_eq!(Sampler::named(name, argument), None, "{name} {argument:?}");
        }
    }

    #[test]
    fn a_caller_who_did_not_sample_is_followed_when_the_sampler_says_so() {
        let parent = |flags| format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        let by_parent = Sampler::named("parentbased_always_on", None).unwrap();
        assert!(!by_parent.takes(&[1; 16], Some(&parent("00"))) && by_parent.takes(&[1; 16], Some(&parent("01"))));
        assert!(by_parent.takes(&[1; 16], None) && by_parent.takes(&[1; 16], Some("nonsense")));
        assert!(Sampler::named("always_on", None).unwrap().takes(&[1; 16], Some(&parent("00"))));
    }
}
