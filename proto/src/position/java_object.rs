//! `Object[]` as Java serializes it (Java Object Serialization Specification, chapter 6): the form in which Debezium's
//! offset holds keys (`AbstractIncrementalSnapshotContext.arrayToSerializedString`), as far as keys have these classes.

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JavaValue {
    /// `null`.
    Null,
    /// `java.lang.Integer`.
    Integer(i32),
    /// `java.lang.Long`.
    Long(i64),
    /// `java.lang.Boolean`.
    Boolean(bool),
    /// `java.lang.String`.
    String(String),
    /// `java.util.UUID`.
    Uuid(u128),
}

const NULL: u8 = 0x70;
const REFERENCE: u8 = 0x71;
const CLASS: u8 = 0x72;
const OBJECT: u8 = 0x73;
const STRING: u8 = 0x74;
const ARRAY: u8 = 0x75;
const END_OF_BLOCK: u8 = 0x78;
const HEADER: [u8; 4] = [0xac, 0xed, 0, 5];
const FIRST_HANDLE: u32 = 0x7e_0000;
/// As many columns as a table has at most. A long text that is referred to again and again would fill the memory.
const MOST_COLUMNS: u32 = 1600;

/// A class description: its name, `serialVersionUID`, fields and superclass.
struct Class {
    name: &'static str,
    version: u64,
    fields: &'static [(u8, &'static str)],
    parent: Option<&'static Class>,
}

static OBJECTS: Class =
    Class { name: "[Ljava.lang.Object;", version: 0x90ce_589f_1073_296c, fields: &[], parent: None };
static NUMBER: Class = Class { name: "java.lang.Number", version: 0x86ac_951d_0b94_e08b, fields: &[], parent: None };
static INTEGER: Class = Class {
    name: "java.lang.Integer",
    version: 0x12e2_a0a4_f781_8738,
    fields: &[(b'I', "value")],
    parent: Some(&NUMBER),
};
static LONG: Class =
    Class { name: "java.lang.Long", version: 0x3b8b_e490_cc8f_23df, fields: &[(b'J', "value")], parent: Some(&NUMBER) };
static BOOLEAN: Class =
    Class { name: "java.lang.Boolean", version: 0xcd20_7280_d59c_faee, fields: &[(b'Z', "value")], parent: None };
static UUID: Class = Class {
    name: "java.util.UUID",
    version: 0xbc99_03f7_986d_852f,
    fields: &[(b'J', "leastSigBits"), (b'J', "mostSigBits")],
    parent: None,
};
static CLASSES: [&Class; 6] = [&OBJECTS, &NUMBER, &INTEGER, &LONG, &BOOLEAN, &UUID];

/// The array as upper-case hexadecimal digits; `None` is a null instead of an array.
pub fn write(values: Option<&[JavaValue]>) -> String {
    let mut out = Writer { bytes: HEADER.to_vec(), handles: Vec::new() };
    match values {
        None => out.bytes.push(NULL),
        Some(values) => {
            out.bytes.push(ARRAY);
            out.class(&OBJECTS);
            out.handles.push(None);
            out.bytes.extend_from_slice(&u32::try_from(values.len()).unwrap_or(u32::MAX).to_be_bytes());
            for value in values {
                out.value(value);
            }
        }
    }
    out.bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

struct Writer {
    bytes: Vec<u8>,
    /// What each handle stands for: a class, or something that is not referred to again.
    handles: Vec<Option<&'static str>>,
}

impl Writer {
    fn class(&mut self, class: &'static Class) {
        if let Some(handle) = self.handles.iter().position(|known| *known == Some(class.name)) {
            self.bytes.push(REFERENCE);
            self.bytes.extend_from_slice(&(FIRST_HANDLE + handle as u32).to_be_bytes());
            return;
        }
        self.bytes.push(CLASS);
        self.text(class.name);
        self.bytes.extend_from_slice(&class.version.to_be_bytes());
        self.handles.push(Some(class.name));
        // Serializable.
        self.bytes.push(2);
        self.bytes.extend_from_slice(&(class.fields.len() as u16).to_be_bytes());
        for (kind, name) in class.fields {
            self.bytes.push(*kind);
            self.text(name);
        }
        self.bytes.push(END_OF_BLOCK);
        match class.parent {
            Some(parent) => self.class(parent),
            None => self.bytes.push(NULL),
        }
    }

    fn object(&mut self, class: &'static Class, fields: &[u8]) {
        self.bytes.push(OBJECT);
        self.class(class);
        self.handles.push(None);
        self.bytes.extend_from_slice(fields);
    }

    fn value(&mut self, value: &JavaValue) {
        match value {
            JavaValue::Null => self.bytes.push(NULL),
            JavaValue::Integer(value) => self.object(&INTEGER, &value.to_be_bytes()),
            JavaValue::Long(value) => self.object(&LONG, &value.to_be_bytes()),
            JavaValue::Boolean(value) => self.object(&BOOLEAN, &[u8::from(*value)]),
            JavaValue::Uuid(value) => {
                let (most, least) = ((value >> 64) as u64, *value as u64);
                self.object(&UUID, &[least.to_be_bytes(), most.to_be_bytes()].concat());
            }
            JavaValue::String(text) => {
                self.bytes.push(STRING);
                self.handles.push(None);
                self.text(text);
            }
        }
    }

    /// Java's modified UTF-8 is UTF-8 for all but NUL, which PostgreSQL has not, and characters beyond the basic plane.
    fn text(&mut self, text: &str) {
        let mut encoded = Vec::with_capacity(text.len());
        for unit in text.encode_utf16() {
            match unit {
                1..=0x7f => encoded.push(unit as u8),
                0 | 0x80..=0x7ff => encoded.extend([0xc0 | (unit >> 6) as u8, 0x80 | (unit & 0x3f) as u8]),
                _ => encoded.extend([
                    0xe0 | (unit >> 12) as u8,
                    0x80 | ((unit >> 6) & 0x3f) as u8,
                    0x80 | (unit & 0x3f) as u8,
                ]),
            }
        }
        self.bytes.extend_from_slice(&u16::try_from(encoded.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.bytes.extend_from_slice(&encoded);
    }
}

/// Reads an array of known classes; the outer `None` is anything else, the inner a null.
pub fn read(hex: &str) -> Option<Option<Vec<JavaValue>>> {
    let bytes: Option<Vec<u8>> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect();
    let bytes = bytes?;
    let mut reader = Reader { rest: bytes.strip_prefix(&HEADER)?, handles: Vec::new() };
    match reader.byte()? {
        NULL => Some(None),
        ARRAY => {
            if reader.class()?.name != OBJECTS.name {
                return None;
            }
            reader.handles.push(Handle::Other);
            let count = u32::from_be_bytes(reader.take()?);
            if count > MOST_COLUMNS {
                return None;
            }
            (0..count).map(|_| reader.value()).collect::<Option<Vec<_>>>().map(Some)
        }
        _ => None,
    }
}

enum Handle {
    Class(&'static Class),
    Value(JavaValue),
    Other,
}

struct Reader<'a> {
    rest: &'a [u8],
    handles: Vec<Handle>,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn handle(&mut self) -> Option<&Handle> {
        let handle = u32::from_be_bytes(self.take()?).checked_sub(FIRST_HANDLE)?;
        self.handles.get(usize::try_from(handle).ok()?)
    }

    fn class(&mut self) -> Option<&'static Class> {
        self.class_of(None)
    }

    /// Reads a class, of which it may be known which one it must be.
    fn class_of(&mut self, expected: Option<&'static Class>) -> Option<&'static Class> {
        let is_expected = |class: &Class| expected.is_none_or(|expected| expected.name == class.name);
        match self.byte()? {
            REFERENCE => match self.handle()? {
                Handle::Class(class) if is_expected(class) => Some(class),
                _ => None,
            },
            CLASS => {
                let name = self.text()?;
                let class = CLASSES.into_iter().find(|class| class.name == name && is_expected(class))?;
                self.handles.push(Handle::Class(class));
                self.take::<9>()?;
                for _ in 0..u16::from_be_bytes(self.take()?) {
                    self.byte()?;
                    self.text()?;
                }
                if self.byte()? != END_OF_BLOCK {
                    return None;
                }
                self.parent(class).then_some(class)
            }
            _ => None,
        }
    }

    /// Reads a class's superclass, which is the one that it has: a chain of others could be as long as the text.
    fn parent(&mut self, class: &'static Class) -> bool {
        match class.parent {
            Some(parent) => self.class_of(Some(parent)).is_some(),
            None => self.byte() == Some(NULL),
        }
    }

    fn value(&mut self) -> Option<JavaValue> {
        let value = match self.byte()? {
            NULL => return Some(JavaValue::Null),
            REFERENCE => {
                return match self.handle()? {
                    Handle::Value(value) => Some(value.clone()),
                    _ => None,
                };
            }
            STRING => {
                self.handles.push(Handle::Other);
                JavaValue::String(self.text()?)
            }
            OBJECT => {
                let class = self.class()?;
                self.handles.push(Handle::Other);
                match class.name {
                    "java.lang.Integer" => JavaValue::Integer(i32::from_be_bytes(self.take()?)),
                    "java.lang.Long" => JavaValue::Long(i64::from_be_bytes(self.take()?)),
                    "java.lang.Boolean" => JavaValue::Boolean(self.byte()? != 0),
                    "java.util.UUID" => {
                        let (least, most) = (u64::from_be_bytes(self.take()?), u64::from_be_bytes(self.take()?));
                        JavaValue::Uuid(u128::from(most) << 64 | u128::from(least))
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
        *self.handles.last_mut()? = Handle::Value(value.clone());
        Some(value)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(u16::from_be_bytes(self.take()?));
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        let mut units = Vec::with_capacity(length);
        let mut bytes = text.iter().copied();
        while let Some(first) = bytes.next() {
            let mut low = || bytes.next().map(|byte| u16::from(byte & 0x3f));
            units.push(match first {
                0..=0x7f => u16::from(first),
                0xc0..=0xdf => u16::from(first & 0x1f) << 6 | low()?,
                _ => u16::from(first & 0x0f) << 12 | low()? << 6 | low()?,
            });
        }
        String::from_utf16(&units).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by a Java 17 `ObjectOutputStream` from `new Object[] { 5, 5L, 7, "a", null, true, UUID }`.
    const JAVA: &str = include_str!("java_object.hex");

    fn values() -> Vec<JavaValue> {
        vec![
            JavaValue::Integer(5),
            JavaValue::Long(5),
            JavaValue::Integer(7),
            JavaValue::String("é€😀".to_owned()),
            JavaValue::Null,
            JavaValue::Boolean(true),
            JavaValue::Uuid(0x0123_4567_89ab_cdef_0011_2233_4455_6677),
        ]
    }

    #[test]
    fn an_array_is_written_as_java_writes_it_and_read_again() {
        assert_eq!(write(Some(&values())), JAVA.trim());
        assert_eq!(read(JAVA.trim()), Some(Some(values())));
    }

    #[test]
    fn a_null_is_no_array() {
        assert_eq!(write(None), "ACED000570");
        assert_eq!(read("ACED000570"), Some(None));
    }

    #[test]
    fn neither_a_chain_of_superclasses_nor_of_references_goes_on_as_long_as_its_text() {
        let class = [&[CLASS, 0, 17], &b"java.lang.Integer"[..], &[0; 11], &[END_OF_BLOCK]].concat();
        let chain = [&HEADER[..], &[ARRAY], &class.repeat(100_000)].concat();
        assert_eq!(read(&chain.iter().map(|byte| format!("{byte:02X}")).collect::<String>()), None);

        let array = |count: u32, references: usize| {
            let one = write(Some(&[JavaValue::String("a".repeat(100))]));
            one.replacen("0000000174", &format!("{count:08X}74"), 1) + &"71007E0002".repeat(references)
        };
        assert_eq!(read(&array(3, 2)).flatten().map(|values| values.len()), Some(3));
        assert_eq!(read(&array(1 << 20, (1 << 20) - 1)), None);
    }

    #[test]
    fn what_ends_early_or_is_of_another_class_is_not_read() {
        for end in 0..JAVA.trim().len() {
            assert_eq!(read(&JAVA[..end]), None);
        }
        assert_eq!(read("ACED0005740001"), None);
    }
}
