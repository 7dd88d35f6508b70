//! Work that is under way at once, each piece in a lane: a repository. A few pieces go side by
//! side, and few of one lane, so that a repository that hangs holds up itself and no other. A piece
//! that takes long counts no longer among the few: what hangs in one place takes no room from what
//! does not.

use std::collections::HashMap;
use std::future::pending;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

/// A piece of work that takes longer makes room for another.
const SLOW: Duration = Duration::from_secs(5);
/// However slow they are, so many times as many pieces are under way at most.
const MAX_SLOW: usize = 8;

/// How many pieces of work may be under way at once.
#[derive(Debug, Clone, Copy)]
pub struct LaneLimits {
    /// Of all lanes, without those that are slow.
    pub most: usize,
    /// Of one lane.
    pub of_lane: usize,
}

/// Pieces of work under way, each of which ends with a `T`.
pub struct Lanes<'a, T> {
    room: LaneLimits,
    running: FuturesUnordered<BoxFuture<'a, (u64, T)>>,
    under_way: HashMap<u64, (String, Instant)>,
    last: u64,
}

impl<'a, T: Send + 'a> Lanes<'a, T> {
    /// With nothing under way.
    pub fn new(room: LaneLimits) -> Self {
        Self { room, running: FuturesUnordered::new(), under_way: HashMap::new(), last: 0 }
    }

    /// Whether another piece may begin.
    pub fn has_room(&self) -> bool {
        let now = Instant::now();
        let quick = self.under_way.values().filter(|(_, since)| now - *since < SLOW).count();
        quick < self.room.most && self.under_way.len() < self.room.most * MAX_SLOW
    }

    /// Whether another piece of this lane may begin.
    pub fn has_room_in(&self, lane: &str) -> bool {
        self.under_way.values().filter(|(of, _)| of == lane).count() < self.room.of_lane
    }

    /// The lanes in which no other piece may begin.
    pub fn full(&self) -> Vec<String> {
        let mut lanes: Vec<&String> = self.under_way.values().map(|(lane, _)| lane).collect();
        lanes.sort();
        lanes.dedup();
        lanes.into_iter().filter(|lane| !self.has_room_in(lane)).cloned().collect()
    }

    /// When a piece that is under way makes room, at the latest, where there is none.
    pub fn room_in(&self) -> Option<Duration> {
        if self.has_room() {
            return None;
        }
        let now = Instant::now();
        let left = self.under_way.values().map(|(_, since)| SLOW.saturating_sub(now - *since));
        left.filter(|left| !left.is_zero()).min()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Begins a piece of work; it goes on while somebody waits for [`next`](Self::next).
    pub fn begin(&mut self, lane: impl Into<String>, work: impl Future<Output = T> + Send + 'a) {
        self.last += 1;
        let id = self.last;
        self.under_way.insert(id, (lane.into(), Instant::now()));
        self.running.push(Box::pin(async move { (id, work.await) }));
    }

    /// The end of the next piece that ends. Never, where nothing is under way.
    pub async fn next(&mut self) -> T {
        match self.running.next().await {
            Some((id, ended)) => {
                self.under_way.remove(&id);
                ended
            }
            None => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: LaneLimits = LaneLimits { most: 3, of_lane: 2 };

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_hangs_holds_up_itself_and_no_other() {
        let mut lanes = Lanes::new(ROOM);
        lanes.begin("hangs", pending());
        lanes.begin("hangs", pending());
        assert!(!lanes.has_room_in("hangs") && lanes.has_room_in("other") && lanes.has_room());
        assert_eq!(lanes.full(), ["hangs"]);
        lanes.begin("other", async { 1 });
        assert!(!lanes.has_room());
        assert_eq!(lanes.next().await, 1);
        assert!(lanes.has_room() && !lanes.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_makes_room_up_to_an_end() {
        let mut lanes: Lanes<'_, ()> = Lanes::new(ROOM);
        let mut begun = 0;
        for lane in 0..100 {
            if !lanes.has_room() {
                let Some(left) = lanes.room_in() else { break };
                assert!(left <= SLOW);
                tokio::time::advance(left).await;
                assert_eq!(lanes.has_room(), begun < ROOM.most * MAX_SLOW);
            }
            if lanes.has_room() {
                lanes.begin(lane.to_string(), pending());
                begun += 1;
            }
        }
        assert_eq!(begun, ROOM.most * MAX_SLOW);
    }
}
