//! Random values of every type, written as `proto` writes them and read back, under every mode.

use proptest::prelude::*;
use proto::connect::json::JsonWriter;
use proto::table::{Column, PgType, PgTypeKind};
use proto::types::array::{Element, parse};
use proto::types::decimal::Decimal;
use proto::types::{
    BinaryMode, ColumnCodec, DecimalMode, Fidelity, HstoreMode, IntervalMode, Phase, Placeholder, TimePrecision,
    ValueModes, hstore,
};

use super::super::super::handling::Handling;
use super::super::super::reader::{Reader, Unavailable};
use super::super::Written;
use super::{array_of, pg_type, read_json, under};

/// A type, its modifier, and values as PostgreSQL prints them.
#[derive(Debug, Clone)]
struct Sample {
    pg_type: PgType,
    typmod: i32,
    text: String,
}

fn of(name: &str, typmod: i32, texts: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Sample> {
    let pg_type = pg_type(name, PgTypeKind::Base);
    texts.prop_map(move |text| Sample { pg_type: pg_type.clone(), typmod, text }).boxed()
}

fn one_of(texts: &'static [&str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

fn date() -> impl Strategy<Value = String> {
    let ordinary = (1..9999_u32, 1..13_u32, 1..29_u32, prop::sample::select(&["", "", "", " BC"][..]));
    prop_oneof![
        4 => ordinary.prop_map(|(year, month, day, era)| match era {
            "" => format!("{year:04}-{month:02}-{day:02}"),
            _ => format!("{:04}-{month:02}-{day:02} BC", year % 4712 + 1),
        }),
        1 => one_of(&["infinity", "-infinity", "5874897-12-31", "294246-12-31", "4713-01-01 BC", "0001-12-31 BC", "1582-10-10"]),
    ]
}

/// With so many digits behind the point at most, none of them a zero at the end.
fn clock(digits: u32) -> impl Strategy<Value = String> {
    (0..24_u32, 0..60_u32, 0..60_u32, 0..10_u32.pow(digits)).prop_map(move |(hour, minute, second, fraction)| {
        let fraction = format!(".{fraction:0width$}", width = digits as usize);
        format!("{hour:02}:{minute:02}:{second:02}{}", fraction.trim_end_matches('0').trim_end_matches('.'))
    })
}

fn timestamp(digits: u32) -> impl Strategy<Value = String> {
    (date(), clock(digits)).prop_map(|(date, clock)| match date.strip_suffix(" BC") {
        Some(date) => format!("{date} {clock} BC"),
        None if date.contains("infinity") => date,
        None => format!("{} {clock}", date.replace("5874897", "294246")),
    })
}

fn zoned(digits: u32) -> impl Strategy<Value = String> {
    timestamp(digits).prop_map(|text| match text.strip_suffix(" BC") {
        Some(text) => format!("{text}+00 BC"),
        None if text.contains("infinity") => text,
        None => format!("{text}+00"),
    })
}

fn bytea() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<u8>(), 0..40)
        .prop_map(|bytes| bytes.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

/// A literal, its elements quoted.
fn literal(elements: &[Option<String>], delimiter: &str) -> String {
    let quoted = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let elements: Vec<String> =
        elements.iter().map(|element| element.as_ref().map_or_else(|| "NULL".to_owned(), quoted)).collect();
    format!("{{{}}}", elements.join(delimiter))
}

fn pairs() -> impl Strategy<Value = String> {
    prop::collection::btree_map(".{0,6}", prop::option::of(".{0,6}"), 0..4).prop_map(|pairs| {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let pair = |(key, value): (&String, &Option<String>)| {
            format!("{}=>{}", quoted(key), value.as_deref().map_or_else(|| "NULL".to_owned(), quoted))
        };
        pairs.iter().map(pair).collect::<Vec<_>>().join(", ")
    })
}

fn decimal(digits: usize, scale: usize) -> impl Strategy<Value = String> {
    let regex = |text: String| prop::string::string_regex(&text).unwrap();
    let whole = format!("[1-9][0-9]{{0,{}}}", digits - scale - 1);
    (any::<bool>(), regex(format!("[0-9]{{{scale}}}")), regex(whole)).prop_map(move |(negative, fraction, whole)| {
        let point = if scale > 0 { "." } else { "" };
        format!("{}{whole}{point}{fraction}", if negative { "-" } else { "" })
    })
}

fn scalar() -> BoxedStrategy<Sample> {
    let text = || "[^\0]{0,12}";
    prop_oneof![
        of("bool", -1, one_of(&["t", "f"])),
        of("int2", -1, any::<i16>().prop_map(|number| number.to_string())),
        of("int8", -1, any::<i64>().prop_map(|number| number.to_string())),
        of("oid", -1, any::<u32>().prop_map(|number| number.to_string())),
        of("float4", -1, any::<f32>().prop_map(float)),
        of("float8", -1, prop_oneof![any::<f64>().prop_map(float), one_of(&["NaN", "Infinity", "-Infinity", "-0"])]),
        of("numeric", -1, prop_oneof![4 => decimal(40, 8), 1 => one_of(&["NaN", "Infinity", "-Infinity", "0.000"])]),
        of("numeric", (12 << 16 | 3) + 4, prop_oneof![4 => decimal(12, 3), 1 => one_of(&["NaN", "0.000"])]),
        of("money", -1, decimal(15, 2).prop_map(|text| format!("${text}").replace("$-", "-$"))),
        of("text", -1, text()),
        of("uuid", -1, "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        of("jsonb", -1, one_of(&["{}", "null", "{\"a\": [1, \"😀\\\\\"]}"])),
        of("ltree", -1, one_of(&["", "a.b"])),
        of("name", -1, text()),
        of("bytea", -1, bytea()),
        of("bit", 1, "[01]"),
        of("bit", 13, "[01]{13}"),
        of("varbit", -1, "(1[01]{0,70})?"),
        of("date", -1, date()),
        of("time", -1, prop_oneof![8 => clock(6), 1 => one_of(&["24:00:00"])]),
        of("time", 3, prop_oneof![8 => clock(3), 1 => one_of(&["24:00:00"])]),
        of("timetz", -1, clock(6).prop_map(|text| format!("{text}+00"))),
        of("timestamp", -1, timestamp(6)),
        of("timestamp", 3, timestamp(3)),
        of("timestamptz", -1, zoned(6)),
        of("timestamptz", 3, zoned(3)),
        of("interval", -1, interval()),
        of("hstore", -1, pairs()),
        of("point", -1, one_of(&["(1.5,-2)", "(NaN,-Infinity)", "(1e+20,0)"])),
        of("vector", -1, one_of(&["[1,-2.5,3e-05]"])),
        of("sparsevec", -1, one_of(&["{1:1.5,3:2}/5", "{}/7", "{3:1,5:2,8:3}/9"])),
        of("geometry", -1, one_of(&["0101000020e6100000000000000000f03f0000000000000040"])),
        of("line", -1, one_of(&["{1,-1,0}", "{2,3,-4.5}"])),
        of("path", -1, one_of(&["[(1,2),(1e+20,4)]"])),
        of("tsquery", -1, one_of(&["'a' & 'b'"])),
    ]
    .boxed()
}

fn float<T: std::fmt::LowerExp>(number: T) -> String {
    format!("{number:e}").replace("inf", "Infinity")
}

fn interval() -> impl Strategy<Value = String> {
    let sign = || prop::sample::select(&["", "-"][..]);
    (-4000..4000_i32, -12..12_i32, -40..40_i32, sign(), clock(6))
        .prop_map(|(years, months, days, sign, clock)| format!("{years} years {months} mons {days} days {sign}{clock}"))
}

/// Elements of one type, some of them null.
fn array() -> impl Strategy<Value = Sample> {
    let elements = scalar().prop_flat_map(|first| {
        // More of the same type: the same texts, in some order.
        prop::collection::vec(prop::option::weighted(0.8, Just(first.text.clone())), 0..4)
            .prop_map(move |elements| (first.clone(), elements))
    });
    elements.prop_map(|(of, elements)| {
        let text = literal(&elements, ",");
        Sample { pg_type: array_of(of.pg_type), typmod: of.typmod, text }
    })
}

fn modes() -> impl Strategy<Value = ValueModes> {
    use TimePrecision as Time;
    (
        prop::sample::select(&[DecimalMode::Precise, DecimalMode::Double, DecimalMode::String][..]),
        prop::sample::select(
            &[
                Time::Adaptive,
                Time::AdaptiveTimeMicroseconds,
                Time::Connect,
                Time::IsoString,
                Time::Microseconds,
                Time::Nanoseconds,
            ][..],
        ),
        prop::sample::select(&[IntervalMode::Numeric, IntervalMode::String][..]),
        prop::sample::select(&[BinaryMode::Bytes, BinaryMode::Base64, BinaryMode::Base64UrlSafe, BinaryMode::Hex][..]),
        prop::sample::select(&[HstoreMode::Json, HstoreMode::Map][..]),
        2..5_u32,
        any::<bool>(),
    )
        .prop_map(|(decimal, time, interval, binary, hstore, money_digits, exact)| ValueModes {
            decimal,
            time,
            interval,
            binary,
            hstore,
            money_digits,
            include_unknown: true,
            fidelity: if exact { Fidelity::Exact } else { Fidelity::Debezium },
            ..ValueModes::default()
        })
}

/// What docs/compatibility.md says is lost.
fn loses(name: &str, text: &str, modes: &ValueModes) -> bool {
    let is_infinite = text.contains("infinity");
    let year = text.split('-').next().and_then(|year| year.parse::<u32>().ok()).unwrap_or_default();
    let has_micros =
        text.split_once('.').is_some_and(|(_, behind)| behind.bytes().take_while(u8::is_ascii_digit).count() > 3);
    match name {
        "numeric" if text.contains(['N', 'I']) => modes.decimal == DecimalMode::Precise,
        "numeric" | "money" => {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            modes.decimal == DecimalMode::Double && digits > 15
        }
        "time" if text.starts_with("24") => modes.time == TimePrecision::IsoString,
        "time" => modes.time == TimePrecision::Connect && has_micros,
        "timestamp" => match modes.time {
            _ if is_infinite => false,
            TimePrecision::Nanoseconds => year > 68_000,
            TimePrecision::Connect => has_micros,
            _ => false,
        },
        // Debezium counts in doubles, whose last microsecond is not always the interval's.
        "interval" => {
            let is_clock = text.starts_with("0 years 0 mons 0 days") && !text.contains('.');
            modes.interval == IntervalMode::Numeric && !is_clock
        }
        _ => false,
    }
}

/// What an array loses beside that.
fn array_loses(name: &str, text: &str, modes: &ValueModes) -> bool {
    let is_debeziums = modes.fidelity == Fidelity::Debezium;
    let is_old = text.contains("BC")
        || ["15", "14", "13", "12", "11", "10", "0"]
            .iter()
            .any(|year| text.starts_with(&format!("{{\"{year}")) || text.contains(&format!(",\"{year}")));
    match name {
        // Left out, or without a value.
        "money" | "interval" | "point" | "varbit" | "name" | "bit" => true,
        "numeric" => text.contains("NaN") || text.contains("Infinity"),
        "ltree" | "vector" | "sparsevec" | "line" | "path" | "tsquery" => text.contains("NULL"),
        // As the driver reads it: arrays pass through a clock of milliseconds and through Java's calendar.
        "time" | "timetz" => is_debeziums && (text.contains('.') || text.contains("24:")),
        "date" | "timestamp" | "timestamptz" => is_debeziums && is_old,
        // Their own delimiter stands between them.
        "box" | "geometry" => true,
        _ => false,
    }
}

/// The value that PostgreSQL would read from a text, in one form for both sides.
fn value(name: &str, text: &str) -> String {
    match name {
        "bool" => text.chars().take(1).collect(),
        "numeric" => match Decimal::parse(text.as_bytes()) {
            Ok(Some(decimal)) => decimal.stripped().to_string(),
            _ => text.to_owned(),
        },
        "money" => Decimal::parse_money(text.as_bytes()).unwrap().stripped().to_string(),
        "float4" => format!("{:?}", text.parse::<f32>().unwrap()),
        "float8" => format!("{:?}", text.parse::<f64>().unwrap()),
        "time" | "timetz" | "timestamp" | "timestamptz" => moment(text),
        "interval" => interval_value(text),
        "hstore" => {
            let mut pairs = hstore::parse(text).unwrap();
            pairs.sort();
            format!("{pairs:?}")
        }
        "point" | "vector" | "sparsevec" | "line" | "path" => numbers(text),
        _ => text.to_owned(),
    }
}

/// Without zeros behind a second's point, and with what stands between and behind in one form.
fn moment(text: &str) -> String {
    let (text, era) = text.strip_suffix(" BC").map_or((text, ""), |text| (text, " BC"));
    let text = text.replace('T', " ");
    let text = text.strip_suffix("+00").or_else(|| text.strip_suffix('Z')).unwrap_or(&text);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    format!("{text}{era}")
}

/// Every number in a text, and what stands between them.
fn numbers(text: &str) -> String {
    text.split_inclusive(['(', ')', '[', ']', '{', '}', ',', ':', '/'])
        .map(|part| {
            let number = part.trim_end_matches(['(', ')', '[', ']', '{', '}', ',', ':', '/']);
            let behind = part.strip_prefix(number).unwrap_or_default();
            number.parse::<f64>().map_or_else(|_| part.to_owned(), |number| format!("{number:?}{behind}"))
        })
        .collect()
}

/// Months, days and microseconds.
fn interval_value(text: &str) -> String {
    let (mut months, mut days, mut micros) = (0_i64, 0_i64, 0_f64);
    if let Some(iso) = text.strip_prefix('P') {
        let (date, clock) = iso.split_once('T').unwrap();
        let parts = |text: &str| -> Vec<(f64, char)> {
            text.split_inclusive(char::is_alphabetic)
                .map(|part| (part[..part.len() - 1].parse().unwrap(), part.chars().last().unwrap()))
                .collect()
        };
        for (number, unit) in parts(date) {
            match unit {
                'Y' => months += number as i64 * 12,
                'M' => months += number as i64,
                _ => days += number as i64,
            }
        }
        for (number, unit) in parts(clock) {
            micros += number
                * match unit {
                    'H' => 3.6e9,
                    'M' => 6e7,
                    _ => 1e6,
                };
        }
    } else if let Some(number) = text.strip_suffix(" microseconds") {
        micros = number.parse().unwrap();
    } else {
        let mut words = text.split(' ');
        while let Some(word) = words.next() {
            if word.contains(':') {
                let sign = if word.starts_with('-') { -1.0 } else { 1.0 };
                let parts: Vec<f64> =
                    word.trim_start_matches('-').split(':').map(|part| part.parse().unwrap()).collect();
                micros = sign * (parts[0] * 3.6e9 + parts[1] * 6e7 + parts[2] * 1e6);
                continue;
            }
            let number: i64 = word.parse().unwrap();
            match words.next() {
                Some("years") => months += number * 12,
                Some("mons") => months += number,
                _ => days += number,
            }
        }
    }
    format!("{months} {days} {}", micros.round() as i64)
}

fn array_value(name: &str, text: &str) -> Vec<String> {
    let element = |element: Element| match element {
        Element::Text(text) => value(name, &text),
        other => format!("{other:?}"),
    };
    parse(text).unwrap().into_iter().map(element).collect()
}

fn column(sample: &Sample) -> Column {
    Column {
        name: "c".to_owned(),
        typmod: sample.typmod,
        pg_type: sample.pg_type.clone(),
        not_null: false,
        default: None,
        generated: false,
    }
}

/// The text that the target is given for a value.
fn through(sample: &Sample, modes: &ValueModes) -> Option<String> {
    let codec = ColumnCodec::compile(&column(sample), Phase::Streaming, modes)?;
    let mut json = Vec::new();
    codec.write(sample.text.as_bytes(), Phase::Streaming, &mut JsonWriter::new(&mut json)).unwrap();
    let reader = Reader::new(&sample.pg_type, sample.typmod, &under(*modes));
    let json = String::from_utf8(json).unwrap();
    match read_json(&json, &reader) {
        Ok((Written::Text, text)) => Some(text),
        Ok((written, _)) => Some(format!("{written:?}")),
        Err(error) => panic!("{json}: {error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    #[test]
    fn a_value_comes_back_under_every_mode_that_keeps_it(sample in scalar(), modes in modes()) {
        let name = &sample.pg_type.name;
        let found = through(&sample, &modes);
        if !loses(name, &sample.text, &modes) {
            let found = found.map(|found| value(name, &found));
            prop_assert_eq!(found, Some(value(name, &sample.text)), "{} as {:?}", &sample.text, &modes);
        }
    }

    /// Of exact decimals any may be a value; the others' types are never stored out of line, or have no records.
    #[test]
    fn whatever_was_not_sent_is_left_as_it_is_under_exact_fidelity(
        sample in prop_oneof![scalar(), array()],
        modes in modes(),
        placeholder in prop_oneof![Just("__debezium_unavailable_value"), Just("hex:00ff41"), Just("gone for now")],
    ) {
        let modes = ValueModes { fidelity: Fidelity::Exact, ..modes };
        let placeholder = Placeholder::parse(placeholder).unwrap();
        let (element, is_array) = match &sample.pg_type.kind {
            PgTypeKind::Array { element } => (element.name.as_str(), true),
            _ => (sample.pg_type.name.as_str(), false),
        };
        let is_fixed = !is_array && !matches!(
            element,
            "numeric" | "text" | "jsonb" | "ltree" | "bytea" | "varbit" | "hstore" | "vector" | "sparsevec" | "geometry" | "path"
        );
        let has_none = element == "numeric" && modes.decimal != DecimalMode::String
            && !(is_array && modes.decimal == DecimalMode::Double);
        let is_left_out = is_array && matches!(element, "money" | "interval" | "point" | "varbit" | "name" | "bit");
        if is_fixed || has_none || is_left_out {
            return Ok(());
        }
        let codec = ColumnCodec::compile(&column(&sample), Phase::Streaming, &modes).unwrap();
        let mut json = Vec::new();
        codec.write_unavailable(&placeholder, &mut JsonWriter::new(&mut json));
        let handling = Handling { unavailable: Unavailable::from(&placeholder), ..under(modes) };
        let json = String::from_utf8(json).unwrap();
        let found = read_json(&json, &Reader::new(&sample.pg_type, sample.typmod, &handling));
        prop_assert_eq!(found, Ok((Written::Unchanged, String::new())), "{} {} as {:?}", element, json, &modes);
    }

    #[test]
    fn an_array_comes_back_under_every_mode_that_keeps_it(sample in array(), modes in modes()) {
        let PgTypeKind::Array { element } = &sample.pg_type.kind else { panic!("an array") };
        let name = element.name.as_str();
        if array_loses(name, &sample.text, &modes) {
            return Ok(());
        }
        let found = through(&sample, &modes);
        let items = parse(&sample.text).unwrap();
        let is_kept = |item: &Element| match item {
            Element::Text(text) => !loses(name, text, &modes),
            _ => true,
        };
        if items.iter().all(is_kept) {
            let found = found.map(|found| array_value(name, &found));
            prop_assert_eq!(found, Some(array_value(name, &sample.text)), "{} as {:?}", &sample.text, &modes);
        }
    }
}
