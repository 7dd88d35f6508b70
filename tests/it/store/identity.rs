//! What the store knows of repositories: by their ids once those are known, under the names that
//! they have at the time.

use std::path::Path;

use hob::ids::{InstallationId, IssueNumber, Repo, RepositoryId, RepositoryRef, StoryId};
use hob::store::{Heard, Recorded, Store, StoryAsk};
use serde_json::json;

const ONE: RepositoryId = RepositoryId(1);
const TWO: RepositoryId = RepositoryId(2);

fn repo(name: &str) -> Repo {
    name.parse().expect("a repository")
}

fn at(id: Option<RepositoryId>, name: &str) -> RepositoryRef {
    RepositoryRef { id, repo: repo(name), installation: None }
}

async fn store(folder: &Path) -> Store {
    Store::open(&folder.join("hob.db")).await.expect("a store")
}

/// A story of this issue.
async fn story(store: &Store, at: &RepositoryRef, issue: u64) -> StoryId {
    let guid = format!("{}-{issue}-{:?}", at.repo, at.id);
    store.record_delivery(&guid, "issues", b"{}", None).await.unwrap();
    let on = StoryAsk {
        repo: at.repo.clone(),
        github_id: at.id,
        issue: IssueNumber(issue),
        title: "t".into(),
        installation: at.installation,
        base_branch: "main".into(),
        branch: format!("hob/issue-{issue}"),
        theirs: None,
    };
    store.only_say(&guid, &on, &Heard::Words, &[]).await.unwrap();
    store.story_at(&at.repo, IssueNumber(issue)).await.unwrap().expect("the story").id
}

async fn name_of(store: &Store, story: StoryId) -> String {
    store.story(story).await.unwrap().repo.to_string()
}

#[tokio::test]
async fn a_new_name_is_its_stories_too_and_the_mirror_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    assert!(store.know_repository(&at(Some(ONE), "acme/tool"), "main").await.unwrap().is_none());
    let first = story(&store, &at(Some(ONE), "acme/tool"), 1).await;
    let mirror = store.story(first).await.unwrap().mirror;
    assert_eq!(mirror, "_/1.git");
    let now = RepositoryRef { installation: Some(InstallationId(7)), ..at(Some(ONE), "acme/Instrument") };
    assert!(store.know_repository(&now, "trunk").await.unwrap().is_none());
    let story = store.story(first).await.unwrap();
    assert_eq!((story.at(), story.mirror), (now.clone(), mirror));
    assert_eq!(store.story_at(&repo("acme/instrument"), IssueNumber(1)).await.unwrap().unwrap().id, first);
    assert!(store.story_at(&repo("acme/tool"), IssueNumber(1)).await.unwrap().is_none());
    let known = store.repositories().await.unwrap();
    assert_eq!((known.len(), known[0].at(), known[0].default_branch.as_str()), (1, now, "trunk"));
    // What is asked for under the name from before is about the same story.
    let late = self::story_under_an_old_name(&store).await;
    assert_eq!(late, first);
}

/// Asks for work with the name from before the rename.
async fn story_under_an_old_name(store: &Store) -> StoryId {
    store.record_delivery("late", "issues", b"{}", None).await.unwrap();
    let on = StoryAsk {
        repo: repo("acme/tool"),
        github_id: Some(ONE),
        issue: IssueNumber(1),
        title: "t".into(),
        installation: None,
        base_branch: "main".into(),
        branch: "hob/issue-1".into(),
        theirs: None,
    };
    store.only_say("late", &on, &Heard::Words, &[]).await.unwrap();
    let stories = store.stories().await.unwrap();
    assert_eq!(stories.len(), 1);
    stories[0].id
}

#[tokio::test]
async fn who_has_a_name_after_another_has_its_own_stories_and_mirror() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    store.know_repository(&at(Some(ONE), "acme/tool"), "main").await.unwrap();
    let old = story(&store, &at(Some(ONE), "acme/tool"), 1).await;
    let displaced = store.know_repository(&at(Some(TWO), "acme/tool"), "main").await.unwrap();
    let displaced = displaced.expect("the one that had the name");
    assert_eq!((displaced.id, displaced.is_aside), (Some(ONE), true));
    assert_eq!(store.displaced_repositories().await.unwrap().len(), 1);
    let new = story(&store, &at(Some(TWO), "acme/tool"), 1).await;
    assert_ne!(old, new);
    let (old_story, new_story) = (store.story(old).await.unwrap(), store.story(new).await.unwrap());
    assert_eq!((old_story.github_id, new_story.github_id), (Some(ONE), Some(TWO)));
    assert_ne!(old_story.mirror, new_story.mirror);

    // It is seen again, under another name; and the two change names.
    assert!(store.know_repository(&at(Some(ONE), "acme/old"), "main").await.unwrap().is_none());
    assert!(store.displaced_repositories().await.unwrap().is_empty());
    assert_eq!(
        (name_of(&store, old).await, name_of(&store, new).await),
        ("acme/old".into(), "acme/tool".into())
    );
    assert!(store.know_repository(&at(Some(ONE), "acme/tool"), "main").await.unwrap().is_some());
    assert!(store.know_repository(&at(Some(TWO), "acme/old"), "main").await.unwrap().is_none());
    assert_eq!(
        (name_of(&store, old).await, name_of(&store, new).await),
        ("acme/tool".into(), "acme/old".into())
    );
    assert_eq!(store.repositories().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_put_away_is_over_and_comes_back_when_it_is_seen_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    store.know_repository(&at(Some(ONE), "acme/tool"), "main").await.unwrap();
    let old = story(&store, &at(Some(ONE), "acme/tool"), 1).await;
    let known = store.repository_of_id(ONE).await.unwrap().unwrap();
    store.put_repository_away(&known).await.unwrap();
    store.put_repository_away(&known).await.unwrap();
    assert!(store.story(old).await.unwrap().is_gone);
    assert!(store.repositories().await.unwrap().is_empty());
    assert!(store.displaced_repositories().await.unwrap().is_empty());
    assert_eq!(store.mirrors_put_away().await.unwrap(), [("_/1.git".to_owned(), vec![old])]);
    store.know_repository(&at(Some(ONE), "acme/tool"), "main").await.unwrap();
    assert_eq!(store.repositories().await.unwrap().len(), 1);
    assert!(store.mirrors_put_away().await.unwrap().is_empty());
    assert_eq!(store.story_at(&repo("acme/tool"), IssueNumber(1)).await.unwrap().unwrap().id, old);
}

#[tokio::test]
async fn a_store_without_ids_gets_them_and_what_deliveries_meant_counts_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hob.db");
    super::migrating::load(5, &file).await;
    let meant = "UPDATE deliveries SET meaning = 'issue_comment.created acme/tool 77' WHERE seq = 1";
    super::change(&file, meant).await;
    let store = Store::open(&file).await.expect("it is brought up to date");
    let before = store.stories().await.unwrap();
    assert!(!before.is_empty());
    for story in &before {
        assert_eq!((story.github_id, story.mirror.as_str()), (None, "acme/tool.git"));
    }
    assert_eq!(store.repositories_without_id().await.unwrap().len(), 1);
    store.know_repository(&at(Some(ONE), "acme/tool"), "main").await.unwrap();
    assert!(store.repositories_without_id().await.unwrap().is_empty());
    for story in store.stories().await.unwrap() {
        assert_eq!(
            (story.github_id, story.mirror.as_str()),
            (Some(ONE), "acme/tool.git"),
            "workspaces borrow from it"
        );
    }
    // The same as was heard before, with the id in it.
    let comment = json!({
        "action": "created", "repository": {"id": 1, "full_name": "acme/tool", "default_branch": "main"},
        "issue": {"number": 1, "title": "t", "body": null, "state": "open", "user": null, "updated_at": "2026-11-24T08:00:00Z"},
        "comment": {"id": 77, "body": "x", "created_at": "2026-11-24T08:00:00Z"}, "sender": null,
    });
    let said = hob::github::webhook::decode("issue_comment", comment.to_string().as_bytes()).unwrap();
    let recorded = store.record_delivery("a", "issue_comment", b"{}", Some(&said)).await.unwrap();
    assert_eq!(recorded, Recorded::SaysTheSame);
    // Another repository of that name has another mirror.
    store.know_repository(&at(Some(TWO), "acme/tool"), "main").await.unwrap();
    let new = story(&store, &at(Some(TWO), "acme/tool"), 1).await;
    assert_eq!(store.story(new).await.unwrap().mirror, "_/2.git");
}

#[tokio::test]
async fn two_names_that_an_earlier_hob_knew_of_one_repository_become_one() {
    for old_is_asked_for_first in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        store.know_repository(&at(None, "acme/tool"), "main").await.unwrap();
        store.know_repository(&at(None, "acme/instrument"), "main").await.unwrap();
        let before = story(&store, &at(None, "acme/tool"), 1).await;
        let doubled = story(&store, &at(None, "acme/tool"), 2).await;
        let again = story(&store, &at(None, "acme/instrument"), 2).await;
        let now = at(Some(ONE), "acme/instrument");
        let mut asked = [at(None, "acme/tool"), at(None, "acme/instrument")];
        if !old_is_asked_for_first {
            asked.reverse();
        }
        for asked in asked {
            store.learn_repository(&asked, &now, "main").await.unwrap();
        }
        let known = store.repositories().await.unwrap();
        assert_eq!(known.iter().map(|known| known.at()).collect::<Vec<_>>(), [now]);
        let of = async |issue| {
            store.story_at(&repo("acme/instrument"), IssueNumber(issue)).await.unwrap().unwrap().id
        };
        assert_eq!((of(1).await, of(2).await), (before, again));
        for story in [before, doubled, again] {
            assert_eq!(store.story(story).await.unwrap().github_id, Some(ONE));
        }
    }
}
