//! What commands ask of the store beyond opening, stopping and answering: the branch that somebody
//! has chosen for a story's pull request.

use super::write::Write;
use crate::ids::StoryId;

/// Has a story's pull request go to a branch that somebody has chosen, unless it is open already:
/// moving it is a person's, on GitHub.
pub(super) async fn choose_base(write: &mut Write, story: StoryId, base: &str) -> anyhow::Result<()> {
    sqlx::query("UPDATE stories SET base_branch = $2, base_chosen = 1 WHERE id = $1 AND pull IS NULL")
        .bind(story.to_string())
        .bind(base)
        .execute(&mut **write)
        .await?;
    Ok(())
}
