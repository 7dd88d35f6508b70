//! Which commits of a hand-over become one. Trees stay: the one commit has the tree of the last. A
//! merge that brought in what was elsewhere, commits of people's or of the base branch, keeps its
//! parents, so that they stay on the branch; what is before and behind it becomes one commit each.

use std::collections::HashSet;

use anyhow::Context as _;
use git2::{Commit, Oid, Repository};
use serde::{Deserialize, Serialize};

use super::rewrite::{Authorship, names_somebody, vouched};

/// How the one commit is called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Squash {
    /// The first line of its message; absent: that of the first commit in it.
    pub title: Option<String>,
}

/// Commits that become one.
pub(super) struct Group {
    /// The commit whose tree, dates and place behind it the one has.
    pub(super) last: Oid,
    /// All of them, parents first.
    pub(super) commits: Vec<Oid>,
    /// What the one builds on.
    pub(super) parents: Vec<Oid>,
}

/// The groups of the new commits in `order` (parents first) that lead from `base` to `tip`, oldest
/// first. Nothing where some commit would be lost from the branch.
pub(super) fn groups(
    repository: &Repository,
    order: &[Oid],
    base: Oid,
    tip: Oid,
) -> anyhow::Result<Option<Vec<Group>>> {
    let new: HashSet<Oid> = order.iter().copied().collect();
    let chain = first_parents(repository, &new, tip)?;
    let mut seen = HashSet::new();
    let mut groups: Vec<Group> = Vec::new();
    // Whether the last group takes no more.
    let mut is_closed = true;
    for (at, id) in chain.iter().enumerate() {
        let own = reached(repository, &new, &mut seen, *id)?;
        for side in own.iter().filter(|commit| *commit != id) {
            if brings_in_others(repository, &new, base, *side)? {
                return Ok(None);
            }
        }
        let commit = repository.find_commit(*id)?;
        let brings_others = commit.parent_count() > 1 && brings_in_others(repository, &new, base, *id)?;
        let below = at.checked_sub(1).and_then(|below| chain.get(below)).copied();
        if brings_others {
            // A branch of the agent's own that comes in with it would be lost.
            if own.len() > 1 {
                return Ok(None);
            }
            groups.push(Group { last: *id, commits: own, parents: commit.parent_ids().collect() });
        } else if let Some(group) = groups.last_mut().filter(|_| !is_closed) {
            group.last = *id;
            group.commits.extend(own);
        } else {
            let parents = below.into_iter().chain(commit.parent_ids().next().filter(|_| below.is_none()));
            groups.push(Group { last: *id, commits: own, parents: parents.collect() });
        }
        is_closed = brings_others;
    }
    for group in &mut groups {
        let of_group: HashSet<Oid> = group.commits.iter().copied().collect();
        group.commits = order.iter().copied().filter(|id| of_group.contains(id)).collect();
    }
    Ok(Some(groups))
}

/// The new commits on the way from `tip` back along first parents, oldest first.
fn first_parents(repository: &Repository, new: &HashSet<Oid>, tip: Oid) -> anyhow::Result<Vec<Oid>> {
    let mut chain = Vec::new();
    let mut next = Some(tip);
    while let Some(id) = next.filter(|id| new.contains(id)) {
        chain.push(id);
        next = repository.find_commit(id)?.parent_ids().next();
    }
    chain.reverse();
    Ok(chain)
}

/// The new commits that are reached from `from` and were not seen before.
fn reached(
    repository: &Repository,
    new: &HashSet<Oid>,
    seen: &mut HashSet<Oid>,
    from: Oid,
) -> anyhow::Result<Vec<Oid>> {
    let (mut waiting, mut found) = (vec![from], Vec::new());
    while let Some(id) = waiting.pop() {
        if new.contains(&id) && seen.insert(id) {
            found.push(id);
            waiting.extend(repository.find_commit(id)?.parent_ids());
        }
    }
    Ok(found)
}

/// Whether a commit merges what was there before and is not in what the work began from.
fn brings_in_others(repository: &Repository, new: &HashSet<Oid>, base: Oid, id: Oid) -> anyhow::Result<bool> {
    let commit: Commit<'_> = repository.find_commit(id)?;
    for parent in commit.parent_ids().filter(|parent| !new.contains(parent) && *parent != base) {
        let is_before = repository.graph_descendant_of(base, parent).context("looking for the base")?;
        if !is_before {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The message of the one commit: a title, the first lines of all the others, and who took part in
/// them.
pub(super) fn message(
    repository: &Repository,
    commits: &[Oid],
    title: Option<&str>,
    authorship: &Authorship,
) -> anyhow::Result<Vec<u8>> {
    let mut subjects = Vec::new();
    let mut people: Vec<Vec<u8>> = Vec::new();
    for id in commits {
        let commit = repository.find_commit(*id).with_context(|| format!("reading {id}"))?;
        let text = &vouched(commit.message_raw_bytes(), &commit, authorship);
        for line in
            text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| names_somebody(line))
        {
            if !people.iter().any(|known| known.eq_ignore_ascii_case(line)) {
                people.push(line.to_owned());
            }
        }
        // What only joins branches of the agent's own says nothing.
        if commit.parent_count() < 2 {
            subjects.push(one_line(&String::from_utf8_lossy(text)));
        }
    }
    subjects.retain(|subject| !subject.is_empty());
    let title = title.map(one_line).filter(|title| !title.is_empty());
    let mut message = match (title, subjects.first()) {
        (Some(title), _) => title,
        (None, Some(first)) => first.clone(),
        (None, None) => String::new(),
    };
    message.push_str("\n\n");
    for subject in &subjects {
        message.push_str(&format!("* {subject}\n"));
    }
    let mut message = message.into_bytes();
    if !people.is_empty() {
        message.push(b'\n');
        people.iter().for_each(|line| message.extend_from_slice(&[line.as_slice(), b"\n"].concat()));
    }
    Ok(message)
}

/// The first line that says something.
fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).collect()
}
