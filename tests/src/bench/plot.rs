//! Bars with the range of their rounds, as SVG that a page can show in light and dark.

use std::fmt::Write as _;

use super::result::Part;

/// A bar: the median, and between which values the rounds were.
pub(super) struct Bar<'a> {
    pub(super) name: &'a str,
    pub(super) part: Part,
    pub(super) median: f64,
    pub(super) range: (f64, f64),
}

const WIDTH: f64 = 760.0;
/// Where the names end and the bars begin.
const LEFT: f64 = 220.0;
/// What the longest bar leaves for its figure.
const RIGHT: f64 = 120.0;
const ROW: f64 = 30.0;
const TOP: f64 = 44.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:15px}\
    .figure{font-weight:600}.ceiling{fill:#c9d1d9}.bare{fill:#afb8c1}.ours{fill:#1a7f64}.debezium{fill:#d9822b}\
    .range{stroke:#57606a;stroke-width:1.5}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ceiling{fill:#484f58}\
    .bare{fill:#6e7681}.ours{fill:#2ea583}.range{stroke:#c9d1d9}}";

/// A picture of bars, the longest as long as there is room.
pub(super) fn bars(title: &str, bars: &[Bar<'_>], figure: impl Fn(f64) -> String) -> String {
    let longest = bars.iter().map(|bar| bar.range.1.max(bar.median)).fold(f64::MIN_POSITIVE, f64::max);
    let length = |value: f64| value / longest * (WIDTH - LEFT - RIGHT);
    let height = TOP + ROW * bars.len() as f64 + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\">\
         <style>{STYLE}</style><text class=\"title\" x=\"8\" y=\"24\">{0}</text>",
        escaped(title)
    );
    for (number, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        let class = match bar.part {
            Part::Ceiling => "ceiling",
            Part::Bare => "bare",
            Part::Ours => "ours",
            Part::Debezium => "debezium",
        };
        let (middle, from, to) = (y + ROW / 2.0 - 3.0, LEFT + length(bar.range.0), LEFT + length(bar.range.1));
        // Writing into a String cannot fail.
        let _infallible = write!(
            svg,
            "\n<text x=\"{name_end}\" y=\"{base}\" text-anchor=\"end\">{name}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{bar_height}\" rx=\"2\"/>\
             <line class=\"range\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>\
             <text class=\"figure\" x=\"{figure_x:.1}\" y=\"{base}\">{figure}</text>",
            name_end = LEFT - 8.0,
            base = middle + 5.0,
            name = escaped(bar.name),
            width = length(bar.median).max(1.0),
            bar_height = ROW - 8.0,
            figure_x = to.max(LEFT + length(bar.median)) + 8.0,
            figure = escaped(&figure(bar.median)),
        );
    }
    svg.push_str("\n</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_as_much_is_half_as_long() {
        let bar = |name, median| Bar { name, part: Part::Ours, median, range: (median, median) };
        let svg = bars("a < b", &[bar("one", 100.0), bar("two", 50.0)], |value| format!("{value}"));
        let longest = WIDTH - LEFT - RIGHT;
        assert!(
            svg.contains(&format!("width=\"{longest:.1}\""))
                && svg.contains(&format!("width=\"{:.1}\"", longest / 2.0))
        );
        assert!(svg.contains("a &lt; b"));
    }
}
