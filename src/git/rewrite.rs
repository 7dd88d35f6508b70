//! Authorship: the commits of a hand-over written anew with the author that hob's configuration names and
//! the person who asked as co-author. Trees, dates and the rest of the messages stay. What comes out
//! depends on what goes in alone, so that a publish that is repeated makes the same commits.

use std::collections::HashMap;

use anyhow::Context;
use git2::{Commit, ObjectType, Oid, Repository, Sort, Time};
use serde::{Deserialize, Serialize};

use super::import::{HAND_OVER, Imported, open_quarantine};
use super::sha;

/// Whose name stands on commits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Authorship {
    /// Author and committer.
    pub name: String,
    /// Their address.
    pub email: String,
    /// `name <address>` of the person who asked.
    pub co_author: Option<String>,
}

/// Writes every commit of a hand-over that the mirror does not have anew. The hand-over's tip is another
/// after this.
///
/// # Errors
/// If libgit2 cannot read or write in the quarantine.
pub fn rewrite_authors(imported: &mut Imported, authorship: &Authorship) -> anyhow::Result<()> {
    let repository = open_quarantine(&imported.quarantine)?;
    let odb = repository.odb().context("opening the quarantine's objects")?;
    let mut renamed: HashMap<Oid, Oid> = HashMap::new();
    for id in parents_first(&repository, imported)? {
        let commit = repository.find_commit(id).with_context(|| format!("reading {id}"))?;
        let bytes = rewritten(&commit, authorship, &renamed);
        let new = odb.write(ObjectType::Commit, &bytes).with_context(|| format!("rewriting {id}"))?;
        renamed.insert(id, new);
    }
    let old = super::oid(&imported.tip)?;
    let Some(tip) = renamed.get(&old) else { return Ok(()) };
    repository.reference(HAND_OVER, *tip, true, "hob: authorship").context("naming the hand-over")?;
    imported.tip = sha(*tip)?;
    for id in &mut imported.fresh.commits {
        *id = renamed.get(id).copied().unwrap_or(*id);
    }
    for summary in &mut imported.commits {
        if let Some(new) = renamed.get(&super::oid(&summary.sha)?) {
            summary.sha = sha(*new)?;
            summary.author_name.clone_from(&authorship.name);
            summary.author_email.clone_from(&authorship.email);
        }
    }
    Ok(())
}

/// The new commits, each after its parents.
fn parents_first(repository: &Repository, imported: &Imported) -> anyhow::Result<Vec<Oid>> {
    let new: std::collections::HashSet<Oid> = imported.fresh.commits.iter().copied().collect();
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

/// The commit's bytes. A signature is left out, for it would not fit any more; of the other headers only
/// the message's encoding means anything.
fn rewritten(commit: &Commit<'_>, authorship: &Authorship, renamed: &HashMap<Oid, Oid>) -> Vec<u8> {
    let mut head = format!("tree {}\n", commit.tree_id());
    for parent in commit.parent_ids() {
        head.push_str(&format!("parent {}\n", renamed.get(&parent).unwrap_or(&parent)));
    }
    for (role, when) in [("author", commit.author().when()), ("committer", commit.committer().when())] {
        let Authorship { name, email, .. } = authorship;
        head.push_str(&format!("{role} {name} <{email}> {}\n", in_git_form(when)));
    }
    let mut bytes = head.into_bytes();
    if let Some(encoding) = commit.message_encoding().ok().flatten() {
        bytes.extend_from_slice(format!("encoding {encoding}\n").as_bytes());
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(&message(commit.message_raw_bytes(), authorship.co_author.as_deref()));
    bytes
}

/// The message with the co-author's trailer, once.
fn message(old: &[u8], co_author: Option<&str>) -> Vec<u8> {
    let Some(co_author) = co_author else { return old.to_vec() };
    let trailer = format!("Co-authored-by: {co_author}");
    let has_it = old.split(|byte| *byte == b'\n').any(|line| line.eq_ignore_ascii_case(trailer.as_bytes()));
    if has_it {
        return old.to_vec();
    }
    let text = old.trim_ascii_end();
    let trailers = git2::message_trailers_bytes(text).map(|found| found.iter().count()).unwrap_or(0);
    let gap: &[u8] = if trailers > 0 { b"\n" } else { b"\n\n" };
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
        String::from_utf8(message(old.as_bytes(), Some("alice <1+alice@x>"))).unwrap()
    }

    #[test]
    fn the_trailer_is_added_once_and_beside_others() {
        let first = with_alice("Do it\n");
        assert_eq!(first, "Do it\n\nCo-authored-by: alice <1+alice@x>\n");
        assert_eq!(with_alice(&first), first);
        assert_eq!(
            with_alice("Do it\n\nBecause.\n\nSigned-off-by: b <b@x>\n"),
            "Do it\n\nBecause.\n\nSigned-off-by: b <b@x>\nCo-authored-by: alice <1+alice@x>\n"
        );
        assert_eq!(message(b"Do it", None), b"Do it");
    }

    #[test]
    fn a_time_keeps_its_zone() {
        assert_eq!(in_git_form(Time::new(1_700_000_000, -90)), "1700000000 -0130");
        assert_eq!(in_git_form(Time::new(0, 120)), "0 +0200");
    }
}
