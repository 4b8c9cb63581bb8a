use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::lsn::Lsn;
use crate::oid::Oid;

fn text_tuple(values: &[Option<&str>]) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_u16(values.len() as u16);
    for value in values {
        match value {
            Some(value) => {
                bytes.put_u8(b't');
                bytes.put_u32(value.len() as u32);
                bytes.put_slice(value.as_bytes());
            }
            None => bytes.put_u8(b'n'),
        }
    }
    bytes
}

fn message(tag: u8, body: &[&[u8]]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(tag);
    for part in body {
        bytes.put_slice(part);
    }
    bytes.freeze()
}

fn text(value: &'static str) -> Datum {
    Datum::Text(Bytes::from_static(value.as_bytes()))
}

#[test]
fn a_commit_time_counts_from_1970() {
    let begin = message(b'B', &[&7_u64.to_be_bytes(), &1_i64.to_be_bytes(), &9_u32.to_be_bytes()]);
    let Ok(Message::Begin(begin)) = decode(begin) else { panic!("not a Begin") };
    assert_eq!((begin.final_lsn, begin.commit_time_us), (Lsn::from(7), 946_684_800_000_001));
}

#[test]
fn an_update_of_the_key_brings_the_old_key_and_the_new_row() {
    let update = message(
        b'U',
        &[&5_u32.to_be_bytes(), b"K", &text_tuple(&[Some("1"), None]), b"N", &text_tuple(&[Some("2"), Some("x")])],
    );
    let expected = Update {
        relation: Oid::from(5),
        old: Some(OldTuple::Key(Tuple { values: vec![text("1"), Datum::Null] })),
        new: Tuple { values: vec![text("2"), text("x")] },
    };
    assert_eq!(decode(update), Ok(Message::Update(expected)));
}

#[test]
fn a_relation_in_pg_catalog_is_named_by_its_short_form() {
    let relation = message(
        b'R',
        &[
            &5_u32.to_be_bytes(),
            b"\0t\0d",
            &1_u16.to_be_bytes(),
            b"\x01id\0",
            &23_u32.to_be_bytes(),
            &(-1_i32).to_be_bytes(),
        ],
    );
    let Ok(Message::Relation(relation)) = decode(relation) else { panic!("not a Relation") };
    assert_eq!((relation.namespace.as_str(), relation.name.as_str()), ("pg_catalog", "t"));
    assert_eq!((relation.columns[0].key, relation.columns[0].typmod), (true, -1));
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    let whole = message(b'D', &[&5_u32.to_be_bytes(), b"O", &text_tuple(&[Some("abc"), None])]);
    assert!(decode(whole.clone()).is_ok());
    for end in 0..whole.len() {
        assert!(decode(whole.slice(..end)).is_err(), "cut at {end}");
    }
    let mut longer = BytesMut::from(&whole[..]);
    longer.put_u8(0);
    assert_eq!(decode(longer.freeze()), Err(DecodeError::Trailing(1)));
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(tag in prop::sample::select(b"BCORYIUDTMxZ".to_vec()), body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _decoded = decode(message(tag, &[&body]));
    }
}
