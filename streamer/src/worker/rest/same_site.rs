//! What a page of another site has a browser ask for.

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::answer::Refusal;

/// Refuses what changes something where a browser says that another site asks for it (`Sec-Fetch-Site`): the browser would add
/// the password that it knows. A program does not send that header.
pub(super) async fn only(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site").and_then(|site| site.to_str().ok());
    let is_foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
    if is_foreign && !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Refusal::forbidden("A page of another site may not change anything here").into_response();
    }
    next.run(request).await
}
