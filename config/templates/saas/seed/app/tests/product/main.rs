//! Nothing but the spine, walked.

use app::PRODUCT;
use saas_spine::testing::{Site, spine_steps, walk};
use serde_json as _;

#[test]
fn no_route_shows_or_changes_anything_of_another_tenant() {
    let site = Site::start(&PRODUCT).unwrap();
    let wrong = walk(&site, &spine_steps()).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
