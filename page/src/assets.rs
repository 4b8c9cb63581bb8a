//! The page's files, and what a browser may do with them.

use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::events::{self, Events};

/// Whose page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The streamer's.
    Streamer,
    /// The sink's.
    Sink,
}

const STREAMER: &str = include_str!("../assets/streamer.html");
const SINK: &str = include_str!("../assets/sink.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The files that both pages are made of, as they are named below `/page/`.
const FILES: [(&str, &str, &str); 10] = [
    ("/page/page.css", STYLE, include_str!("../assets/page.css")),
    ("/page/picture.css", STYLE, include_str!("../assets/picture.css")),
    ("/page/streamer.js", SCRIPT, include_str!("../assets/streamer.js")),
    ("/page/sink.js", SCRIPT, include_str!("../assets/sink.js")),
    ("/page/live.js", SCRIPT, include_str!("../assets/live.js")),
    ("/page/element.js", SCRIPT, include_str!("../assets/element.js")),
    ("/page/number.js", SCRIPT, include_str!("../assets/number.js")),
    ("/page/snapshot.js", SCRIPT, include_str!("../assets/snapshot.js")),
    ("/page/picture.js", SCRIPT, include_str!("../assets/picture.js")),
    ("/page/table.js", SCRIPT, include_str!("../assets/table.js")),
];

/// Only what comes from here is loaded, run and asked, and nobody else's page shows this one in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page of a program, as its `/` answers a browser.
pub fn index(program: Program) -> Response {
    let page = match program {
        Program::Streamer => STREAMER,
        Program::Sink => SINK,
    };
    let vary = [(header::VARY, "Accept")];
    (vary, file("text/html; charset=utf-8", page)).into_response()
}

/// Serves the page's files and its events, all below `/page/`.
pub fn router<S: Clone + Send + Sync + 'static>(events: Events) -> Router<S> {
    let files = FILES
        .iter()
        .fold(Router::new(), |router, (path, kind, text)| router.route(path, get(async move || file(kind, text))));
    files
        .route("/page/icon.svg", get(async || file("image/svg+xml", include_str!("../assets/icon.svg"))))
        .route("/page/events", get(async move || events::answer(&events)))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Another version of the program has another page under the same address.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (StatusCode::OK, headers, text).into_response()
}
