//! One request for a route, as a handler gets it, and its answer, as a handler gives it.

use std::collections::HashMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::GitHub;
use super::account::Actor;

/// A request for a route, checked.
pub(super) struct Call {
    pub(super) actor: Actor,
    /// The parts of the path, by name, decoded.
    pub(super) path: HashMap<String, String>,
    pub(super) query: HashMap<String, String>,
    /// Null where nothing was sent.
    pub(super) body: Value,
    /// The path below the API's address, for links to further pages.
    pub(super) address: String,
    /// Whether texts are wanted as HTML too.
    pub(super) wants_html: bool,
}

impl Call {
    pub(super) fn part(&self, name: &str) -> &str {
        self.path.get(name).map(String::as_str).expect("a part of this route's path")
    }

    /// A number in the path. One that is none finds nothing, as on GitHub.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.part(name).parse().unwrap_or(0)
    }

    pub(super) fn repository(&self) -> String {
        format!("{}/{}", self.part("owner"), self.part("repo"))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.body[name].as_str()
    }
}

/// What a route answers.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
    link: Option<String>,
    location: Option<String>,
}

impl Reply {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body, link: None, location: None }
    }

    /// The way to another address.
    pub(super) fn redirect(to: String) -> Self {
        Self { location: Some(to), ..Self::new(302, Value::Null) }
    }

    /// The way to the address at which something is now.
    pub(super) fn moved(to: String) -> Self {
        let body = json!({"message": "Moved Permanently", "url": to, "documentation_url": "https://docs.github.com/rest"});
        Self { location: Some(to), ..Self::new(301, body) }
    }

    /// A refusal in GitHub's shape.
    pub(super) fn refuse(status: u16, message: &str) -> Self {
        let body = json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": status.to_string(),
        });
        Self::new(status, body)
    }

    pub(super) fn not_found() -> Self {
        Self::refuse(404, "Not Found")
    }

    /// A 422 with one error of GitHub's shape.
    pub(super) fn invalid(error: Value) -> Self {
        let mut reply = Self::refuse(422, "Validation Failed");
        reply.body["errors"] = json!([error]);
        reply
    }

    /// One page of a list that goes on at a cursor.
    pub(super) fn with_cursor(github: &GitHub, call: &Call, body: Value, next: Option<String>) -> Self {
        let link = next.map(|cursor| {
            let size = call.query.get("per_page").map_or("30", String::as_str);
            format!("<{}{}?per_page={size}&cursor={cursor}>; rel=\"next\"", github.api_url(), call.address)
        });
        Self { link, ..Self::new(200, body) }
    }

    /// One page of a list, with the links to the others.
    pub(super) fn page(github: &GitHub, call: &Call, all: &[Value]) -> Self {
        let number = |name: &str, default: usize| {
            call.query
                .get(name)
                .and_then(|text| text.parse().ok())
                .filter(|number| *number > 0)
                .unwrap_or(default)
        };
        let size = number("per_page", 30).min(100);
        let page = number("page", 1);
        let last = all.len().div_ceil(size).max(1);
        let body = all.iter().skip((page - 1) * size).take(size).cloned().collect();
        let mut others: Vec<_> = call.query.iter().filter(|(name, _)| *name != "page").collect();
        others.sort();
        let link = |page: usize, relation: &str| {
            let mut url =
                reqwest::Url::parse(&format!("{}{}", github.api_url(), call.address)).expect("own address");
            url.query_pairs_mut().extend_pairs(&others).append_pair("page", &page.to_string());
            format!("<{url}>; rel=\"{relation}\"")
        };
        let mut links = Vec::new();
        if page > 1 {
            links.extend([link(page - 1, "prev"), link(1, "first")]);
        }
        if page < last {
            links.extend([link(page + 1, "next"), link(last, "last")]);
        }
        let link = (!links.is_empty()).then(|| links.join(", "));
        Self { link, ..Self::new(200, body) }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("a status");
        let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        let mut response = match self.body {
            Value::Null => status.into_response(),
            body => (status, [json], body.to_string()).into_response(),
        };
        if let Some(link) = self.link {
            response.headers_mut().insert(header::LINK, link.parse().expect("a header"));
        }
        if let Some(location) = self.location {
            response.headers_mut().insert(header::LOCATION, location.parse().expect("a header"));
        }
        response
    }
}
