//! Images that people put into issues: downloaded from GitHub's own hosts and from nowhere else,
//! without credentials, with no more than so many bytes, and only if they are images.
//!
//! A private repository's images are to be had at addresses that GitHub signs for anyone who may
//! read the issue, in the HTML. So no token of hob's is ever sent to a host that serves
//! files.

use std::time::Duration;

use reqwest::{Client, StatusCode, Url};

use crate::fail_point::{Timing, reach};

/// From the first word to the last.
const LIMIT: Duration = Duration::from_secs(30);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// GitHub sends on once.
const MAX_REDIRECTS: usize = 4;
/// After a failure that may pass.
const PAUSE: Duration = Duration::from_millis(500);
/// Shorter ends of addresses could stand for anything.
const MIN_ID: usize = 16;

/// Where GitHub sends to from `github.com/user-attachments/assets/…`; the bucket is its own.
const STORES: [&str; 2] =
    ["github-production-user-asset-6210df.s3.amazonaws.com", "objects.githubusercontent.com"];
/// Where it keeps what was put into issues.
const FILE_HOSTS: [&str; 2] =
    ["user-images.githubusercontent.com", "private-user-images.githubusercontent.com"];

/// The hosts that images may come from.
#[derive(Debug, Clone)]
pub struct AssetHosts {
    web: Option<Url>,
    client: Client,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// `png`, `jpg`, `gif` or `webp`.
    pub kind: &'static str,
    /// The whole file.
    pub bytes: Vec<u8>,
}

/// Why there is no image. The texts are for an agent to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoImage {
    /// Its address, or one that it led to, is not GitHub's.
    #[error("it is not on GitHub's own hosts")]
    Elsewhere,
    /// It is larger than allowed.
    #[error("it is larger than {0} KiB")]
    TooLarge(u64),
    /// What came is something else.
    #[error("it is not an image of a supported type")]
    NotAnImage,
    /// GitHub does not give it out.
    #[error("GitHub answered with the status {0}")]
    Refused(u16),
    /// It did not come.
    #[error("it could not be downloaded")]
    Away,
}

impl AssetHosts {
    /// The hosts of the GitHub whose pages are at `web`: `https://github.com`, or a server of
    /// somebody's own.
    ///
    /// # Errors
    /// If the system has no root certificates.
    pub fn of(web: &str) -> anyhow::Result<AssetHosts> {
        let client = Client::builder()
            .user_agent(concat!("hob/", env!("CARGO_PKG_VERSION")))
            // Each step is looked at.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(LIMIT)
            .referer(false)
            .build()?;
        Ok(AssetHosts { web: Url::parse(web).ok(), client })
    }

    /// Downloads the image at `address`, an address in somebody's text, or why there is none.
    /// `html` is the HTML of the texts.
    pub async fn fetch(&self, address: &str, html: &str, most: u64) -> Result<ImageFile, NoImage> {
        let address = Url::parse(address).ok().filter(|url| self.is_own(url)).ok_or(NoImage::Elsewhere)?;
        let url = self.signed(&address, html).unwrap_or(address);
        match self.follow(url.clone(), most).await {
            Err(NoImage::Away | NoImage::Refused(500..)) => {
                tokio::time::sleep(PAUSE).await;
                self.follow(url, most).await
            }
            other => other,
        }
    }

    async fn follow(&self, mut url: Url, most: u64) -> Result<ImageFile, NoImage> {
        for _ in 0..=MAX_REDIRECTS {
            reach("github", "get-asset", Timing::Before);
            let answer = self.client.get(url.clone()).send().await;
            reach("github", "get-asset", Timing::After);
            let answer = answer.map_err(|error| away(&error))?;
            if answer.status().is_redirection() {
                let next = answer.headers().get("location").and_then(|value| value.to_str().ok());
                let next = next.and_then(|next| url.join(next).ok()).ok_or(NoImage::Away)?;
                if !self.is_own(&next) && !self.is_store(&next) {
                    return Err(NoImage::Elsewhere);
                }
                url = next;
            } else if answer.status() == StatusCode::OK {
                return read(answer, most).await;
            } else {
                return Err(NoImage::Refused(answer.status().as_u16()));
            }
        }
        Err(NoImage::Away)
    }

    /// Whether this is where the configured GitHub keeps what people put into issues.
    fn is_own(&self, url: &Url) -> bool {
        let Some(web) = &self.web else { return false };
        let is_plain = url.username().is_empty() && url.password().is_none();
        let same_way =
            url.scheme() == web.scheme() && url.port_or_known_default() == web.port_or_known_default();
        let (Some(host), Some(own)) = (url.host_str(), web.host_str()) else { return false };
        if !is_plain || !same_way {
            return false;
        }
        if host == own {
            return is_file_path(url.path());
        }
        let is_public = own == "github.com";
        if is_public { FILE_HOSTS.contains(&host) } else { host.strip_prefix("media.") == Some(own) }
    }

    fn is_store(&self, url: &Url) -> bool {
        let is_public = self.web.as_ref().and_then(Url::host_str) == Some("github.com");
        is_public
            && url.scheme() == "https"
            && url.port().is_none()
            && url.host_str().is_some_and(|h| STORES.contains(&h))
    }

    /// The address that GitHub has signed for the same file, if there is one.
    fn signed(&self, address: &Url, html: &str) -> Option<Url> {
        let id = address.path_segments()?.next_back()?.split('.').next().filter(|id| id.len() >= MIN_ID)?;
        let quoted = html.split('"').filter(|text| text.contains(id));
        let urls = quoted.filter_map(|text| Url::parse(&text.replace("&amp;", "&")).ok());
        let fits = |url: &Url| self.is_own(url) && url.path().contains(id) && url.query().is_some();
        urls.into_iter().find(fits)
    }
}

/// The paths at which a GitHub serves what was attached to issues, now and in earlier years.
fn is_file_path(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["user-attachments", "assets", id] => !id.is_empty(),
        ["storage", "user", _, "files", id] => !id.is_empty(),
        [_owner, _name, "assets", _user, id] => !id.is_empty(),
        _ => false,
    }
}

async fn read(mut answer: reqwest::Response, most: u64) -> Result<ImageFile, NoImage> {
    let too_large = NoImage::TooLarge(most / 1024);
    if answer.content_length().is_some_and(|length| length > most) {
        return Err(too_large);
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| away(&error))? {
        if (bytes.len() + piece.len()) as u64 > most {
            return Err(too_large);
        }
        bytes.extend_from_slice(&piece);
    }
    let kind = kind(&bytes).ok_or(NoImage::NotAnImage)?;
    Ok(ImageFile { kind, bytes })
}

fn away(error: &reqwest::Error) -> NoImage {
    // Without the address, which may be signed.
    tracing::warn!(error = %error.to_string().split(" for url").next().unwrap_or_default(), "downloading an image failed");
    NoImage::Away
}

/// What kind of image it is, by how it begins. SVG is none of them: it is a program.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "png",
        [0xff, 0xd8, 0xff, ..] => "jpg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(web: &str, url: &str) -> bool {
        AssetHosts::of(web).unwrap().is_own(&Url::parse(url).unwrap())
    }

    #[test]
    fn only_githubs_own_hosts_serve_images() {
        let own = [
            "https://github.com/user-attachments/assets/0a6f8c3e-0000-4000-8000-000000000000",
            "https://user-images.githubusercontent.com/1/2-3.png",
            "https://private-user-images.githubusercontent.com/1/2-3.png?jwt=x",
            "https://github.com/acme/tool/assets/12/0a6f8c3e",
        ];
        let others = [
            "http://github.com/user-attachments/assets/0a6f8c3e",
            "https://github.com/acme/tool/raw/main/x.png",
            "https://github.com/user-attachments/assets/../../acme/tool",
            "https://github.com/login?return_to=/user-attachments/assets/1",
            "https://github.com:444/user-attachments/assets/1",
            "https://me@github.com/user-attachments/assets/1",
            "https://github.com.evil.example/user-attachments/assets/1",
            "https://raw.githubusercontent.com/acme/tool/main/x.png",
            "https://github-production-user-asset-6210df.s3.amazonaws.com/1",
            "https://169.254.169.254/user-attachments/assets/1",
        ];
        for url in own {
            assert!(is_own("https://github.com", url), "{url}");
            assert!(!is_own("https://ghe.example", url), "{url}");
        }
        for url in others {
            assert!(!is_own("https://github.com", url), "{url}");
        }
        for url in [
            "https://ghe.example/user-attachments/assets/1",
            "https://ghe.example/storage/user/3/files/1",
            "https://media.ghe.example/user/3/files/1",
        ] {
            assert!(is_own("https://ghe.example", url), "{url}");
        }
        assert!(!is_own("https://ghe.example", "https://ghe.example/api/v3/user"));
    }

    #[test]
    fn a_signed_address_is_taken_only_from_an_own_host() {
        let hosts = AssetHosts::of("https://github.com").unwrap();
        let id = "0a6f8c3e-0000-4000-8000-000000000000";
        let address = Url::parse(&format!("https://github.com/user-attachments/assets/{id}")).unwrap();
        let html = format!(
            "<img src=\"https://evil.example/{id}?jwt=x\"><img src=\"https://private-user-images.githubusercontent.com/1/2-{id}.png?jwt=a&amp;b=c\">"
        );
        let signed = format!("https://private-user-images.githubusercontent.com/1/2-{id}.png?jwt=a&b=c");
        assert_eq!(hosts.signed(&address, &html).map(String::from), Some(signed));
        assert_eq!(hosts.signed(&address, "<img src=\"x\">"), None);
    }

    #[test]
    fn an_image_is_known_by_how_it_begins() {
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n."), Some("png"));
        assert_eq!(kind(b"RIFF\0\0\0\0WEBPVP8 "), Some("webp"));
        for other in ["", "<svg xmlns='…'>", "<!DOCTYPE html>", "GIF90a"] {
            assert_eq!(kind(other.as_bytes()), None, "{other}");
        }
    }
}
