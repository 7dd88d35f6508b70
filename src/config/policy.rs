//! `[policy]`: what a hand-over may hold.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

use super::ByteSize;

/// `[policy]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Paths that are pushed only after a person has approved the change. `*` matches within a
    /// folder, `**` across folders.
    #[schemars(with = "Vec<String>")]
    pub protected_paths: PathGlobs,
    /// The most paths that may differ from where the work began.
    pub max_files: usize,
    /// The largest file, in any commit.
    #[schemars(with = "String")]
    pub max_file_size: ByteSize,
    /// Whether submodules may be added and moved.
    pub submodules: bool,
    /// The address space of the process that reads an agent's commits.
    #[schemars(with = "String")]
    pub import_memory: ByteSize,
}

impl Default for Policy {
    fn default() -> Self {
        let protected = [
            ".github/workflows/**",
            ".github/actions/**",
            "CODEOWNERS",
            ".github/CODEOWNERS",
            "docs/CODEOWNERS",
        ];
        Self {
            protected_paths: PathGlobs::new(protected.map(str::to_owned).to_vec()).unwrap_or_default(),
            max_files: 500,
            max_file_size: ByteSize::mib(10),
            submodules: false,
            import_memory: ByteSize::mib(2048),
        }
    }
}

/// Patterns for paths from the root of a repository: `*` within a folder, `**` across folders.
#[derive(Clone, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct PathGlobs {
    patterns: Vec<String>,
    set: GlobSet,
}

impl std::fmt::Debug for PathGlobs {
    /// The patterns: what is made of them says nothing more, and not always in one order.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.patterns).finish()
    }
}

impl PathGlobs {
    /// Reads patterns.
    ///
    /// # Errors
    /// Names the pattern that is none.
    pub fn new(patterns: Vec<String>) -> Result<Self, String> {
        let mut set = GlobSetBuilder::new();
        for pattern in &patterns {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            set.add(glob.map_err(|e| format!("`{pattern}` is not a valid path pattern: {}", e.kind()))?);
        }
        let set = set.build().map_err(|e| format!("the path patterns cannot be combined: {}", e.kind()))?;
        Ok(Self { patterns, set })
    }

    /// Whether one of them fits the path.
    pub fn matches(&self, path: &str) -> bool {
        self.set.is_match(path)
    }

    /// Whether one of them is about paths below this one. A link or another repository there would
    /// stand in for all of them.
    pub fn are_below(&self, path: &str) -> bool {
        self.patterns.iter().any(|p| p.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }

    /// These patterns and those.
    pub fn and(&self, more: &PathGlobs) -> PathGlobs {
        let both = self.patterns.iter().chain(&more.patterns).cloned().collect();
        // Each was read before; should both together be too much, none of the operator's may be
        // lost.
        Self::new(both).unwrap_or_else(|_| self.clone())
    }

    /// The patterns as they were written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

impl TryFrom<Vec<String>> for PathGlobs {
    type Error = String;

    fn try_from(patterns: Vec<String>) -> Result<Self, String> {
        Self::new(patterns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflows_and_owners_are_protected_and_their_neighbours_are_not() {
        let globs = Policy::default().protected_paths;
        for path in [
            ".github/workflows/ci.yml",
            ".github/workflows/deep/ci.yml",
            ".github/actions/x/action.yml",
            "CODEOWNERS",
            "docs/CODEOWNERS",
        ] {
            assert!(globs.matches(path), "{path}");
        }
        for path in [".github/ISSUE_TEMPLATE.md", "src/CODEOWNERS", "x/.github/workflows/ci.yml", "docs/a"] {
            assert!(!globs.matches(path), "{path}");
        }
        assert!(
            globs.are_below(".github") && globs.are_below(".github/workflows") && globs.are_below("docs")
        );
        assert!(!globs.are_below(".git") && !globs.are_below("src"));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        let error = PathGlobs::new(vec!["a/[".to_owned()]).unwrap_err();
        assert!(error.starts_with("`a/[` is not a valid path pattern"), "{error}");
    }
}
