//! Every request by one of the worker's users, as under Connect's `BasicAuthSecurityRestExtension`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::RestUsers;

/// Answers a request of one of `users`, and no other; `/metrics` and `/health` are no exceptions.
pub(super) async fn check(State(users): State<RestUsers>, request: Request, next: Next) -> Response {
    if credentials(request.headers()).is_some_and(|(name, password)| users.admits(&name, &password)) {
        return next.run(request).await;
    }
    // The words of Connect's filter.
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Kafka Connect\"")];
    (StatusCode::UNAUTHORIZED, challenge, "User cannot access the resource.").into_response()
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}
