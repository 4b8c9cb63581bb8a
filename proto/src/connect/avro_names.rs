//! Names that Avro takes (`SchemaNameAdjuster`).

/// `schema.name.adjustment.mode` and `field.name.adjustment.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameAdjustment {
    /// As they are.
    #[default]
    None,
    /// An underscore for what Avro does not take.
    Avro,
    /// `_u` and the character's number in hexadecimal, for underscores too.
    AvroUnicode,
}

impl NameAdjustment {
    /// A schema's name: dots separate its parts.
    pub fn schema(self, name: &str) -> String {
        self.adjust(name, true)
    }

    /// A field's name.
    pub fn field(self, name: &str) -> String {
        self.adjust(name, false)
    }

    fn adjust(self, name: &str, takes_dots: bool) -> String {
        if self == NameAdjustment::None {
            return name.to_owned();
        }
        let mut adjusted = String::with_capacity(name.len());
        // Java's characters: those beyond the basic plane are two.
        for (index, unit) in name.encode_utf16().enumerate() {
            let character = char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER);
            let is_digit = character.is_ascii_digit();
            let is_valid = character.is_ascii_alphabetic()
                || (character == '_' && self == NameAdjustment::Avro)
                || (index > 0 && (is_digit || (takes_dots && character == '.')));
            match self {
                _ if is_valid => adjusted.push(character),
                NameAdjustment::AvroUnicode => {
                    let digits = format!("{unit:x}");
                    adjusted.push_str(if digits.len() <= 2 { "_u00" } else { "_u" });
                    adjusted.push_str(&digits);
                }
                _ => {
                    adjusted.push('_');
                    // So that two names that differ in their first digit stay two.
                    if index == 0 && is_digit {
                        adjusted.push(character);
                    }
                }
            }
        }
        adjusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_avro_does_not_take_becomes_an_underscore() {
        for (name, field) in [("1st", "_1st"), ("a.b", "a_b"), ("sel\"ect", "sel_ect"), ("a_b", "a_b"), ("é🦀", "___")]
        {
            assert_eq!(NameAdjustment::Avro.field(name), field);
        }
        assert_eq!(NameAdjustment::Avro.schema("srv.My Schema.Table-1.Key"), "srv.My_Schema.Table_1.Key");
    }

    #[test]
    fn the_unicode_mode_can_be_read_back() {
        for (name, field) in
            [("1st", "_u0031st"), ("a_b", "a_u005fb"), ("é", "_u00e9"), ("鍵", "_u9375"), ("a.b", "a_u002eb")]
        {
            assert_eq!(NameAdjustment::AvroUnicode.field(name), field);
        }
        assert_eq!(NameAdjustment::AvroUnicode.schema("a.b-c"), "a.b_u002dc");
    }
}
