//! Floor 3: what a tenant may use: quotas, and a fair share when others want it too.

mod quota;

pub use quota::{Quota, Quotas};
