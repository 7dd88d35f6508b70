//! Who has a place at the door: how many connections there are, how much of their bodies is in
//! memory, and who has to go when there is no more of either. Anyone who reaches the address can
//! open connections and send bodies, and only a whole body shows whether GitHub has signed it. So
//! nobody waits for a place behind strangers: the connection that does least for what it takes up
//! makes room, at the address that takes up most. Behind a proxy all come from one address; then
//! how fast somebody sends decides alone.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// What connections may take up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. When there are as many, a new one takes the place of another.
    pub connections: usize,
    /// The longest that a request's head may take to come, the first as well as one after it.
    pub head_within: Duration,
    /// The memory that all bodies may take up together while they are read and written down, in
    /// bytes.
    pub bodies: usize,
    /// The longest pause within a body.
    pub body_pause: Duration,
    /// How fast a body comes at least, over all of its time, in bytes a second. Asked only after
    /// one such pause.
    pub body_rate: usize,
}

impl Limits {
    /// The limits for bodies that have at most so many bytes.
    ///
    /// A process has 1,024 files where nobody says otherwise, and hob's work needs some. GitHub
    /// waits ten seconds for an answer, and sends its heads and bodies at once.
    pub fn for_bodies_up_to(body_limit: usize) -> Limits {
        Limits {
            connections: 512,
            head_within: Duration::from_secs(10),
            bodies: BODIES.max(body_limit.saturating_mul(2)),
            body_pause: Duration::from_secs(3),
            body_rate: 4 << 10,
        }
    }
}

/// The memory for all bodies, unless a single one may be larger than half of it.
const BODIES: usize = 64 << 20;
/// A connection younger than this goes only if all are.
const YOUNG: Duration = Duration::from_millis(500);
/// How long somebody who has to go may take to let go of what is in memory.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// All places.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    limits: Limits,
    held: Mutex<Held>,
    /// A connection has ended, or a body is no longer in memory.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    connections: HashMap<u64, Connection>,
    /// What all bodies take up in memory.
    bytes: usize,
}

#[derive(Debug)]
struct Connection {
    from: IpAddr,
    state: State,
    /// Since when it is in that state.
    since: Instant,
    /// What has come of its body.
    received: usize,
    /// What its body takes up in memory.
    bytes: usize,
    leave: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has said nothing yet, or has its answer.
    Waiting,
    /// Its body is being read.
    Reading,
    /// GitHub has signed it. It stays until it has its answer.
    Signed,
    /// It was told to go.
    Leaving,
}

/// There is no room in memory for more of a body, and nobody does less for what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// The place of one connection, from its beginning to its end.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    places: Arc<ConnectionSlots>,
    id: u64,
    leave: CancellationToken,
}

impl ConnectionSlots {
    pub(super) fn new(limits: Limits) -> Arc<ConnectionSlots> {
        Arc::new(ConnectionSlots { limits, held: Mutex::default(), freed: Notify::new() })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A place for a connection from this address. Where there is none, another connection makes
    /// room; only those that GitHub has signed are waited for.
    pub(super) async fn take(self: &Arc<Self>, from: IpAddr) -> ConnectionSlot {
        loop {
            let freed = self.freed.notified();
            if let Some(place) = self.try_take(from) {
                return place;
            }
            freed.await;
        }
    }

    fn try_take(self: &Arc<Self>, from: IpAddr) -> Option<ConnectionSlot> {
        let mut held = self.held();
        if held.connections.len() >= self.limits.connections {
            let is_leaving = |connection: &Connection| connection.state == State::Leaving;
            if !held.connections.values().any(is_leaving) {
                held.send_away(Wanted::Place);
            }
            return None;
        }
        let (id, leave) = (held.next, CancellationToken::new());
        held.next += 1;
        let connection = Connection {
            from: network_of(from),
            state: State::Waiting,
            since: Instant::now(),
            received: 0,
            bytes: 0,
            leave: leave.clone(),
        };
        held.connections.insert(id, connection);
        Some(ConnectionSlot { places: Arc::clone(self), id, leave })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For what somebody has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Place,
    Memory,
}

impl Held {
    /// Tells the connection to go that does least for what it takes up; which one that was.
    fn send_away(&mut self, wanted: Wanted) -> Option<u64> {
        let mut taken: HashMap<IpAddr, usize> = HashMap::new();
        for connection in self.connections.values() {
            let takes = if wanted == Wanted::Place { 1 } else { connection.bytes };
            *taken.entry(connection.from).or_default() += takes;
        }
        let now = Instant::now();
        let may_go = self.connections.iter().filter(|(_, connection)| match wanted {
            Wanted::Place => matches!(connection.state, State::Waiting | State::Reading),
            Wanted::Memory => connection.state == State::Reading && connection.bytes > 0,
        });
        let first = may_go.min_by_key(|(id, connection)| {
            let age = now.duration_since(connection.since);
            let rate = connection.received as u128 * 1_000_000 / age.as_micros().max(1);
            let takes = taken.get(&connection.from).copied().unwrap_or_default();
            (Reverse(takes), age < YOUNG, rate, Reverse(age), **id)
        });
        let id = first.map(|(id, _)| *id)?;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.state = State::Leaving;
            connection.leave.cancel();
        }
        Some(id)
    }

    /// What is in memory of those that were told to go.
    fn bytes_leaving(&self) -> usize {
        let leaving = self.connections.values().filter(|connection| connection.state == State::Leaving);
        leaving.map(|connection| connection.bytes).sum()
    }
}

impl ConnectionSlot {
    /// What it may take up.
    pub(super) fn limits(&self) -> &Limits {
        self.places.limits()
    }

    /// Returns when the connection has to make room for another.
    pub(super) async fn told_to_leave(&self) {
        self.leave.cancelled().await;
    }

    /// A body is going to be read. What it takes up is given back when the result is dropped.
    pub(super) fn begin_body(self: &Arc<Self>) -> BodyRoom {
        self.change(|connection| {
            if connection.state == State::Waiting {
                connection.state = State::Reading;
            }
            connection.since = Instant::now();
            connection.received = 0;
        });
        BodyRoom { place: Arc::clone(self) }
    }

    fn change(&self, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.places.held().connections.get_mut(&self.id) {
            change(connection);
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut held = self.places.held();
        if let Some(connection) = held.connections.remove(&self.id) {
            held.bytes = held.bytes.saturating_sub(connection.bytes);
        }
        drop(held);
        self.places.freed.notify_waiters();
    }
}

/// What one body takes up.
#[derive(Debug)]
pub(super) struct BodyRoom {
    place: Arc<ConnectionSlot>,
}

impl BodyRoom {
    pub(super) fn place(&self) -> &ConnectionSlot {
        &self.place
    }

    /// So much more of the body has come.
    pub(super) fn received(&self, bytes: usize) {
        self.place.change(|connection| connection.received += bytes);
    }

    /// GitHub has signed it: it makes room for nobody.
    pub(super) fn is_signed(&self) {
        self.place.change(|connection| {
            if connection.state == State::Reading {
                connection.state = State::Signed;
            }
        });
    }

    /// Room in memory for so many bytes more. Where there is none, the body that does least for
    /// what it takes up makes room, which may be this one.
    ///
    /// # Errors
    /// If this one has to go, or nobody does.
    pub(super) async fn grow(&self, bytes: usize) -> Result<(), Full> {
        let places = &self.place.places;
        let until = Instant::now() + GONE_WITHIN;
        loop {
            let mut freed = std::pin::pin!(places.freed.notified());
            freed.as_mut().enable();
            {
                let mut held = places.held();
                if held.bytes + bytes <= places.limits.bodies {
                    held.bytes += bytes;
                    if let Some(connection) = held.connections.get_mut(&self.place.id) {
                        connection.bytes += bytes;
                    }
                    return Ok(());
                }
                while held.bytes - held.bytes_leaving() + bytes > places.limits.bodies {
                    match held.send_away(Wanted::Memory) {
                        Some(id) if id != self.place.id => {}
                        _ => return Err(Full),
                    }
                }
            }
            if timeout_at(until, freed).await.is_err() {
                return Err(Full);
            }
        }
    }
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        let mut held = self.place.places.held();
        let mut bytes = 0;
        if let Some(connection) = held.connections.get_mut(&self.place.id) {
            bytes = std::mem::take(&mut connection.bytes);
            connection.received = 0;
            connection.since = Instant::now();
            if connection.state != State::Leaving {
                connection.state = State::Waiting;
            }
        }
        held.bytes = held.bytes.saturating_sub(bytes);
        drop(held);
        self.place.places.freed.notify_waiters();
    }
}

/// The address as one somebody has: of the newer kind a whole network of 64 bits, of which anybody
/// has as many as they want.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn places(connections: usize, bodies: usize) -> Arc<ConnectionSlots> {
        ConnectionSlots::new(Limits { connections, bodies, ..Limits::for_bodies_up_to(1) })
    }

    fn has_to_leave(place: &ConnectionSlot) -> bool {
        place.leave.is_cancelled()
    }

    async fn later() {
        tokio::time::advance(YOUNG * 2).await;
    }

    #[test]
    fn the_default_limits_hold_two_of_the_largest_bodies() {
        let limits = Limits::for_bodies_up_to(25 << 20);
        assert_eq!((limits.connections, limits.bodies), (512, 64 << 20));
        assert_eq!(Limits::for_bodies_up_to(100 << 20).bodies, 200 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_at_the_address_with_the_most_places_makes_room() {
        let places = places(4, 1 << 20);
        let alone = places.try_take(THERE).unwrap();
        let (fast, slow, silent) = (
            Arc::new(places.try_take(HERE).unwrap()),
            Arc::new(places.try_take(HERE).unwrap()),
            Arc::new(places.try_take(HERE).unwrap()),
        );
        let (fast_body, slow_body) = (fast.begin_body(), slow.begin_body());
        fast_body.received(10_000);
        slow_body.received(10);
        later().await;
        assert!(places.try_take(THERE).is_none());
        assert!(has_to_leave(&silent) && ![&*fast, &*slow, &alone].into_iter().any(has_to_leave));
        // One at a time: nobody else has to go for the same place.
        assert!(places.try_take(THERE).is_none() && !has_to_leave(&slow));
        drop(silent);
        let young = places.try_take(HERE).unwrap();
        assert!(places.try_take(THERE).is_none());
        assert!(has_to_leave(&slow) && !has_to_leave(&young), "who has just come has said nothing yet");
        fast_body.is_signed();
        drop((slow_body, slow));
        drop((alone, young));
        // Only one is left who may go; who is signed is waited for.
        let (_one, _two) = (places.try_take(THERE).unwrap(), places.try_take(THERE).unwrap());
        let last = places.try_take(HERE).unwrap();
        later().await;
        for _ in 0..3 {
            assert!(places.try_take(THERE).is_none() && !has_to_leave(&fast));
        }
        drop(last);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_counted_to_the_byte_and_the_slowest_body_makes_room() {
        let places = places(8, 1000);
        let take = || Arc::new(places.try_take(HERE).unwrap());
        let (one, other) = (take(), take());
        let (slow, fast) = (one.begin_body(), other.begin_body());
        assert_eq!(slow.grow(600).await, Ok(()));
        assert_eq!(fast.grow(400).await, Ok(()), "up to the limit");
        slow.received(1);
        fast.received(400);
        later().await;
        // The slow one is told to go, and goes.
        let (more, gone) = tokio::join!(fast.grow(1), async {
            one.told_to_leave().await;
            drop(slow);
        });
        assert_eq!((more, gone), (Ok(()), ()));
        // Nobody else is there, and one alone cannot have more than there is.
        assert_eq!(fast.grow(600).await, Err(Full));
        drop(fast);
        assert_eq!(places.held().bytes, 0);
        // What is signed makes room for nobody.
        let (third, fourth) = (take(), take());
        let signed = third.begin_body();
        assert_eq!(signed.grow(900).await, Ok(()));
        signed.is_signed();
        later().await;
        let late = fourth.begin_body();
        assert_eq!(late.grow(101).await, Err(Full));
        assert_eq!(late.grow(100).await, Ok(()));
    }

    #[test]
    fn somebody_with_a_network_of_addresses_is_one() {
        let network = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
