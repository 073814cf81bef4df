//! Floor 3: what a tenant may use: quotas, and a fair share when others want it too; and what its
//! callers were denied.

mod denials;
mod quota;

pub use denials::{DenialCounts, Denials, Denied, Sample};
pub use quota::{Quota, Quotas, StreamPermit};
