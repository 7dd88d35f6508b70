//! Paths that a reviewer should look at closely, since a change in them does more than it shows.
//! They are named in the pull request; what may be pushed at all is `policy.rs`. Pure.

use crate::config::PathGlobs;
use crate::message::{HintReason, MAX_NOTABLE, ReviewHint};

/// Patterns, with what such a file does.
const NOTABLE: &[(HintReason, &[&str])] = &[
    (
        HintReason::RunsInCi,
        &[".github/workflows/**", ".github/actions/**", ".gitlab-ci.yml", ".circleci/**", "**/Jenkinsfile"],
    ),
    (HintReason::SaysHowHobWorks, &[".github/hob.toml"]),
    (HintReason::SaysWhoReviews, &["CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS"]),
    (
        HintReason::ConfiguresAgents,
        &[
            "**/CLAUDE.md",
            "**/CLAUDE.local.md",
            "**/AGENTS.md",
            "**/GEMINI.md",
            "**/SKILL.md",
            ".claude/**",
            ".claude.json",
            ".mcp.json",
            ".codex/**",
            ".gemini/**",
            ".opencode/**",
            "opencode.json",
            "opencode.jsonc",
            ".ripgreprc",
            ".husky/**",
        ],
    ),
    (
        HintReason::RunsInTheBuild,
        &["**/build.rs", "**/Makefile", "**/CMakeLists.txt", "**/setup.py", "**/package.json"],
    ),
    (HintReason::MakesAnImage, &["**/Dockerfile*", "**/docker-compose*.yml", "**/compose.yaml"]),
    (
        HintReason::SaysWhatItDependsOn,
        &[
            "**/Cargo.toml",
            "**/Cargo.lock",
            "**/package-lock.json",
            "**/yarn.lock",
            "**/pnpm-lock.yaml",
            "**/pyproject.toml",
            "**/poetry.lock",
            "**/requirements*.txt",
            "**/go.mod",
            "**/go.sum",
            "**/Gemfile.lock",
        ],
    ),
    (HintReason::IsALicence, &["LICENSE*", "COPYING*"]),
];

/// Those of the paths to look at closely: protected ones first, then in the order of the table. No
/// more than are told, and one, which says that there are more.
pub(super) fn notable(paths: &[String], protected: &PathGlobs) -> anyhow::Result<Vec<ReviewHint>> {
    let is_protected = paths.iter().filter(|path| protected.matches(path));
    let told = |path: &String, why: HintReason| ReviewHint { path: path.clone(), why };
    let mut found: Vec<ReviewHint> = is_protected.map(|path| told(path, HintReason::IsProtected)).collect();
    for (why, patterns) in NOTABLE {
        let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let globs = PathGlobs::new(patterns).map_err(anyhow::Error::msg)?;
        for path in paths.iter().filter(|path| globs.matches(path)) {
            if !found.iter().any(|known| known.path == **path) {
                found.push(told(path, *why));
            }
        }
    }
    found.truncate(MAX_NOTABLE + 1);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_more_than_it_shows_is_named_once_with_why() {
        let paths = [
            "src/a.rs",
            "Cargo.lock",
            "sub/package.json",
            ".github/workflows/ci.yml",
            "secret/x",
            "docs/a.md",
        ];
        let paths = paths.map(str::to_owned);
        let protected = PathGlobs::new(vec!["secret/**".to_owned()]).unwrap();
        let found: Vec<String> = notable(&paths, &protected)
            .unwrap()
            .into_iter()
            .map(|notable| format!("{} {:?}", notable.path, notable.why))
            .collect();
        assert_eq!(
            found,
            [
                "secret/x IsProtected",
                ".github/workflows/ci.yml RunsInCi",
                "sub/package.json RunsInTheBuild",
                "Cargo.lock SaysWhatItDependsOn"
            ]
        );
    }
}
