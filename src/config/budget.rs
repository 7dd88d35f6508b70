//! `[budget]`: what work may cost. How what was spent is held against it is in `story/budget.rs`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ConfigError;

/// `[budget]`. The cap of a run in dollars is `agent.max_budget_usd`, and its time `agent.timeout`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// The most tokens that one run may use.
    pub run_tokens: Option<u64>,
    /// The most that all runs of a story may cost together, in dollars.
    pub story_usd: Option<f64>,
    /// The most tokens that all runs of a story may use together.
    pub story_tokens: Option<u64>,
    /// The most minutes that all runs of a story may spend in containers.
    pub story_minutes: Option<u64>,
    /// The most that each repository may cost per day (UTC), in dollars.
    pub repository_day_usd: Option<f64>,
    /// The most that all repositories together may cost per day (UTC), in dollars.
    pub day_usd: Option<f64>,
    /// The most tokens that all repositories together may use per day (UTC).
    pub day_tokens: Option<u64>,
    /// The most minutes that all runs together may spend in containers per day (UTC).
    pub day_minutes: Option<u64>,
    /// The most, in dollars, that people may let one story cost with `--budget`, `/hob budget` and
    /// answers.
    pub most_usd: Option<f64>,
}

impl Budget {
    /// Caps that no run could stay below.
    pub(super) fn check(&self, run_usd: Option<f64>) -> Vec<ConfigError> {
        let dollars = [
            ("agent.max_budget_usd", run_usd),
            ("budget.story_usd", self.story_usd),
            ("budget.repository_day_usd", self.repository_day_usd),
            ("budget.day_usd", self.day_usd),
            ("budget.most_usd", self.most_usd),
        ];
        let counts = [
            ("budget.run_tokens", self.run_tokens),
            ("budget.story_tokens", self.story_tokens),
            ("budget.story_minutes", self.story_minutes),
            ("budget.day_tokens", self.day_tokens),
            ("budget.day_minutes", self.day_minutes),
        ];
        let bad_dollars = dollars.into_iter().filter(|(_, cap)| cap.is_some_and(|cap| !is_a_price(cap)));
        let bad_counts = counts.into_iter().filter(|(_, cap)| *cap == Some(0));
        let bad = bad_dollars.map(|(key, _)| key).chain(bad_counts.map(|(key, _)| key));
        bad.map(|key| ConfigError::invalid(key, "allows no work", "more than 0; omit it for no cap"))
            .collect()
    }
}

/// A cent at least. Something that is no number is no price either.
fn is_a_price(dollars: f64) -> bool {
    dollars.is_finite() && dollars >= 0.01
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_of_nothing_is_refused_by_its_name() {
        let key = |budget: &Budget, run_usd| match &*budget.check(run_usd) {
            [ConfigError::Invalid { key, .. }] => key.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(Budget::default().check(None), []);
        assert_eq!(Budget { day_usd: Some(0.01), ..Budget::default() }.check(Some(5.0)), []);
        assert_eq!(key(&Budget::default(), Some(0.0)), "agent.max_budget_usd");
        assert_eq!(key(&Budget { story_usd: Some(f64::NAN), ..Budget::default() }, None), "budget.story_usd");
        assert_eq!(key(&Budget { day_minutes: Some(0), ..Budget::default() }, None), "budget.day_minutes");
    }
}
