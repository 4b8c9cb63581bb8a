use proptest::prelude::*;

use super::*;
use crate::connect::value::{TreeWriter, Value};
use crate::oid::Oid;
use crate::table::{Column, PgType, PgTypeKind};

const NAMES: &[&str] = &[
    "bool",
    "int2",
    "int4",
    "int8",
    "oid",
    "float4",
    "float8",
    "numeric",
    "money",
    "text",
    "name",
    "uuid",
    "jsonb",
    "xml",
    "hstore",
    "bytea",
    "bit",
    "varbit",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "point",
    "geometry",
    "geography",
    "vector",
    "halfvec",
    "sparsevec",
    "ltree",
    "citext",
    "tsvector",
    "line",
    "box",
];

fn column(name: &str, is_array: bool, typmod: i32) -> Column {
    let named =
        |name: &str, kind| PgType { oid: Oid::from(1), schema: "pg_catalog".to_owned(), name: name.to_owned(), kind };
    let base = named(name, PgTypeKind::Base);
    let pg_type = match is_array {
        true => named(&format!("_{name}"), PgTypeKind::Array { element: Box::new(base) }),
        false => base,
    };
    Column { name: "c".to_owned(), typmod, pg_type, not_null: false, default: None, generated: false }
}

fn modes() -> impl Strategy<Value = ValueModes> {
    let decimal = prop::sample::select(vec![DecimalMode::Precise, DecimalMode::Double, DecimalMode::String]);
    let time = prop::sample::select(vec![
        TimePrecision::Adaptive,
        TimePrecision::Connect,
        TimePrecision::IsoString,
        TimePrecision::Microseconds,
        TimePrecision::Nanoseconds,
    ]);
    let interval = prop::sample::select(vec![IntervalMode::Numeric, IntervalMode::String]);
    (decimal, time, interval).prop_map(|(decimal, time, interval)| ValueModes {
        decimal,
        time,
        interval,
        include_unknown: true,
        ..ValueModes::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_text_of_any_type_under_any_mode_makes_a_conversion_panic(
        name in prop::sample::select(NAMES),
        is_array in any::<bool>(),
        typmod in prop::sample::select(vec![-1, 0, 1, 3, 6, 655_366]),
        text in prop_oneof![
            "[-+0-9:. {},\"\\\\/\\[\\]()$BCTZ=>NULmonsyeard]{0,40}",
            "[0-9]{1,20}-[0-9]{1,3}-[0-9]{1,3} [0-9]{1,11}:[0-9]{1,11}:[0-9]{1,11}(\\.[0-9]{1,6})?([+-][0-9]{1,11})?( BC)?",
            "-?[0-9]{1,19} years -?[0-9]{1,19} mons -?[0-9]{1,19} days -?[0-9]{1,11}:[0-9]{1,3}:[0-9]{1,3}",
            "[0-9]{1,11}:[0-9]{1,11}:[0-9]{1,11}([+-][0-9]{1,19}(:[0-9]{1,19})?)?",
        ],
        phase in prop::sample::select(vec![Phase::Snapshot, Phase::Streaming]),
        modes in modes(),
    ) {
        if let Some(codec) = ColumnCodec::compile(&column(name, is_array, typmod), phase, &modes) {
            let _result = codec.write(text.as_bytes(), phase, &mut TreeWriter::default());
            codec.write_absent(&mut TreeWriter::default());
            codec.write_unavailable(&"p".into(), &mut TreeWriter::default());
        }
    }

    #[test]
    fn a_vector_of_words_is_empty_as_in_debezium_and_whole_under_exact_fidelity(
        words in prop::collection::vec(any::<i16>(), 1..5),
    ) {
        let mut column = column("int2", true, -1);
        column.pg_type.name = "int2vector".to_owned();
        let text = words.iter().map(i16::to_string).collect::<Vec<_>>().join(" ");
        let written = |fidelity| {
            let codec = ColumnCodec::compile(&column, Phase::Streaming, &ValueModes { fidelity, ..ValueModes::default() });
            let mut writer = TreeWriter::default();
            let result = codec.map(|codec| codec.write(text.as_bytes(), Phase::Streaming, &mut writer));
            prop_assert_eq!(result, Some(Ok(())));
            Ok(writer.finish())
        };
        let whole: Vec<Value> = words.iter().map(|word| Value::Int16(*word)).collect();
        prop_assert_eq!(written(Fidelity::Debezium)?, Value::Array(Vec::new()));
        prop_assert_eq!(written(Fidelity::Exact)?, Value::Array(whole));
    }

    #[test]
    fn no_bytes_make_a_conversion_panic(name in prop::sample::select(NAMES), text in prop::collection::vec(any::<u8>(), 0..40)) {
        let codec = ColumnCodec::compile(&column(name, false, -1), Phase::Streaming, &ValueModes::default());
        if let Some(codec) = codec {
            let _result = codec.write(&text, Phase::Streaming, &mut TreeWriter::default());
        }
    }
}
