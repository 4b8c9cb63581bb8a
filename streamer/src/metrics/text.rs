//! Prometheus' text, for what is asked at the moment of a scrape: `metrics` keeps a series for ever, and knows no `untyped`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What a family's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only rise.
    Counter,
    /// They rise and fall.
    Gauge,
    /// Nobody says it, as with most of what the JMX exporter gives.
    Untyped,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
        }
    }
}

/// A series' labels.
pub(super) type Pairs = Vec<(Cow<'static, str>, String)>;

/// The families so far.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
}

impl Text {
    /// Adds a family with its series; nothing where there is none.
    pub(super) fn family(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        series: impl IntoIterator<Item = (Pairs, f64)>,
    ) {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return;
        }
        // Writing into a string cannot fail.
        _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
        for (labels, value) in series {
            self.text.push_str(name);
            for (number, (label, value)) in labels.iter().enumerate() {
                self.text.push(if number == 0 { '{' } else { ',' });
                _ = write!(self.text, "{label}=\"{}\"", escaped(value));
            }
            if !labels.is_empty() {
                self.text.push('}');
            }
            _ = match value {
                f64::INFINITY => writeln!(self.text, " +Inf"),
                value => writeln!(self.text, " {value}"),
            };
        }
    }

    /// The whole.
    pub(super) fn into_string(self) -> String {
        self.text
    }
}

fn escaped(value: &str) -> Cow<'_, str> {
    if value.contains(['\\', '"', '\n']) {
        return value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n").into();
    }
    value.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_have_any_value_and_a_family_without_series_is_not_there() {
        let mut text = Text::default();
        text.family(("none", Kind::Gauge, "Nothing."), []);
        text.family(
            ("some", Kind::Untyped, "Something."),
            [(vec![("a".into(), "x\"y\\z\n".to_owned()), ("b".into(), String::new())], 1.5), (vec![], -1.0)],
        );
        assert_eq!(
            text.into_string(),
            "# HELP some Something.\n# TYPE some untyped\nsome{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1.5\nsome -1\n"
        );
    }
}
