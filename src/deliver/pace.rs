//! How fast hob may write to GitHub. GitHub allows an installation, or a token's account, about 80
//! requests a minute and 500 an hour that make something, and says in an answer when it wants to be
//! left alone for a while. Every write that hob sends counts (`GitHub::writes`). What people wait
//! for goes as long as there is anything left; the rest goes the slower the less there is left, so
//! that a status comment is never frozen and never in the way. Kept in memory: a restart asks once
//! too often at worst, and is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::github::GitHub;
use crate::ids::InstallationId;

/// Whose pace it is; the token's account counts as one.
pub(super) type PaceKey = Option<InstallationId>;

/// What a write is for, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Urgency {
    /// The outcome of work, a question, an answer.
    Outcome,
    /// A reaction, a first status comment, what follows from an outcome.
    Soon,
    /// A change of what is shown anyway: status comments, labels, check runs.
    Status,
}

impl Urgency {
    /// Every urgency.
    pub(super) const ALL: [Urgency; 3] = [Self::Outcome, Self::Soon, Self::Status];

    /// How much it slows down as the allowance runs out.
    fn patience(self) -> f64 {
        match self {
            Self::Outcome => 0.0,
            Self::Soon => 0.05,
            Self::Status => 1.0,
        }
    }
}

/// An allowance that fills up again: so much at once, and in any stretch of time no more than that
/// and what has come since.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    most: f64,
    per_second: f64,
}

/// So much in a minute, and so much in an hour: what may come at once and what comes after are no
/// more together. With 480 writes an hour that is 65 + 13 in a minute and 160 + 320 in an hour, a
/// little below GitHub's documented limits.
fn allowances(writes_per_hour: u32) -> [Allowance; 2] {
    let hour = f64::from(writes_per_hour);
    let minute = hour * 78.0 / 480.0;
    [
        Allowance { most: minute * 5.0 / 6.0, per_second: minute / 6.0 / 60.0 },
        Allowance { most: hour / 3.0, per_second: hour * 2.0 / 3.0 / 3600.0 },
    ]
}

impl Allowance {
    /// How long it is until there is a whole write left.
    fn until_one(self, left: f64) -> Duration {
        Duration::from_secs_f64(((1.0 - left) / self.per_second).max(0.0))
    }

    /// How long after one write of this urgency another may follow, where so much is left. Half of
    /// the allowance is left where statuses alone use up what comes.
    fn pause(self, left: f64, urgency: Urgency) -> Duration {
        let share = (left / self.most).clamp(0.01, 1.0);
        Duration::from_secs_f64(urgency.patience() / self.per_second * (1.0 / share - 1.0))
    }
}

/// One pace for each installation.
#[derive(Clone)]
pub(super) struct Pace {
    allowances: [Allowance; 2],
    of: Arc<Mutex<HashMap<PaceKey, One>>>,
}

#[derive(Debug)]
struct One {
    allowances: [Allowance; 2],
    limited_until: Option<Instant>,
    /// What is left of each allowance.
    left: [f64; 2],
    /// As of when.
    at: Instant,
    /// How many writes had been sent by then.
    sent: u64,
    /// Pieces of work that may write and have not ended.
    under_way: u32,
    /// When a write of each urgency began last.
    last: HashMap<Urgency, Instant>,
}

impl One {
    fn new(allowances: [Allowance; 2], now: Instant, sent: u64) -> Self {
        let left = allowances.map(|allowance| allowance.most);
        Self { allowances, limited_until: None, left, at: now, sent, under_way: 0, last: HashMap::new() }
    }

    /// Fills up what time has brought, and takes off what was sent.
    fn catch_up(&mut self, now: Instant, sent: u64) {
        let (passed, new) = ((now - self.at).as_secs_f64(), sent.saturating_sub(self.sent));
        for (left, allowance) in self.left.iter_mut().zip(self.allowances) {
            #[expect(clippy::cast_precision_loss, reason = "a count of writes")]
            let spent = new as f64;
            *left = (*left + passed * allowance.per_second).min(allowance.most) - spent;
        }
        (self.at, self.sent) = (now, sent);
    }

    fn wait(&self, now: Instant, urgency: Urgency) -> Duration {
        let limited = self.limited_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let since = self.last.get(&urgency).map_or(Duration::MAX, |at: &Instant| now - *at);
        let waits = self.left.iter().zip(self.allowances).map(|(left, allowance)| {
            let left = left - f64::from(self.under_way);
            allowance.until_one(left).max(allowance.pause(left, urgency).saturating_sub(since))
        });
        waits.fold(limited, Duration::max)
    }
}

/// Leave to write. What was sent meanwhile counts when it is given back.
pub(super) struct WritePermit {
    pace: Pace,
    who: PaceKey,
}

impl Drop for WritePermit {
    fn drop(&mut self) {
        if let Some(one) = self.pace.all().get_mut(&self.who) {
            one.under_way = one.under_way.saturating_sub(1);
        }
    }
}

impl Pace {
    /// A pace of so many writes an hour at most.
    pub(super) fn new(writes_per_hour: u32) -> Pace {
        Pace { allowances: allowances(writes_per_hour), of: Arc::default() }
    }

    /// Leave for a piece of work that writes, or how long to wait before there is any.
    pub(super) fn take(
        &self,
        github: &GitHub,
        who: PaceKey,
        urgency: Urgency,
    ) -> Result<WritePermit, Duration> {
        self.take_as_of(Instant::now(), github.writes(who), who, urgency)
    }

    fn take_as_of(
        &self,
        now: Instant,
        sent: u64,
        who: PaceKey,
        urgency: Urgency,
    ) -> Result<WritePermit, Duration> {
        let mut all = self.all();
        let one = all.entry(who).or_insert_with(|| One::new(self.allowances, now, sent));
        one.catch_up(now, sent);
        let wait = one.wait(now, urgency);
        if !wait.is_zero() {
            return Err(wait.max(Duration::from_millis(10)));
        }
        one.under_way += 1;
        one.last.insert(urgency, now);
        Ok(WritePermit { pace: self.clone(), who })
    }

    /// Notes that GitHub wants to be left alone for a while.
    pub(super) fn limit(&self, who: PaceKey, wait: Duration) {
        let now = Instant::now();
        let mut all = self.all();
        let one = all.entry(who).or_insert_with(|| One::new(self.allowances, now, 0));
        one.limited_until = one.limited_until.max(Some(now + wait));
    }

    /// Those that may not write with this urgency now, and the shortest wait among them.
    pub(super) fn held_up(&self, github: &GitHub, urgency: Urgency) -> (Vec<PaceKey>, Option<Duration>) {
        let now = Instant::now();
        let (mut held_up, mut shortest) = (Vec::new(), None::<Duration>);
        for (who, one) in self.all().iter_mut() {
            one.catch_up(now, github.writes(*who));
            let wait = one.wait(now, urgency);
            if !wait.is_zero() {
                held_up.push(*who);
                shortest = Some(shortest.map_or(wait, |shortest| shortest.min(wait)));
            }
        }
        (held_up, shortest.map(|wait| wait.max(Duration::from_millis(10))))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<PaceKey, One>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Plays one installation for a while: each urgency writes whenever it may, as often as it
    /// wants to. Tells when each wrote.
    fn play(wants: &[(Urgency, Duration)], seconds: u64) -> Vec<(Urgency, Duration)> {
        let (pace, start) = (Pace::new(480), Instant::now());
        let (mut sent, mut written) = (0, Vec::<(Urgency, Duration)>::new());
        for tick in 0..seconds * 10 {
            let passed = Duration::from_millis(tick * 100);
            for (urgency, every) in wants {
                let last = written.iter().rev().find(|(of, _)| of == urgency).map(|(_, at)| *at);
                let is_wanted = last.is_none_or(|last| passed - last >= *every);
                if is_wanted && pace.take_as_of(start + passed, sent, None, *urgency).is_ok() {
                    sent += 1;
                    written.push((*urgency, passed));
                }
            }
        }
        written
    }

    fn most_within(written: &[(Urgency, Duration)], window: Duration) -> usize {
        let times: Vec<Duration> = written.iter().map(|(_, at)| *at).collect();
        let within =
            |from: &Duration| times.iter().filter(|at| **at >= *from && **at - *from < window).count();
        times.iter().map(within).max().unwrap_or(0)
    }

    #[tokio::test]
    async fn no_minute_and_no_hour_has_more_writes_than_github_allows() {
        for urgency in Urgency::ALL {
            let written = play(&[(urgency, Duration::ZERO)], 5400);
            assert!(most_within(&written, 60 * SECOND) <= 80, "{urgency:?}");
            assert!(most_within(&written, 3600 * SECOND) <= 500, "{urgency:?}");
        }
        let all = Urgency::ALL.map(|urgency| (urgency, Duration::ZERO));
        assert!(most_within(&play(&all, 5400), 3600 * SECOND) <= 500);
    }

    /// Whatever statuses do, a pull request goes at once; and statuses go on at an even pace.
    #[tokio::test]
    async fn statuses_leave_room_for_outcomes_and_are_never_frozen() {
        let wants = [(Urgency::Status, Duration::ZERO), (Urgency::Outcome, 60 * SECOND)];
        let written = play(&wants, 5400);
        let of = |urgency| written.iter().filter(move |(of, _)| *of == urgency).map(|(_, at)| *at);
        let outcomes: Vec<Duration> = of(Urgency::Outcome).collect();
        assert_eq!(outcomes.len(), 90, "one each minute, none late");
        let statuses: Vec<Duration> = of(Urgency::Status).collect();
        let longest = statuses.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        assert!(longest <= 30 * SECOND, "no status for {longest:?}");
        assert!(statuses.len() > 300, "{}", statuses.len());
    }

    #[tokio::test]
    async fn after_a_burst_of_outcomes_statuses_come_again_within_a_minute() {
        let (pace, start) = (Pace::new(480), Instant::now());
        let mut sent = 0;
        while pace.take_as_of(start, sent, None, Urgency::Outcome).is_ok() {
            sent += 1;
        }
        assert_eq!(sent, 65);
        let waits = |after: u64| {
            pace.take_as_of(start + Duration::from_secs(after), sent, None, Urgency::Status).err()
        };
        let first = (0..300).find(|after| waits(*after).is_none()).expect("it comes");
        assert!((5..=60).contains(&first), "{first} s");
    }

    #[tokio::test]
    async fn a_server_that_takes_ten_times_as_much_gets_it() {
        for (per_hour, at_once) in [(480, 65), (4800, 650)] {
            let (pace, start) = (Pace::new(per_hour), Instant::now());
            let may = |sent: u64| pace.take_as_of(start, sent, None, Urgency::Outcome).is_ok();
            assert_eq!((0..).find(|sent| !may(*sent)), Some(at_once), "{per_hour}");
        }
    }

    #[tokio::test]
    async fn what_was_sent_by_the_way_counts() {
        let (pace, now) = (Pace::new(480), Instant::now());
        assert!(pace.take_as_of(now, 0, None, Urgency::Outcome).is_ok());
        assert!(pace.take_as_of(now, 64, None, Urgency::Outcome).is_ok());
        let wait = pace.take_as_of(now, 65, None, Urgency::Outcome).err().expect("nothing is left");
        assert!(wait > SECOND && wait < 6 * SECOND, "{wait:?}");
    }

    #[tokio::test]
    async fn one_that_is_limited_does_not_hold_up_another() {
        let (pace, now) = (Pace::new(480), Instant::now());
        let (limited, other) = (Some(InstallationId(1)), Some(InstallationId(2)));
        pace.limit(limited, 60 * SECOND);
        pace.limit(limited, 10 * SECOND);
        let at = |after: u64, who| {
            pace.take_as_of(now + Duration::from_secs(after), 0, who, Urgency::Outcome).map(drop)
        };
        assert!(at(0, limited).unwrap_err() > 59 * SECOND);
        assert!(at(0, other).is_ok());
        assert!(at(50, limited).is_err());
        assert!(at(61, limited).is_ok());
    }
}
