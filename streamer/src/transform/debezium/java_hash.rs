//! The hashes by which `PartitionRouting` chooses a partition: Java's `hashCode` of a value as Debezium holds it, and
//! `io.debezium.util.MurmurHash3`.

use proto::connect::schema::Schema;
use proto::connect::value::Value;

/// `Object.hashCode` of a value. Of a struct and of a byte array Java's differs from run to run: here it follows the content.
pub(super) fn hash_code(value: &Value, schema: &Schema) -> i32 {
    match value {
        Value::Null => 0,
        Value::Boolean(value) => {
            if *value {
                1231
            } else {
                1237
            }
        }
        Value::Int8(value) => i32::from(*value),
        Value::Int16(value) => i32::from(*value),
        Value::Int32(value) => match schema.name.as_deref() {
            // These are a `java.util.Date`.
            Some("org.apache.kafka.connect.data.Date") => long(i64::from(*value) * 86_400_000),
            Some("org.apache.kafka.connect.data.Time") => long(i64::from(*value)),
            _ => *value,
        },
        Value::Int64(value) => long(*value),
        Value::Float32(value) => (if value.is_nan() { f32::NAN } else { *value }).to_bits().cast_signed(),
        Value::Float64(value) => long((if value.is_nan() { f64::NAN } else { *value }).to_bits().cast_signed()),
        Value::String(text) => {
            text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
        }
        Value::Bytes(bytes) => match schema.decimal_scale() {
            Some(scale) => big_integer(bytes).wrapping_mul(31).wrapping_add(scale),
            // `ByteBuffer.hashCode`, which begins at the end.
            None => bytes
                .iter()
                .rev()
                .fold(1, |hash: i32, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte.cast_signed()))),
        },
        Value::Array(values) => {
            let element = match &schema.kind {
                proto::connect::schema::SchemaKind::Array(element) => element.as_ref(),
                _ => schema,
            };
            values.iter().fold(1, |hash: i32, value| hash.wrapping_mul(31).wrapping_add(hash_code(value, element)))
        }
        Value::Map(entries) => entries
            .iter()
            .fold(0, |hash: i32, (key, value)| hash.wrapping_add(hash_code(key, schema) ^ hash_code(value, schema))),
        Value::Struct(values) => {
            schema.fields().iter().zip(values).fold(1, |hash: i32, (field, value)| {
                hash.wrapping_mul(31).wrapping_add(hash_code(value, &field.schema))
            })
        }
    }
}

fn long(value: i64) -> i32 {
    let bits = value.cast_unsigned();
    ((bits ^ (bits >> 32)) as u32).cast_signed()
}

/// `BigInteger.hashCode` of a two's complement number.
fn big_integer(bytes: &[u8]) -> i32 {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
            *byte = sum;
            carry = overflow;
        }
    }
    let mut hash: i32 = 0;
    // Words from the most significant on; the first may be short.
    let mut rest = magnitude.as_slice();
    while !rest.is_empty() {
        let length = match rest.len() % 4 {
            0 => 4,
            short => short,
        };
        let (word, behind) = rest.split_at(length);
        let word = word.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(31).wrapping_add(word.cast_signed());
        rest = behind;
    }
    if negative { hash.wrapping_neg() } else { hash }
}

/// `MurmurHash3.hash(Object)`.
pub(super) fn murmur(value: &Value, schema: &Schema) -> i32 {
    let hash = match value {
        Value::String(text) => murmur_bytes(text.as_bytes()),
        value => murmur_bytes(&hash_code(value, schema).to_le_bytes()),
    };
    ((hash >> 32) as u32).cast_signed()
}

struct State {
    h1: u64,
    h2: u64,
    c1: u64,
    c2: u64,
}

impl State {
    fn mix(&mut self, k1: u64, k2: u64) {
        let k1 = k1.wrapping_mul(self.c1).rotate_left(23).wrapping_mul(self.c2);
        self.h1 = (self.h1 ^ k1).wrapping_add(self.h2);
        self.h2 = self.h2.rotate_left(41);
        let k2 = k2.wrapping_mul(self.c2).rotate_left(23).wrapping_mul(self.c1);
        self.h2 = (self.h2 ^ k2).wrapping_add(self.h1);
        self.h1 = self.h1.wrapping_mul(3).wrapping_add(0x52dc_e729);
        self.h2 = self.h2.wrapping_mul(3).wrapping_add(0x3849_5ab5);
        self.c1 = self.c1.wrapping_mul(5).wrapping_add(0x7b7d_159c);
        self.c2 = self.c2.wrapping_mul(5).wrapping_add(0x6bce_6396);
    }
}

fn murmur_bytes(bytes: &[u8]) -> u64 {
    const SEED: u64 = 9001;
    let mut state = State {
        h1: 0x9368_e53c_2f6a_f274 ^ SEED,
        h2: 0x586d_cd20_8f7c_d3fd ^ SEED,
        c1: 0x87c3_7b91_1142_53d5,
        c2: 0x4cf5_ad43_2745_937f,
    };
    let (blocks, tail) = bytes.as_chunks::<16>();
    let half = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, byte| (word << 8) | u64::from(*byte));
    for block in blocks {
        let (low, high) = block.split_at(8);
        state.mix(half(low), half(high));
    }
    if !tail.is_empty() {
        // The bytes of the end are signed: a negative one flips all bits above it.
        let signed = |bytes: &[u8]| {
            bytes
                .iter()
                .enumerate()
                .fold(0u64, |word, (index, byte)| word ^ (i64::from(byte.cast_signed()).cast_unsigned() << (8 * index)))
        };
        let (low, high) = tail.split_at(tail.len().min(8));
        state.mix(signed(low), signed(high));
    }
    state.h2 ^= bytes.len() as u64;
    state.h1 = state.h1.wrapping_add(state.h2);
    state.h2 = state.h2.wrapping_add(state.h1);
    state.h1 = finish(state.h1);
    state.h2 = finish(state.h2);
    state.h1.wrapping_add(state.h2)
}

fn finish(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}
