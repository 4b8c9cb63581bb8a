//! PostgreSQL's types, and random values of them as PostgreSQL reads them: ordinary ones, and those at the edges.

use fastrand::Rng;

/// A type's values. What stands in its SQL name beside that, such as a length, stands here too where values depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer(u32),
    Float(u32),
    Numeric,
    /// Precision and scale.
    Decimal(u32, u32),
    Money,
    Boolean,
    Text,
    /// At most that many characters.
    Short(u32),
    Name,
    Byte,
    Bytea,
    Date,
    Timestamp,
    Zoned,
    Time,
    ZonedTime,
    Interval,
    Uuid,
    Json,
    Xml,
    Inet,
    Cidr,
    Mac(u32),
    Bit(u32),
    VarBit(u32),
    Oid,
    Point,
    Shape(&'static str),
    Range(&'static str),
    Hstore,
    Ltree,
    Words,
    Mood,
    /// `positive`, a domain over integers.
    Positive,
    Pair,
}

/// Every type with its SQL name. The types that are not PostgreSQL's own are made by [`PRELUDE`].
pub(crate) const TYPES: &[(&str, Kind)] = &[
    ("smallint", Kind::Integer(16)),
    ("integer", Kind::Integer(32)),
    ("bigint", Kind::Integer(64)),
    ("real", Kind::Float(32)),
    ("double precision", Kind::Float(64)),
    ("numeric", Kind::Numeric),
    ("numeric(5,2)", Kind::Decimal(5, 2)),
    ("numeric(20)", Kind::Decimal(20, 0)),
    ("numeric(38,10)", Kind::Decimal(38, 10)),
    ("money", Kind::Money),
    ("boolean", Kind::Boolean),
    ("text", Kind::Text),
    ("varchar", Kind::Text),
    ("varchar(20)", Kind::Short(20)),
    ("char(7)", Kind::Short(7)),
    ("\"char\"", Kind::Byte),
    ("name", Kind::Name),
    ("citext", Kind::Text),
    ("bytea", Kind::Bytea),
    ("date", Kind::Date),
    ("timestamp", Kind::Timestamp),
    ("timestamp(0)", Kind::Timestamp),
    ("timestamp(3)", Kind::Timestamp),
    ("timestamptz", Kind::Zoned),
    ("timestamptz(3)", Kind::Zoned),
    ("time", Kind::Time),
    ("time(3)", Kind::Time),
    ("timetz", Kind::ZonedTime),
    ("interval", Kind::Interval),
    ("uuid", Kind::Uuid),
    ("json", Kind::Json),
    ("jsonb", Kind::Json),
    ("xml", Kind::Xml),
    ("inet", Kind::Inet),
    ("cidr", Kind::Cidr),
    ("macaddr", Kind::Mac(6)),
    ("macaddr8", Kind::Mac(8)),
    ("bit(1)", Kind::Bit(1)),
    ("bit(13)", Kind::Bit(13)),
    ("bit(70)", Kind::Bit(70)),
    ("bit varying(40)", Kind::VarBit(40)),
    ("oid", Kind::Oid),
    ("point", Kind::Point),
    ("line", Kind::Shape("line")),
    ("lseg", Kind::Shape("lseg")),
    ("box", Kind::Shape("box")),
    ("path", Kind::Shape("path")),
    ("polygon", Kind::Shape("polygon")),
    ("circle", Kind::Shape("circle")),
    ("int4range", Kind::Range("int")),
    ("int8range", Kind::Range("int")),
    ("numrange", Kind::Range("num")),
    ("daterange", Kind::Range("date")),
    ("tsrange", Kind::Range("ts")),
    ("tstzrange", Kind::Range("tstz")),
    ("hstore", Kind::Hstore),
    ("ltree", Kind::Ltree),
    ("tsvector", Kind::Words),
    ("mood", Kind::Mood),
    ("positive", Kind::Positive),
    ("label", Kind::Short(12)),
    ("price", Kind::Decimal(9, 3)),
    ("pair", Kind::Pair),
];

/// Extensions and types that tables use.
pub(crate) const PRELUDE: &str = "CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'hap\"py', 'with,comma', 'ünïcode', 'two words');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN label AS varchar(12);
CREATE DOMAIN price AS numeric(9,3);
";

const TEXTS: [&str; 18] = [
    "",
    " ",
    "plain",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "new\nline",
    "tab\tand\rreturn",
    "{a,b}",
    "NULL",
    "null",
    "zażółć",
    "日本",
    "😀 𝔘𝔫𝔦",
    "e\u{301}\u{200d}",
    "\u{1}\u{1f}\u{7f}",
    "\u{2028}</a>&",
    "\u{feff}%s ${x}",
];

/// A value that is no null.
pub(crate) fn value(kind: Kind, rng: &mut Rng) -> String {
    match kind {
        Kind::Integer(bits) => integer(bits, rng),
        Kind::Float(bits) => float(bits, rng),
        Kind::Numeric => numeric(rng),
        Kind::Decimal(precision, scale) => decimal(precision, scale, rng),
        Kind::Money => {
            let digits = rng.u32(..55);
            format!("{}{}.{:02}", sign(rng), rng.u64(..1 << digits), rng.u32(..100))
        }
        Kind::Boolean => pick(&["t", "f"], rng),
        Kind::Text => text(rng),
        Kind::Short(length) => text(rng).chars().take(length as usize).collect(),
        Kind::Name => words(rng),
        Kind::Byte => pick(&["", "x", "Z", "'", " "], rng),
        Kind::Bytea => format!("\\x{}", hex(long(rng), rng)),
        Kind::Date => date(rng),
        Kind::Timestamp => timestamp(rng),
        Kind::Zoned => zoned(rng),
        Kind::Time => time(rng),
        Kind::ZonedTime => format!("{}{}", time(rng), pick(&["+00", "+05:30", "-11", "+14", "-00:45"], rng)),
        Kind::Interval => interval(rng),
        Kind::Uuid => uuid(rng),
        Kind::Json => json(rng),
        Kind::Xml => pick(&["<a/>", "<a b=\"c\">d &amp; e</a>", "<ü>日本</ü>"], rng),
        Kind::Inet => {
            pick(&["10.1.2.3", "10.0.0.0/8", "::1", "2001:db8::/32", "255.255.255.255/32", "fe80::1/64"], rng)
        }
        Kind::Cidr => pick(&["10.0.0.0/8", "192.168.1.0/24", "::/0", "2001:db8::/32", "1.2.3.4/32"], rng),
        Kind::Mac(bytes) => (0..bytes).map(|_| hex(1, rng)).collect::<Vec<_>>().join(":"),
        Kind::Bit(length) => bits(length, rng),
        Kind::VarBit(most) => {
            let length = rng.u32(..=most);
            bits(length, rng)
        }
        Kind::Oid => rng.u32(..).to_string(),
        Kind::Point => point(rng),
        Kind::Shape(name) => shape(name, rng),
        Kind::Range(of) => range(of, rng),
        Kind::Hstore => hstore(rng),
        Kind::Ltree => pick(&["", "top", "top.science.astro", "a_1.B2"], rng),
        Kind::Words => pick(&["'a' 'fat':2A 'cat':3", "", "'it''s'", "'日本':1"], rng),
        Kind::Mood => pick(&["sad", "ok", "hap\"py", "with,comma", "ünïcode", "two words"], rng),
        Kind::Positive => rng.i32(1..).to_string(),
        Kind::Pair => format!("({},{})", rng.u8(..), pick(&["x", "\"a b\"", ""], rng)),
    }
}

/// An array's text.
pub(crate) fn array(kind: Kind, rng: &mut Rng) -> String {
    let length = rng.usize(..4);
    let items: Vec<Option<String>> = (0..length).map(|_| (!one_in(5, rng)).then(|| value(kind, rng))).collect();
    array_of(kind, &items)
}

/// An array's text of its elements' texts, NULL for none.
pub(crate) fn array_of(kind: Kind, items: &[Option<String>]) -> String {
    let quoted = |item: &String| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""));
    let items: Vec<String> = items.iter().map(|item| item.as_ref().map_or_else(|| "NULL".to_owned(), quoted)).collect();
    // Boxes have commas in them: their arrays do without.
    let separator = if kind == Kind::Shape("box") { ";" } else { "," };
    format!("{{{}}}", items.join(separator))
}

/// A value that no other row of this number has, of the kinds that keys can be of.
pub(crate) fn unique(kind: Kind, number: u32, rng: &mut Rng) -> Option<String> {
    Some(match kind {
        Kind::Integer(16) | Kind::Positive | Kind::Oid | Kind::Numeric => (number + 1).to_string(),
        Kind::Integer(_) => (i64::from(number) - 20).to_string(),
        Kind::Decimal(5, 2) => format!("{}.{:02}", number / 100, number % 100),
        Kind::Decimal(_, scale) if scale > 0 => format!("{number}.5"),
        Kind::Text => format!("{number} {}", pick(&TEXTS, rng)),
        Kind::Short(_) => format!("k{number}"),
        Kind::Uuid => uuid(rng),
        Kind::Timestamp | Kind::Zoned => {
            format!("2024-01-01 {:02}:{:02}:{:02}", number / 3600, number / 60 % 60, number % 60)
        }
        Kind::Bytea => format!("\\x{number:08x}"),
        Kind::Date => format!("{:04}-{:02}-{:02}", 1900 + number / 336, number / 28 % 12 + 1, number % 28 + 1),
        _ => return None,
    })
}

/// Whether keys can be of a kind.
pub(crate) fn can_be_key(kind: Kind) -> bool {
    unique(kind, 0, &mut Rng::with_seed(0)).is_some()
}

/// One of some texts.
pub(crate) fn pick(texts: &[&str], rng: &mut Rng) -> String {
    rng.choice(texts).copied().unwrap_or_default().to_owned()
}

/// True once in `times`.
pub(crate) fn one_in(times: u32, rng: &mut Rng) -> bool {
    rng.u32(..times) == 0
}

fn sign(rng: &mut Rng) -> &'static str {
    if rng.bool() { "-" } else { "" }
}

fn integer(bits: u32, rng: &mut Rng) -> String {
    let most = i64::MAX >> (64 - bits);
    let edges = [0, 1, -1, most, -most - 1];
    match one_in(3, rng) {
        true => rng.choice(edges).unwrap_or_default().to_string(),
        false => rng.i64(-most..=most).to_string(),
    }
}

fn float(bits: u32, rng: &mut Rng) -> String {
    let edges =
        ["0", "-0", "1", "NaN", "Infinity", "-Infinity", "1e10", "123456789", "1e-7", "0.001", "1e7", "9999999"];
    if one_in(2, rng) {
        return pick(&edges, rng);
    }
    let power = rng.i32(-30..30);
    match bits {
        32 => format!("{}{}e{power}", sign(rng), rng.f32()),
        _ => format!("{}{}e{}", sign(rng), rng.f64(), power * 9),
    }
}

fn numeric(rng: &mut Rng) -> String {
    let edges =
        ["0", "0.0", "0.000", "-0.00", "1e20", "1e-20", "100", "NaN", "12345678901234567890123456789.0123456789"];
    match one_in(2, rng) {
        true => pick(&edges, rng),
        false => format!("{}{}.{}", sign(rng), rng.u32(..), rng.u32(..)),
    }
}

fn decimal(precision: u32, scale: u32, rng: &mut Rng) -> String {
    if one_in(8, rng) {
        return "NaN".to_owned();
    }
    let (whole, fraction) = (rng.u32(..=precision - scale), rng.u32(..=scale));
    let digits = |count, rng: &mut Rng| (0..count).map(|_| rng.digit(10)).collect::<String>();
    format!("{}0{}.{}", sign(rng), digits(whole, rng), digits(fraction, rng))
}

fn text(rng: &mut Rng) -> String {
    match rng.u32(..8) {
        0 => hex(long(rng), rng),
        1 => words(rng),
        _ => pick(&TEXTS, rng),
    }
}

/// Sometimes so long that it is stored out of line.
fn long(rng: &mut Rng) -> usize {
    if one_in(4, rng) { rng.usize(2_000..6_000) } else { rng.usize(..20) }
}

fn words(rng: &mut Rng) -> String {
    (0..rng.usize(1..4)).map(|_| pick(&["alpha", "Beta", "g_3", "δ"], rng)).collect::<Vec<_>>().join("_")
}

fn hex(bytes: usize, rng: &mut Rng) -> String {
    (0..bytes).map(|_| format!("{:02x}", rng.u8(..))).collect()
}

fn date(rng: &mut Rng) -> String {
    let edges = [
        "infinity",
        "-infinity",
        "0001-01-01",
        "0044-03-15 BC",
        "0001-12-31 BC",
        "1582-10-04",
        "1582-10-10",
        "1582-10-15",
        "1883-11-18",
        "1969-12-31",
        "1970-01-01",
        "9999-12-31",
        "294276-12-31",
        "4713-01-01 BC",
    ];
    match one_in(3, rng) {
        true => pick(&edges, rng),
        false => format!("{:04}-{:02}-{:02}", rng.u32(1..3000), rng.u32(1..13), rng.u32(1..29)),
    }
}

fn timestamp(rng: &mut Rng) -> String {
    let edges = [
        "infinity",
        "-infinity",
        "0001-01-01 00:00:00",
        "0044-03-15 12:00:00 BC",
        "1582-10-10 01:02:03",
        "1969-12-31 23:59:59.999999",
        "1970-01-01 00:00:00",
        "9999-12-31 23:59:59.999999",
        "294276-12-31 23:59:59.999999",
        "2262-04-11 23:47:16.854775",
        "1677-09-21 00:12:43.145225",
    ];
    match one_in(3, rng) {
        true => pick(&edges, rng),
        false => format!("{:04}-{:02}-{:02} {}", rng.u32(1..3000), rng.u32(1..13), rng.u32(1..29), clock(rng)),
    }
}

fn zoned(rng: &mut Rng) -> String {
    let timestamp = timestamp(rng);
    if timestamp.contains("infinity") || timestamp.contains("BC") || timestamp.contains("294276") {
        return timestamp;
    }
    format!("{timestamp}{}", pick(&["+00", "+05:30", "-08", "+14"], rng))
}

fn time(rng: &mut Rng) -> String {
    match one_in(4, rng) {
        true => pick(&["00:00:00", "24:00:00", "23:59:59.999999", "12:00:00.5"], rng),
        false => clock(rng),
    }
}

fn clock(rng: &mut Rng) -> String {
    let fraction = match rng.u32(..4) {
        0 => String::new(),
        1 => format!(".{:03}", rng.u32(..1000)),
        _ => format!(".{:06}", rng.u32(..1_000_000)),
    };
    format!("{:02}:{:02}:{:02}{fraction}", rng.u32(..24), rng.u32(..60), rng.u32(..60))
}

fn interval(rng: &mut Rng) -> String {
    let edges = [
        "0",
        "1 year 2 months",
        "-3 days",
        "1 mon -1 day 00:00:00.000001",
        "100 years",
        "-00:00:01.5",
        "P1Y2M3DT4H5M6.7S",
    ];
    match one_in(2, rng) {
        true => pick(&edges, rng),
        false => format!("{} months {} days {}{}", rng.i32(-50..50), rng.i32(-50..50), sign(rng), clock(rng)),
    }
}

fn uuid(rng: &mut Rng) -> String {
    let text = hex(16, rng);
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| text.get(part).unwrap_or_default().to_owned()).join("-")
}

fn json(rng: &mut Rng) -> String {
    let edges = [
        "null",
        "{}",
        "[]",
        "\"\"",
        "1.0",
        "-1e5",
        "{\"z\": 1, \"a\":[ ]}",
        "{\"a\": 1, \"a\": 2}",
        "[1, \"😀\", null, {\"x\": \"\\\"\"}]",
        "{\"big\": 123456789012345678901234567890.5}",
        "\"\\u00e9\\n\"",
    ];
    match one_in(6, rng) {
        true => format!("{{\"long\": \"{}\"}}", hex(long(rng), rng)),
        false => pick(&edges, rng),
    }
}

fn bits(length: u32, rng: &mut Rng) -> String {
    (0..length).map(|_| if rng.bool() { '1' } else { '0' }).collect()
}

fn coordinate(rng: &mut Rng) -> String {
    pick(&["0", "-1", "1.5", "-0.25", "1e10", "123456.789"], rng)
}

fn point(rng: &mut Rng) -> String {
    format!("({},{})", coordinate(rng), coordinate(rng))
}

fn shape(name: &str, rng: &mut Rng) -> String {
    match name {
        "line" => pick(&["{1,-1,0}", "{2,3,-4.5}"], rng),
        "lseg" => format!("[{},{}]", point(rng), point(rng)),
        "box" => format!("{},{}", point(rng), point(rng)),
        "circle" => format!("<{},{}>", point(rng), pick(&["0", "1", "2.5"], rng)),
        "polygon" => format!("({},{},{})", point(rng), point(rng), point(rng)),
        _ => format!("[{},{},{}]", point(rng), point(rng), point(rng)),
    }
}

fn range(of: &str, rng: &mut Rng) -> String {
    let edges: [&str; 2] = match of {
        "int" => ["-5", "100"],
        "num" => ["-0.50", "1.25"],
        "date" => ["2020-02-29", "2024-12-31"],
        "ts" => ["2020-01-01 00:00:00", "2020-06-01 12:30:00.5"],
        _ => ["2020-01-01 00:00:00+02", "2020-06-01 12:30:00.123456+00"],
    };
    let [from, to] = edges;
    match rng.u32(..6) {
        0 => "empty".to_owned(),
        1 => format!("(,{to})"),
        2 => format!("[{from},)"),
        3 => "(,)".to_owned(),
        4 => format!("[{from},{to}]"),
        _ => format!("({from},{to})"),
    }
}

fn hstore(rng: &mut Rng) -> String {
    let quoted = |rng: &mut Rng| format!("\"{}\"", pick(&TEXTS, rng).replace('\\', "\\\\").replace('"', "\\\""));
    let pairs = (0..rng.usize(..4)).map(|_| {
        let value = if one_in(5, rng) { "NULL".to_owned() } else { quoted(rng) };
        format!("{}=>{value}", quoted(rng))
    });
    pairs.collect::<Vec<_>>().join(", ")
}
