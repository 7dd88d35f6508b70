//! Values in the configuration that are more than a text or a number.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::ids::{IssueNumber, is_branch_name};

/// A number of bytes, written `512 MiB`, `4GiB` or as a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "RawSize")]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// So many MiB.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes where a signed number is wanted; saturates.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// The number of bytes where memory is addressed; saturates.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// How a duration is written.
const A_DURATION: &str = "a duration such as \"90s\" or \"1h 30m\"";

/// Reads a duration, `90s` or `1h 30m`.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let parsed = text.trim().parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    parsed.ok_or_else(|| D::Error::custom(format!("`{text}` is not {A_DURATION}")))
}

/// The same, for what may be left out.
pub(super) fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

/// Reads an address with a port.
pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    text.trim().parse().map_err(|_| {
        D::Error::custom(format!(
            "`{text}` is not an address with a port, such as \"127.0.0.1:8470\" or \"[::1]:8470\""
        ))
    })
}

/// Whose comments an agent sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CommentsOf {
    /// Of people who may push to the repository.
    Writers,
    /// Of everyone but bots.
    Everyone,
}

/// How old something may become: `30d`, or a duration as elsewhere (`12h`, `1h 30m`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Age(pub Duration);

impl Age {
    /// So many days.
    pub const fn days(count: u64) -> Self {
        Self(Duration::from_secs(count * 24 * 60 * 60))
    }
}

impl TryFrom<String> for Age {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let trimmed = text.trim();
        let days = trimmed.strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok());
        if let Some(days) = days {
            return Ok(Self::days(days.into()));
        }
        let parsed: jiff::SignedDuration =
            trimmed.parse().map_err(|_| format!("`{text}` is not an age such as \"30d\" or \"12h\""))?;
        Duration::try_from(parsed).map(Self).map_err(|_| format!("`{text}` is negative"))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawSize {
    Number(u64),
    Text(String),
}

impl TryFrom<RawSize> for ByteSize {
    type Error = String;

    fn try_from(raw: RawSize) -> Result<Self, String> {
        match raw {
            RawSize::Number(bytes) => Ok(Self(bytes)),
            RawSize::Text(text) => text.parse(),
        }
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim() {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => return Err(format!("`{text}` is not a size such as \"512 MiB\" or \"4 GiB\"")),
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(1 << shift))
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a size such as \"512 MiB\" or \"4 GiB\""))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 >= 1 << shift && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{} {unit}", self.0 >> shift);
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// The name of the story branch, with `{issue}` where the issue's number goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BranchTemplate(String);

impl BranchTemplate {
    /// The branch of one issue.
    pub fn for_issue(&self, issue: IssueNumber) -> String {
        self.0.replace("{issue}", &issue.to_string())
    }
}

impl Default for BranchTemplate {
    fn default() -> Self {
        Self("hob/issue-{issue}".to_owned())
    }
}

impl TryFrom<String> for BranchTemplate {
    type Error = String;

    /// Whatever git takes as a branch's name, with an issue's number in it.
    fn try_from(text: String) -> Result<Self, String> {
        if !text.contains("{issue}") {
            return Err(format!(
                "`{text}` does not contain `{{issue}}`, so all issues would share one branch"
            ));
        }
        let is_fine = is_branch_name(&text.replace("{issue}", "1"));
        if is_fine { Ok(Self(text)) } else { Err(format!("`{text}` does not make a valid branch name")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown_with_units() {
        assert_eq!("512 MiB".parse(), Ok(ByteSize::mib(512)));
        assert_eq!("4GiB".parse(), Ok(ByteSize::mib(4096)));
        assert_eq!("7".parse(), Ok(ByteSize(7)));
        assert_eq!(ByteSize::mib(4096).to_string(), "4 GiB");
        for text in ["", "MiB", "5 GB", "-1", "99999999999 TiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_branch_template_names_the_issue_and_makes_a_valid_name() {
        let template = BranchTemplate::try_from("bot/{issue}-work".to_owned()).unwrap();
        assert_eq!(template.for_issue(IssueNumber(7)), "bot/7-work");
        for text in ["feature/#{issue}-über", "users/@hob/{issue}", "hob({issue})", "a&b/-{issue}"] {
            assert!(BranchTemplate::try_from(text.to_owned()).is_ok(), "{text:?}");
        }
        for text in
            ["hob/issue", "-{issue}", "a b/{issue}", "a..{issue}", "{issue}.lock", "/{issue}", "{issue}/"]
        {
            assert!(BranchTemplate::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
