//! What people attach to issues: files at addresses of the played GitHub itself, as on GitHub
//! Enterprise Server. Those of private repositories are given out only at a signed address, which
//! stands in the HTML of the text that shows them.

use axum::extract::{Path, Query, Request, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use uuid::Uuid;

use super::GitHub;

/// What comes before an attachment's id.
const PATH: &str = "/user-attachments/assets/";
/// The length of an id.
const ID_LENGTH: usize = 36;
/// Stands in for a signature.
const SIGNATURE: &str = "signed-by-github";

/// What lies at an attachment's address.
pub(super) enum Asset {
    /// A file that anybody may have.
    Public(Vec<u8>),
    /// A file for who has a signed address.
    Private(Vec<u8>),
    /// The way to another address.
    Redirect(String),
}

#[derive(Deserialize)]
pub(super) struct Signed {
    jwt: Option<String>,
}

impl GitHub {
    /// Attaches a file to something public; gives back its address.
    pub fn attach(&self, bytes: &[u8]) -> String {
        self.add_asset(Asset::Public(bytes.to_owned()))
    }

    /// Attaches a file to something private.
    pub fn attach_privately(&self, bytes: &[u8]) -> String {
        self.add_asset(Asset::Private(bytes.to_owned()))
    }

    /// An attachment that leads to another address.
    pub fn attach_redirect(&self, to: &str) -> String {
        self.add_asset(Asset::Redirect(to.to_owned()))
    }

    fn add_asset(&self, asset: Asset) -> String {
        let id = Uuid::new_v4().to_string();
        let address = format!("{}{PATH}{id}", self.git_url());
        self.change(|state| state.assets.insert(id, asset));
        address
    }

    /// A text as HTML, as far as attachments are concerned: with signed addresses.
    pub(super) fn html_of(&self, text: &str) -> String {
        let start = format!("{}{PATH}", self.git_url());
        let text = text.replace('"', "&quot;");
        let mut pieces = text.split(&start);
        let mut html = format!("<p>{}", pieces.next().unwrap_or_default());
        for piece in pieces {
            let (id, rest) = piece.split_at_checked(ID_LENGTH).unwrap_or((piece, ""));
            html.push_str(&format!("<img src=\"{start}{id}?jwt={SIGNATURE}&amp;x=1\">{rest}"));
        }
        html + "</p>"
    }
}

/// Gives an attachment out.
pub(super) async fn serve(
    Extract(github): Extract<GitHub>,
    Path(id): Path<String>,
    Query(signed): Query<Signed>,
    request: Request,
) -> Response {
    github.change(|state| {
        if request.headers().contains_key(header::AUTHORIZATION) {
            state.violation(format!("{}: a token sent to where files are served", request.uri().path()));
        }
        match state.assets.get(&id) {
            Some(Asset::Public(bytes)) => bytes.clone().into_response(),
            Some(Asset::Private(bytes)) if signed.jwt.as_deref() == Some(SIGNATURE) => {
                bytes.clone().into_response()
            }
            Some(Asset::Redirect(to)) => {
                (StatusCode::FOUND, [(header::LOCATION, to.clone())]).into_response()
            }
            Some(Asset::Private(_)) | None => StatusCode::NOT_FOUND.into_response(),
        }
    })
}
