//! Which table a topic's records are of, and which column a field is (`DefaultCollectionNamingStrategy`,
//! `PassthroughCollectionNamingStrategy`, `NamingStyleUtils`).

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// `collection.name.format`, in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionName {
    parts: Vec<Part>,
    /// Whether points in a topic's name become underscores.
    sanitizes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `${topic}`
    Topic,
    /// `${source.NAME}`
    Source(String),
}

impl CollectionName {
    /// Of a format. `passes_through` is what `PassthroughCollectionNamingStrategy` does: topics' names stay as they are, and nothing
    /// else is looked up.
    pub fn parse(format: &str, passes_through: bool) -> Self {
        let (mut parts, mut rest) = (Vec::new(), format);
        while let Some((before, behind)) = rest.split_once("${") {
            let Some((name, behind)) = behind.split_once('}') else { break };
            parts.push(Part::Text(before.to_owned()));
            parts.push(match name.strip_prefix("source.") {
                _ if name == "topic" => Part::Topic,
                Some(field) if !passes_through => Part::Source(field.to_owned()),
                _ => Part::Text(format!("${{{name}}}")),
            });
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        Self { parts, sanitizes: !passes_through }
    }

    /// The fields of `source` that are in it.
    pub fn source_fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| if let Part::Source(field) = part { Some(field.as_str()) } else { None })
    }

    /// The name for a topic's records that have these values in their `source`; `None` where one is not there.
    pub fn of<'s>(&self, topic: &str, source: impl Fn(&str) -> Option<Cow<'s, str>>) -> Option<String> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Topic if self.sanitizes => name.push_str(&topic.replace('.', "_")),
                Part::Topic => name.push_str(topic),
                Part::Source(field) => name.push_str(&source(field)?),
            }
        }
        Some(name)
    }
}

/// A name's schema, if it has one, and the table: the last two of its parts, which are between points that are not quoted
/// (`TableId.parseParts`).
pub fn schema_and_table(name: &str) -> (Option<String>, String) {
    let (mut parts, mut is_quoted) = (vec![String::new()], false);
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                push(&mut parts, '"');
            }
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(String::new()),
            other => push(&mut parts, other),
        }
    }
    let table = parts.pop().unwrap_or_default();
    (parts.pop().filter(|schema| !schema.is_empty()), table)
}

fn push(parts: &mut [String], character: char) {
    if let Some(last) = parts.last_mut() {
        last.push(character);
    }
}

/// A naming style of `CollectionNameTransformation` and `FieldNameTransformation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Snake,
    Camel,
    Upper,
    Lower,
    Unchanged,
}

/// What one of these two makes of a name.
#[derive(Debug, Clone)]
pub struct Naming {
    style: Style,
    prefix: String,
    suffix: String,
}

impl Naming {
    /// By the style's name, with what stands around the name afterwards; `None` for no style's name.
    pub fn of(style: &str, prefix: &str, suffix: &str) -> Option<Self> {
        let style = match style.trim().to_ascii_lowercase().as_str() {
            "snake_case" => Style::Snake,
            "camel_case" => Style::Camel,
            "upper_case" => Style::Upper,
            "lower_case" => Style::Lower,
            "default" => Style::Unchanged,
            _ => return None,
        };
        Some(Self { style, prefix: prefix.to_owned(), suffix: suffix.to_owned() })
    }

    /// The name that a name gets.
    pub fn apply(&self, name: &str) -> String {
        let name = match self.style {
            Style::Snake => snake(name),
            Style::Camel => camel(name),
            Style::Upper => name.to_uppercase(),
            Style::Lower => name.to_lowercase(),
            Style::Unchanged => name.to_owned(),
        };
        format!("{}{name}{}", self.prefix, self.suffix)
    }
}

/// `Strings.toSnakeCase`, whose expression this is.
fn snake(name: &str) -> String {
    static BORDERS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"([a-z])([A-Z])|([a-zA-Z])([0-9])|([0-9])([a-zA-Z])|\.").ok());
    let Some(borders) = BORDERS.as_ref() else { return name.to_lowercase() };
    borders.replace_all(name, "$1$3${5}_$2$4$6").to_lowercase()
}

/// `Strings.convertDotAndUnderscoreStringToCamelCase`.
fn camel(name: &str) -> String {
    let word = |(place, word): (usize, &str)| {
        if place == 0 {
            return word.to_lowercase();
        }
        let mut characters = word.chars();
        let begin: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
        format!("{begin}{}", characters.as_str())
    };
    name.split(['.', '_']).enumerate().map(word).collect()
}

/// One step from a topic's name to the next: what transforms make of it.
#[derive(Debug, Clone)]
pub enum TopicStep {
    /// `RegexRouter`: a name that matches as a whole is replaced.
    Replace(Regex, String),
    /// `CollectionNameTransformation`
    Name(Naming),
}

impl TopicStep {
    /// `RegexRouter`'s, whose `$1` stand for groups.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn replace(pattern: &str, replacement: &str) -> Result<Self, String> {
        let pattern = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| error.to_string())?;
        // `${1}` for `$1`, which would be taken together with letters behind it; a backslash takes the next one as it is.
        let mut template = String::new();
        let mut characters = replacement.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some('$') => template.push_str("$$"),
                    Some(other) => template.push(other),
                    None => {}
                },
                '$' => {
                    let mut group = String::new();
                    while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                        group.push(digit);
                    }
                    match (group.is_empty(), characters.peek()) {
                        (false, _) => template.push_str(&format!("${{{group}}}")),
                        (true, Some('{')) => template.push('$'),
                        (true, _) => template.push_str("$$"),
                    }
                }
                other => template.push(other),
            }
        }
        Ok(Self::Replace(pattern, template))
    }

    /// The name that a topic gets.
    pub fn apply(&self, topic: &str) -> String {
        match self {
            TopicStep::Replace(pattern, template) => pattern.replace(topic, template).into_owned(),
            TopicStep::Name(naming) => naming.apply(topic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(format: &str, passes_through: bool) -> Option<String> {
        let source = |field: &str| matches!(field, "schema" | "table").then(|| format!("the {field}").into());
        CollectionName::parse(format, passes_through).of("p.public.t", source)
    }

    #[test]
    fn a_table_is_named_by_its_topic_and_its_source() {
        assert_eq!(name("${topic}", false).as_deref(), Some("p_public_t"));
        assert_eq!(name("a_${topic}_${source.table}", false).as_deref(), Some("a_p_public_t_the table"));
        assert_eq!(name("${source.schema}.${source.table}", false).as_deref(), Some("the schema.the table"));
        assert_eq!(name("${source.nothing}", false), None, "a record that does not have it is of no table");
        assert_eq!(name("${topic}${source.table}", true).as_deref(), Some("p.public.t${source.table}"));
        assert_eq!(name("plain ${ open", false).as_deref(), Some("plain ${ open"));
    }

    #[test]
    fn a_name_is_a_schema_and_a_table() {
        let parts = |name| schema_and_table(name);
        assert_eq!(parts("t"), (None, "t".to_owned()));
        assert_eq!(parts("s.t"), (Some("s".to_owned()), "t".to_owned()));
        assert_eq!(parts("d.s.t"), (Some("s".to_owned()), "t".to_owned()));
        assert_eq!(parts(r#""a.b"."c""d""#), (Some("a.b".to_owned()), "c\"d".to_owned()));
    }

    #[test]
    fn styles_are_those_of_the_connector() {
        let styled = |style: &str, name: &str| Naming::of(style, "", "").unwrap().apply(name);
        assert_eq!(styled("snake_case", "public.inventory"), "public_inventory");
        assert_eq!(styled("snake_case", "TopicWith123Numbers"), "topic_with_123_numbers");
        assert_eq!(styled("camel_case", "public.some_inventory"), "publicSomeInventory");
        assert_eq!(styled("UPPER_CASE", "public.inventory"), "PUBLIC.INVENTORY");
        assert_eq!(Naming::of("lower_case", "adt_", "_x").unwrap().apply("ID"), "adt_id_x");
        assert!(Naming::of("kebab", "", "").is_none());
    }

    #[test]
    fn a_router_replaces_whole_names_only() {
        let router = TopicStep::replace(r"p\.public\.(.*)", r"x_$1y\$").unwrap();
        assert_eq!(router.apply("p.public.t"), "x_ty$");
        assert_eq!(router.apply("q.p.public.t"), "q.p.public.t");
        assert!(TopicStep::replace("(", "").is_err());
    }
}
