//! Whether who asks is a browser.

use axum::http::{HeaderMap, header};

/// Whether a page is what is asked for before anything else: `text/html` is named, and nothing that a program reads is named
/// before it. `*/*`, which curl and most clients send, asks for no page.
pub fn prefers_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT);
    let accepted: Vec<&str> = accepted.iter().filter_map(|value| value.to_str().ok()).collect();
    let accepted = accepted.join(",");
    let weight = |wanted: &str| accepted.split(',').filter_map(|range| weight_of(range, wanted)).fold(0.0, f32::max);
    let page = weight("text/html");
    page > 0.0 && page >= weight("application/json")
}

/// How much a media range wants this type, if it names it (RFC 9110, 12.5.1).
fn weight_of(range: &str, wanted: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some(weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_browser_gets_the_page_and_a_program_does_not() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for (accept, is_page) in [
            (browser, true),
            ("text/html", true),
            ("TEXT/HTML;level=1;q=0.5", true),
            ("*/*", false),
            ("application/json", false),
            ("text/*", false),
            ("text/html;q=0", false),
            ("text/html;q=x", false),
            ("application/json, text/html;q=0.9", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers_page(&headers), is_page, "{accept}");
        }
        assert!(!prefers_page(&HeaderMap::new()));
    }
}
