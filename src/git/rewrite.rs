//! Rewritten commits of a hand-over: with the author that hob's configuration names, with
//! trailers that say who took part and what it is about, without words that close issues, and as
//! one commit where that is wanted. Trees, dates and the rest of the messages stay, less what
//! vouches in somebody else's name: hob signs these commits, and knows of nobody else's word. What
//! comes out depends on what goes in alone, so that a publish that is repeated makes the same
//! commits.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use git2::{Commit, ObjectType, Oid, Repository, Sort, Time};
use serde::{Deserialize, Serialize};

use super::import::{HAND_OVER, Imported, open_quarantine};
use super::sha;
use super::squash::{self, Squash};
use crate::message::without_closing_words;

/// The key of the trailer that names the story.
pub const STORY_TRAILER: &str = "Hob-Story";

/// The key of the trailer by which an author vouches for having the right to hand a commit in.
pub const SIGN_OFF: &str = "Signed-off-by";

/// The key of the trailer that names another author. GitHub shows them beside the author.
const CO_AUTHOR: &str = "Co-authored-by";

/// Keys of trailers that hob makes itself begin so.
const OWN_KEYS: &str = "Hob-";

/// Keys of other trailers in which somebody gives their word, or an organisation its name.
const VOUCHING: [&str; 6] =
    ["Co-developed-by", "Reviewed-by", "Acked-by", "Tested-by", "Approved-by", "On-behalf-of"];

/// The addresses under which agents name themselves as co-authors.
const AGENTS: [&str; 6] = [
    "noreply@anthropic.com",
    "noreply@openai.com",
    "codex@openai.com",
    "gemini-cli@google.com",
    "218195315+gemini-cli@users.noreply.github.com",
    "noreply@opencode.ai",
];

/// How commits are rewritten.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Authorship {
    /// Author and committer; absent: those that the agent has set.
    pub author: Option<Author>,
    /// Whose sign-off stays: that of the author whose name stands on commits of hob's. It takes the
    /// place of the sign-off of an author who is replaced.
    pub signer: Option<Author>,
    /// Lines such as `Co-authored-by: name <address>`, for the end of each message.
    pub trailers: Vec<String>,
    /// Present: as one commit.
    pub squash: Option<Squash>,
}

/// Whose name stands on commits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Author {
    /// Author and committer.
    pub name: String,
    /// Their address.
    pub email: String,
}

impl Author {
    /// The line by which this author signs a commit off.
    pub fn sign_off(&self) -> String {
        format!("{SIGN_OFF}: {} <{}>", self.name, self.email)
    }
}

/// A commit as it is to be.
struct Piece {
    /// The commit that it replaces, with its tree and dates.
    of: Oid,
    /// The commits that it builds on, by their old names.
    parents: Vec<Oid>,
    /// A message other than that commit's, in UTF-8.
    message: Option<Vec<u8>>,
}

/// Rewrites every commit of a hand-over that the mirror does not have. The hand-over's tip is
/// another after this, unless nothing was to be changed.
///
/// # Errors
/// If libgit2 cannot read or write in the quarantine.
pub fn rewrite_commits(imported: &mut Imported, authorship: &Authorship) -> anyhow::Result<()> {
    let repository = open_quarantine(&imported.quarantine)?;
    let odb = repository.odb().context("opening the quarantine's object database")?;
    let order = parents_first(&repository, &imported.fresh.commits)?;
    let old = super::oid(&imported.tip)?;
    let pieces = pieces(&repository, &order, (imported.base, old), authorship)?;
    let mut renamed: HashMap<Oid, Oid> = HashMap::new();
    for piece in &pieces {
        let id = piece.of;
        let commit = repository.find_commit(id).with_context(|| format!("reading {id}"))?;
        let new = match rewritten(&commit, piece, authorship, &renamed) {
            None => id,
            Some(bytes) => {
                odb.write(ObjectType::Commit, &bytes).with_context(|| format!("rewriting {id}"))?
            }
        };
        renamed.insert(id, new);
    }
    let Some(tip) = renamed.get(&old) else { return Ok(()) };
    repository
        .reference(HAND_OVER, *tip, true, "hob: authorship")
        .context("creating the reference for the hand-over")?;
    imported.tip = sha(*tip)?;
    imported.commit_count -= order.len() - pieces.len();
    imported.fresh.commits = pieces.iter().map(|piece| renamed[&piece.of]).collect();
    let absorbed: HashSet<Oid> = order.into_iter().filter(|id| !renamed.contains_key(id)).collect();
    let mut kept = Vec::new();
    for mut summary in std::mem::take(&mut imported.commits) {
        let id = super::oid(&summary.sha)?;
        if absorbed.contains(&id) {
            continue;
        }
        if let Some(new) = renamed.get(&id) {
            summary.sha = sha(*new)?;
            if let Some(author) = &authorship.author {
                summary.author_name.clone_from(&author.name);
                summary.author_email.clone_from(&author.email);
            }
        }
        kept.push(summary);
    }
    imported.commits = kept;
    Ok(())
}

/// These commits, each after its parents.
pub(super) fn parents_first(repository: &Repository, commits: &[Oid]) -> anyhow::Result<Vec<Oid>> {
    let new: HashSet<Oid> = commits.iter().copied().collect();
    let mut walk = repository.revwalk().context("listing the new commits")?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    for id in &new {
        walk.push(*id)?;
        for parent in repository.find_commit(*id)?.parent_ids().filter(|parent| !new.contains(parent)) {
            walk.hide(parent)?;
        }
    }
    Ok(walk.collect::<Result<_, _>>()?)
}

/// The commits that are to be, each after its parents.
fn pieces(
    repository: &Repository,
    order: &[Oid],
    (base, tip): (Oid, Oid),
    authorship: &Authorship,
) -> anyhow::Result<Vec<Piece>> {
    let squash = authorship.squash.as_ref();
    let parents = |id: Oid| -> anyhow::Result<Vec<Oid>> {
        Ok(repository.find_commit(id).with_context(|| format!("reading {id}"))?.parent_ids().collect())
    };
    let groups = match squash {
        Some(_) => squash::groups(repository, order, base, tip)?,
        None => None,
    };
    let (Some(groups), Some(squash)) = (groups, squash) else {
        let own = |id: &Oid| Ok(Piece { of: *id, parents: parents(*id)?, message: None });
        return order.iter().map(own).collect();
    };
    // The title is about the whole, so it is on the first commit of several alone.
    let mut title = squash.title.as_deref();
    let mut pieces = Vec::new();
    for group in groups {
        let message = match group.commits.len() {
            1 => None,
            _ => Some(squash::message(repository, &group.commits, title.take(), authorship)?),
        };
        pieces.push(Piece { of: group.last, parents: group.parents, message });
    }
    Ok(pieces)
}

/// The commit's bytes, if they are others than it has. A signature is left out, for it would not
/// fit any more; of the other headers only the message's encoding means anything.
fn rewritten(
    commit: &Commit<'_>,
    piece: &Piece,
    authorship: &Authorship,
    renamed: &HashMap<Oid, Oid>,
) -> Option<Vec<u8>> {
    let parents: Vec<Oid> =
        piece.parents.iter().map(|parent| renamed.get(parent).copied().unwrap_or(*parent)).collect();
    let old_message = piece.message.as_deref().unwrap_or_else(|| commit.message_raw_bytes());
    let message = vouched(old_message, commit, authorship);
    let message = with_trailers(without_closing_words(&message), &authorship.trailers);
    let encoding = commit.message_encoding().ok().flatten().filter(|_| piece.message.is_none());
    let is_plain = encoding.is_none_or(holds_ascii);
    let stays = authorship.author.is_none()
        && is_plain
        && message == commit.message_raw_bytes()
        && parents.iter().copied().eq(commit.parent_ids());
    if stays {
        return None;
    }
    let mut bytes = format!("tree {}\n", commit.tree_id()).into_bytes();
    for parent in parents {
        bytes.extend_from_slice(format!("parent {parent}\n").as_bytes());
    }
    bytes.extend_from_slice(&people(commit, authorship.author.as_ref()));
    if let Some(encoding) = encoding.filter(|_| is_plain) {
        bytes.extend_from_slice(format!("encoding {encoding}\n").as_bytes());
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(&message);
    Some(bytes)
}

/// The lines that name author and committer.
fn people(commit: &Commit<'_>, author: Option<&Author>) -> Vec<u8> {
    let Some(Author { name, email }) = author else {
        let lines = commit.raw_header_bytes().split_inclusive(|byte| *byte == b'\n');
        let kept = lines.filter(|line| line.starts_with(b"author ") || line.starts_with(b"committer "));
        return kept.collect::<Vec<_>>().concat();
    };
    let when = [("author", commit.author().when()), ("committer", commit.committer().when())];
    let lines = when.map(|(role, when)| format!("{role} {name} <{email}> {}\n", in_git_form(when)));
    lines.concat().into_bytes()
}

/// Whether a letter has in it the byte that ASCII gives it, and no other. In UTF-7 for example a
/// word that closes issues can be written so that nobody sees it in the bytes; a message that says
/// it is in one is taken as it stands.
fn holds_ascii(encoding: &str) -> bool {
    const FAMILIES: [&str; 14] = [
        "utf-8",
        "utf8",
        "us-ascii",
        "ascii",
        "iso-8859",
        "iso8859",
        "latin",
        "windows-125",
        "cp125",
        "koi8",
        "euc",
        "big5",
        "gb",
        "shift",
    ];
    let encoding = encoding.to_ascii_lowercase();
    FAMILIES.iter().any(|family| encoding.starts_with(family))
}

/// A commit's message without the lines in which somebody vouches of whom hob does not know that
/// they do. The author's own sign-off stays, and so do the co-authors that hob names, and agents.
pub(super) fn vouched(message: &[u8], commit: &Commit<'_>, authorship: &Authorship) -> Vec<u8> {
    let is_author = |address: &[u8]| {
        let (author, committer) = (commit.author(), commit.committer());
        [author.email_bytes(), committer.email_bytes()].iter().any(|own| own.eq_ignore_ascii_case(address))
    };
    let mut kept = Vec::with_capacity(message.len());
    let mut is_folded = false;
    for line in message.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        // Goes on from a line that is left out.
        if is_folded && line.starts_with(b" ") && !line.trim_ascii().is_empty() {
            continue;
        }
        is_folded = false;
        let Some((key, value)) = trailer(line) else {
            kept.extend_from_slice(line);
            continue;
        };
        let is_hobs =
            authorship.trailers.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(line.trim_ascii()));
        let address = address(value);
        let signer = authorship.signer.as_ref();
        let is_signer = signer.is_some_and(|signer| signer.email.as_bytes().eq_ignore_ascii_case(address));
        if key.eq_ignore_ascii_case(SIGN_OFF.as_bytes()) {
            match signer.filter(|_| authorship.author.is_some()) {
                Some(signer) if is_signer || is_author(address) => {
                    kept.extend_from_slice(format!("{}\n", signer.sign_off()).as_bytes());
                }
                None if is_signer || is_author(address) => kept.extend_from_slice(line),
                _ => is_folded = true,
            }
        } else if key.eq_ignore_ascii_case(CO_AUTHOR.as_bytes()) {
            let is_agent = AGENTS.iter().any(|agent| agent.as_bytes().eq_ignore_ascii_case(address));
            is_folded = !(is_hobs || is_signer || is_agent);
            kept.extend_from_slice(if is_folded { b"" } else { line });
        } else {
            let starts_as =
                |name: &str| key.get(..name.len()).is_some_and(|k| k.eq_ignore_ascii_case(name.as_bytes()));
            let vouches =
                VOUCHING.iter().any(|name| key.eq_ignore_ascii_case(name.as_bytes())) || starts_as(OWN_KEYS);
            is_folded = vouches && !is_hobs;
            kept.extend_from_slice(if is_folded { b"" } else { line });
        }
    }
    kept
}

/// Key and value of a line that can be a trailer.
pub(super) fn trailer(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (key, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
    let is_key = !key.is_empty() && key.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    is_key.then_some((key, value))
}

/// Whether a line names a co-author or signs off.
pub(super) fn names_somebody(line: &[u8]) -> bool {
    let names =
        |key: &[u8]| [SIGN_OFF, CO_AUTHOR].iter().any(|name| key.eq_ignore_ascii_case(name.as_bytes()));
    trailer(line).is_some_and(|(key, _)| names(key))
}

/// The address in `name <address>`; all of it where there is none.
fn address(value: &[u8]) -> &[u8] {
    let Some(start) = value.iter().rposition(|byte| *byte == b'<') else { return value };
    let inside = &value[start + 1..];
    let end = inside.iter().position(|byte| *byte == b'>').unwrap_or(inside.len());
    inside[..end].trim_ascii()
}

/// The message with each of the trailers once. Of what names a story, this one counts.
fn with_trailers(mut message: Vec<u8>, trailers: &[String]) -> Vec<u8> {
    if trailers.iter().any(|trailer| is_of(trailer.as_bytes(), STORY_TRAILER)) {
        let is_another = |line: &[u8]| {
            let line = line.trim_ascii_end();
            is_of(line, STORY_TRAILER) && !trailers.iter().any(|trailer| trailer.as_bytes() == line)
        };
        let lines = message.split_inclusive(|byte| *byte == b'\n');
        message = lines.filter(|line| !is_another(line)).collect::<Vec<_>>().concat();
    }
    for trailer in trailers {
        message = with_trailer(message, trailer);
    }
    message
}

fn is_of(line: &[u8], key: &str) -> bool {
    let start = line.get(..key.len()).is_some_and(|start| start.eq_ignore_ascii_case(key.as_bytes()));
    start && line.get(key.len()) == Some(&b':')
}

fn with_trailer(old: Vec<u8>, trailer: &str) -> Vec<u8> {
    let has_it = old.split(|byte| *byte == b'\n').any(|line| line.eq_ignore_ascii_case(trailer.as_bytes()));
    if has_it {
        return old;
    }
    let text = old.trim_ascii_end();
    let trailers = git2::message_trailers_bytes(text).map(|found| found.iter().count()).unwrap_or(0);
    let gap: &[u8] = match (text, trailers) {
        ([], _) => b"",
        (_, 0) => b"\n\n",
        _ => b"\n",
    };
    [text, gap, trailer.as_bytes(), b"\n"].concat()
}

/// Seconds and offset, as in `1700000000 +0130`.
fn in_git_form(when: Time) -> String {
    let minutes = when.offset_minutes().unsigned_abs();
    let sign = if when.sign() == '-' { '-' } else { '+' };
    format!("{} {sign}{:02}{:02}", when.seconds(), minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_alice(old: &str) -> String {
        let trailers = ["Co-authored-by: alice <1+alice@x>".to_owned()];
        String::from_utf8(with_trailers(old.into(), &trailers)).unwrap()
    }

    #[test]
    fn a_trailer_is_added_once_and_beside_others() {
        let first = with_alice("Do it\n");
        assert_eq!(first, "Do it\n\nCo-authored-by: alice <1+alice@x>\n");
        assert_eq!(with_alice(&first), first);
        assert_eq!(
            with_alice("Do it\n\nBecause.\n\nSigned-off-by: b <b@x>\n"),
            "Do it\n\nBecause.\n\nSigned-off-by: b <b@x>\nCo-authored-by: alice <1+alice@x>\n"
        );
        assert_eq!(with_trailers(b"Do it".into(), &[]), b"Do it");
    }

    #[test]
    fn one_story_is_named() {
        let trailers = ["Hob-Story: https://x/2".to_owned(), "Co-authored-by: a <a@x>".to_owned()];
        let made = with_trailers(b"Do it\n\nHob-Story: https://x/1\nhob-story: y\n".into(), &trailers);
        assert_eq!(
            String::from_utf8(made).unwrap(),
            "Do it\n\nHob-Story: https://x/2\nCo-authored-by: a <a@x>\n"
        );
    }

    #[test]
    fn an_encoding_that_can_hide_letters_is_none() {
        assert!(["UTF-8", "ISO-8859-1", "Shift_JIS", "GB18030"].into_iter().all(holds_ascii));
        assert!(!["UTF-7", "ISO-2022-JP", "UTF-16", "HZ", "IBM037", ""].into_iter().any(holds_ascii));
    }

    #[test]
    fn a_time_keeps_its_zone() {
        assert_eq!(in_git_form(Time::new(1_700_000_000, -90)), "1700000000 -0130");
        assert_eq!(in_git_form(Time::new(0, 120)), "0 +0200");
    }
}
