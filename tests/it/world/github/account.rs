//! Who is asking: the personal token of a user, a signed token of the GitHub App, or an
//! installation token that the App was given.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use octocrab::jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::Value;

use super::state::State;

/// Accepted over the API and by the git server.
pub(super) const PERSONAL_TOKEN: &str = "ghp_thePersonalTokenOfHobBotInTheTests01";
/// The account of the personal token.
pub(super) const USER_LOGIN: &str = "hob-bot";
/// The account that an App's installation acts as.
pub(super) const APP_LOGIN: &str = "hob[bot]";
/// The App's name in addresses.
pub(super) const APP_SLUG: &str = "hob";
pub(super) const APP_ID: u64 = 424_242;
pub(super) const INSTALLATION_ID: u64 = 51_000_001;

/// How long an installation token is good for: an hour, as GitHub has it.
pub(super) const INSTALLATION_TOKEN_SECONDS: i64 = 3600;
/// GitHub refuses a signed token that is valid longer than ten minutes.
const MAX_SIGNED_TOKEN_SECONDS: i64 = 600;

/// Keys made for these tests alone; they open nothing.
const TEST_PRIVATE_KEY: &str = include_str!("../../../data/github-app.test-key.pem");
const TEST_PUBLIC_KEY: &str = include_str!("../../../data/github-app.test-key.pub.pem");

/// What the owner of a GitHub App has in hand.
#[derive(Debug, Clone)]
pub struct AppCredentials {
    /// The App's id, the issuer of its signed tokens.
    pub app_id: u64,
    /// The RSA key, PEM.
    pub private_key: String,
    /// The App's one installation.
    pub installation_id: u64,
    /// The login under which it comments.
    pub login: String,
}

impl AppCredentials {
    pub(super) fn of_the_test_app() -> Self {
        Self {
            app_id: APP_ID,
            private_key: TEST_PRIVATE_KEY.to_owned(),
            installation_id: INSTALLATION_ID,
            login: APP_LOGIN.to_owned(),
        }
    }
}

/// A token of the installation, as handed out.
pub(super) struct InstallationToken {
    pub(super) expires: Timestamp,
    /// Set by a test that does not want to wait for the hour.
    pub(super) expired: bool,
    /// Names of repositories it is limited to, lower case; none means all.
    pub(super) repositories: Option<Vec<String>>,
}

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Actor {
    /// The user `hob-bot`.
    User,
    /// The App itself, by a signed token: it may ask about itself only.
    App,
    /// The App's installation, by a token, limited to repositories or not.
    Installation { repositories: Option<Vec<String>> },
}

impl Actor {
    /// The account's login, under which its comments appear.
    pub(super) fn login(&self) -> &'static str {
        match self {
            Self::User => USER_LOGIN,
            Self::App | Self::Installation { .. } => APP_LOGIN,
        }
    }

    /// Whether a token's own limits let it see the repository of this name.
    pub(super) fn reaches(&self, name: &str) -> bool {
        match self {
            Self::Installation { repositories: Some(only) } => only.contains(&name.to_ascii_lowercase()),
            _ => true,
        }
    }
}

/// Why a request's credentials were not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rejected {
    /// There were none.
    Missing,
    /// An installation token that was good once: this happens to a well-behaved client too.
    Expired,
    /// Anything else, with the reason.
    Wrong(String),
}

/// Who an API request comes from, by its `Authorization`.
pub(super) fn identify(state: &State, headers: &HeaderMap) -> Result<Actor, Rejected> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Rejected::Missing)?;
    let value = value.to_str().map_err(|_| Rejected::Wrong("Authorization is not text".to_owned()))?;
    match value.split_once(' ') {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") =>
        {
            if token.matches('.').count() == 2 { signed_token(token) } else { by_token(state, token) }
        }
        _ => Err(Rejected::Wrong("Authorization is neither `Bearer` nor `token`".to_owned())),
    }
}

/// Who a git request comes from, by Basic authentication as `x-access-token`.
pub(super) fn identify_git(state: &State, headers: &HeaderMap) -> Result<Actor, Rejected> {
    let wrong = |why: &str| Rejected::Wrong(why.to_owned());
    let value = headers.get(header::AUTHORIZATION).ok_or(Rejected::Missing)?;
    let encoded = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .ok_or_else(|| wrong("not Basic authentication"))?;
    let decoded = STANDARD.decode(encoded.1).map_err(|_| wrong("Basic credentials are not base64"))?;
    let decoded = String::from_utf8(decoded).map_err(|_| wrong("Basic credentials are not text"))?;
    match decoded.split_once(':') {
        Some(("x-access-token", token)) => by_token(state, token),
        Some((user, _)) => Err(Rejected::Wrong(format!("user {user} where x-access-token was expected"))),
        None => Err(wrong("Basic credentials without a password")),
    }
}

fn by_token(state: &State, token: &str) -> Result<Actor, Rejected> {
    if token == PERSONAL_TOKEN {
        return Ok(Actor::User);
    }
    match state.installation_tokens.get(token) {
        Some(known) if known.expired || known.expires <= Timestamp::now() => Err(Rejected::Expired),
        Some(known) => Ok(Actor::Installation { repositories: known.repositories.clone() }),
        None => Err(Rejected::Wrong("a token that was never handed out".to_owned())),
    }
}

#[derive(Deserialize)]
struct Claims {
    /// A number from some libraries, text from others; GitHub takes both.
    iss: Value,
    iat: i64,
    exp: i64,
}

fn signed_token(token: &str) -> Result<Actor, Rejected> {
    let key = DecodingKey::from_rsa_pem(TEST_PUBLIC_KEY.as_bytes()).expect("the checked-in test key");
    let claims = decode::<Claims>(token, &key, &Validation::new(Algorithm::RS256))
        .map_err(|error| Rejected::Wrong(format!("signed token: {error}")))?
        .claims;
    let issuer = claims.iss.as_str().map_or_else(|| claims.iss.to_string(), str::to_owned);
    if issuer != APP_ID.to_string() {
        return Err(Rejected::Wrong(format!("signed token issued by {issuer}")));
    }
    let now = Timestamp::now().as_second();
    if claims.iat > now || claims.exp > now + MAX_SIGNED_TOKEN_SECONDS {
        return Err(Rejected::Wrong("signed token from the future, or valid for too long".to_owned()));
    }
    Ok(Actor::App)
}
