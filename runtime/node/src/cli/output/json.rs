//! Messages of the contract as their canonical JSON.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

use crate::cli::Failure;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(mesh_proto::FILE_DESCRIPTOR_SET).ok());

/// The canonical JSON of a message of package `mesh.v1`: camelCase, enum names, RFC 3339.
///
/// Fields that are not set stand in it with their defaults, so that a program need not ask.
pub(crate) fn to_json<M: Message>(name: &str, message: &M) -> Result<Value, Failure> {
    let descriptor = POOL
        .as_ref()
        .and_then(|pool| pool.get_message_by_name(&format!("mesh.v1.{name}")))
        .ok_or(Failure::Lacking("a message that the contract knows"))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|_| Failure::Lacking("a message of its own type"))?;
    let options = SerializeOptions::new().skip_default_fields(false).stringify_64_bit_integers(false);
    dynamic
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| Failure::Output(error.into()))
}

#[cfg(test)]
mod tests {
    use mesh_proto::v1;

    use super::*;

    #[test]
    fn a_message_becomes_its_canonical_json() {
        let tenant = v1::Tenant {
            tenant_id: "acme".to_owned(),
            state: v1::TenantState::Active as i32,
            create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            ..Default::default()
        };
        let json = to_json("Tenant", &tenant).unwrap();
        assert_eq!(json["tenantId"], "acme");
        assert_eq!(json["state"], "TENANT_STATE_ACTIVE");
        assert_eq!(json["createTime"], "1970-01-01T00:00:00Z");
        assert_eq!(json["title"], "");
    }

    #[test]
    fn a_position_is_a_number() {
        let answer = v1::GetRunResponse { run: None, position: 7 };
        assert_eq!(to_json("GetRunResponse", &answer).unwrap()["position"], 7);
    }
}
