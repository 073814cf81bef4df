//! Messages of the contract made wrong by their descriptors, field by field and byte by byte.

use std::collections::HashMap;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value};

use super::text::Words;
use crate::Chance;

/// How deep a message is filled in the ordinary way.
const DEPTH_MAX: u32 = 4;

/// Sets a few fields to what nobody means.
pub(super) fn disturb(message: &mut DynamicMessage, words: &Words, chance: &mut Chance) {
    let fields: Vec<FieldDescriptor> = message.descriptor().fields().collect();
    for _ in 0..=chance.below(3) {
        let Some(field) = chance.one(&fields) else { return };
        if chance.once_in(8) {
            message.clear_field(field);
        } else {
            message.set_field(field, odd(field, words, chance, 0));
        }
    }
}

fn odd(field: &FieldDescriptor, words: &Words, chance: &mut Chance, depth: u32) -> Value {
    let many = if depth == 0 && chance.once_in(10) { chance.index(100) } else { chance.index(4) };
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { return Value::Map(HashMap::new()) };
        let value = entry.map_entry_value_field();
        let entries = (0..many).map(|_| (MapKey::String(words.word(chance)), single(&value, words, chance, depth)));
        return Value::Map(entries.collect());
    }
    if field.is_list() {
        return Value::List((0..many).map(|_| single(field, words, chance, depth)).collect());
    }
    single(field, words, chance, depth)
}

fn single(field: &FieldDescriptor, words: &Words, chance: &mut Chance, depth: u32) -> Value {
    let bits = match chance.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << 63,
        3 => i32::MAX as u64,
        4 => chance.below(1_000),
        _ => chance.bits(),
    };
    match field.kind() {
        Kind::String => Value::String(words.word(chance)),
        Kind::Bytes => Value::Bytes(words.word(chance).into_bytes().into()),
        Kind::Bool => Value::Bool(bits & 1 == 1),
        Kind::Double => Value::F64(f64::from_bits(bits)),
        Kind::Float => Value::F32(f32::from_bits(bits as u32)),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(bits as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(bits as i64),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(bits as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(bits),
        Kind::Enum(_) => Value::EnumNumber(bits as i32),
        Kind::Message(message) => Value::Message(filled(&message, words, chance, depth + 1)),
    }
}

/// A message with some of its fields set; a JSON value now and then much deeper than anything needs.
fn filled(descriptor: &MessageDescriptor, words: &Words, chance: &mut Chance, depth: u32) -> DynamicMessage {
    if descriptor.full_name() == "google.protobuf.Value" && chance.once_in(6) {
        return deep(descriptor, chance.below(150));
    }
    let mut message = DynamicMessage::new(descriptor.clone());
    if depth < DEPTH_MAX {
        let fields: Vec<FieldDescriptor> = descriptor.fields().collect();
        for field in fields.iter().filter(|_| chance.once_in(2)).collect::<Vec<_>>() {
            message.set_field(field, odd(field, words, chance, depth));
        }
    }
    message
}

/// A list in a list, so many times.
fn deep(value: &MessageDescriptor, levels: u64) -> DynamicMessage {
    let mut message = DynamicMessage::new(value.clone());
    message.set_field_by_name("bool_value", Value::Bool(true));
    let Some(list) = value.parent_pool().get_message_by_name("google.protobuf.ListValue") else { return message };
    for _ in 0..levels {
        let (mut inner, mut outer) = (DynamicMessage::new(list.clone()), DynamicMessage::new(value.clone()));
        inner.set_field_by_name("values", Value::List(vec![Value::Message(message)]));
        outer.set_field_by_name("list_value", Value::Message(inner));
        message = outer;
    }
    message
}

/// Changes the bytes themselves: bits, lengths, what is missing, what is too much.
pub(super) fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        let at = chance.index(bytes.len() + 1);
        match chance.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, chance.bits() as u8),
            // A length that is far too long.
            2 => drop(bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f])),
            3 => bytes.extend(chance.bits().to_le_bytes()),
            4 => drop(bytes.splice(..0, (0..chance.below(64)).map(|n| n as u8))),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << chance.below(8);
                }
            }
        }
    }
}
