//! JAAS, in which Java is told who logs in: in a property (`sasl.jaas.config`) or in a file
//! (`javax.security.auth.login.Configuration`, `org.apache.kafka.common.security.JaasConfig`).

use std::collections::BTreeMap;

/// The JVM's property that names the file, and the variables that a JVM's options come from.
const FILE_OPTION: &str = "-Djava.security.auth.login.config=";
const JVM_OPTIONS: [&str; 4] = ["KAFKA_OPTS", "EXTRA_ARGS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"];

/// Who logs in, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginModule {
    /// Its Java class.
    pub class: String,
    /// Its options: names, passwords.
    pub options: BTreeMap<String, String>,
}

impl std::fmt::Debug for LoginModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginModule").field("class", &self.class).finish_non_exhaustive()
    }
}

/// The file that a JVM would be told of by its variables; `variable` looks one up.
///
/// # Errors
/// Which variables were looked at, when none names a file.
pub fn file_of_a_jvm(variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let options = JVM_OPTIONS.iter().filter_map(|name| variable(name));
    let named = |options: String| {
        let file = options.split_whitespace().find_map(|option| option.strip_prefix(FILE_OPTION));
        file.map(|file| file.trim_matches('"').to_owned())
    };
    options
        .filter_map(named)
        .next()
        .ok_or_else(|| format!("no variable of {} names a JAAS file with {FILE_OPTION}FILE", JVM_OPTIONS.join(", ")))
}

/// The login modules of a property.
///
/// # Errors
/// What is wrong with its form.
pub fn modules(text: &str) -> Result<Vec<LoginModule>, String> {
    let tokens = tokens(text)?;
    if tokens.last().is_some_and(|last| *last != Token::Mark(';')) {
        return Err("a login module ends with a semicolon".to_owned());
    }
    tokens.split(|token| *token == Token::Mark(';')).filter(|module| !module.is_empty()).map(module).collect()
}

/// The login modules of an entry of a file, `None` when it has no such entry.
///
/// # Errors
/// What is wrong with the file's form.
pub fn entry(text: &str, name: &str) -> Result<Option<Vec<LoginModule>>, String> {
    let tokens = tokens(text)?;
    let head = [Token::Word(name.to_owned()), Token::Mark('{')];
    let Some(at) = tokens.windows(2).position(|pair| pair == head) else { return Ok(None) };
    let body = tokens.get(at + 2..).unwrap_or_default();
    let end = body.iter().position(|token| *token == Token::Mark('}')).ok_or_else(|| format!("{name} has no end"))?;
    let body = body.get(..end).unwrap_or_default();
    let modules = body.split(|token| *token == Token::Mark(';')).filter(|module| !module.is_empty());
    modules.map(module).collect::<Result<_, _>>().map(Some)
}

/// `CLASS FLAG KEY=VALUE …`; what the flag says matters among several modules only.
fn module(tokens: &[Token]) -> Result<LoginModule, String> {
    let [Token::Word(class), Token::Word(_flag), options @ ..] = tokens else {
        return Err("a login module is a class, a flag such as `required`, options, and a semicolon".to_owned());
    };
    let options = options.chunks(3).map(|option| match option {
        [Token::Word(key), Token::Mark('='), Token::Word(value)] => Ok((key.clone(), value.clone())),
        _ => Err(format!("an option of {class} is not KEY=\"VALUE\"")),
    });
    Ok(LoginModule { class: class.clone(), options: options.collect::<Result<_, _>>()? })
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Mark(char),
}

/// Words, quoted or not, and marks; comments are left out.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if rest.starts_with("//") || rest.starts_with('#') {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if matches!(first, '"' | '\'') {
            let (word, length) = quoted(rest, first).ok_or("a quote has no end")?;
            tokens.push(Token::Word(word));
            length
        } else if matches!(first, '{' | '}' | ';' | '=') {
            tokens.push(Token::Mark(first));
            1
        } else {
            let ends = |of: char| of.is_whitespace() || matches!(of, '{' | '}' | ';' | '=' | '"' | '\'');
            let end = rest.find(ends).unwrap_or(rest.len());
            tokens.push(Token::Word(rest.get(..end).unwrap_or_default().to_owned()));
            end
        };
        rest = rest.get(end..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

/// A quoted word and how many bytes it takes, its quotes included; escapes are those of `java.io.StreamTokenizer`, without
/// the octal ones.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut word = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => word.push(match characters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            }),
            _ if character == quote => return Some((word, index + 1)),
            _ => word.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_s_module_has_its_options() {
        let text = r#"a.Plain  required username="me" password="p=w;\"x\\" other=5 ;"#;
        let modules = modules(text).unwrap();
        assert_eq!(modules.len(), 1);
        let of = |key: &str| modules[0].options[key].as_str();
        assert_eq!(
            (modules[0].class.as_str(), of("username"), of("password"), of("other")),
            ("a.Plain", "me", "p=w;\"x\\", "5")
        );
        assert!(!format!("{modules:?}").contains("p=w"), "passwords are not shown");
    }

    #[test]
    fn an_entry_is_found_among_others_and_comments() {
        let file =
            "/* Client { */ Other { a.B required; };\n// x\nClient {\n  c.D optional file=\"f\"; e.F required;\n};";
        let found = entry(file, "Client").unwrap().unwrap();
        assert_eq!(found.iter().map(|module| module.class.as_str()).collect::<Vec<_>>(), ["c.D", "e.F"]);
        assert_eq!(found[0].options["file"], "f");
        assert_eq!(entry(file, "None"), Ok(None));
    }

    #[test]
    fn what_has_not_the_form_is_refused() {
        for text in ["a.B", "a.B required", "a.B required x;", "a.B required x=;", "a.B required x=\"y;", ";a"] {
            assert!(modules(text).is_err(), "{text}");
        }
        assert_eq!(modules(""), Ok(Vec::new()));
        assert!(entry("Client { a.B required;", "Client").is_err());
    }

    #[test]
    fn the_file_is_where_a_jvm_would_find_it() {
        let of = |text: &'static str| move |name: &str| (name == "KAFKA_OPTS").then(|| text.to_owned());
        assert_eq!(file_of_a_jvm(of("-Xmx1g -Djava.security.auth.login.config=/etc/jaas")).as_deref(), Ok("/etc/jaas"));
        assert!(file_of_a_jvm(of("-Xmx1g")).unwrap_err().contains("KAFKA_OPTS"));
    }
}
