//! Log-ins for the page: single-use tokens in a printed address, traded for a session.
//!
//! In memory on purpose: a log-in is worth nothing after the node ended. Both maps are bounded; the
//! oldest goes first.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use mesh_kernel::ports::{Clock, Digest, Identity};
use parking_lot::Mutex;

/// Tokens and sessions that are good at once, each.
const HELD_MAX: usize = 4_096;

/// Single-use log-in tokens and the sessions that they were traded for.
pub struct LoginTokens {
    clock: Arc<dyn Clock>,
    secret: fn() -> String,
    login_time: Duration,
    session_time: Duration,
    held: Mutex<(Expiring, Expiring)>,
}

/// Secrets by their hash, each with the instant at which it ends, oldest first.
#[derive(Default)]
struct Expiring {
    by_hash: HashMap<Digest, (Duration, Identity)>,
    order: VecDeque<Digest>,
}

impl LoginTokens {
    /// Tokens good for `login_time`, sessions for `session_time`. `secret` draws a fresh secret.
    pub fn new(clock: Arc<dyn Clock>, secret: fn() -> String, login_time: Duration, session_time: Duration) -> Self {
        Self { clock, secret, login_time, session_time, held: Mutex::default() }
    }

    /// A fresh token that logs `identity` in, once.
    pub fn issue(&self, identity: Identity) -> String {
        let token = (self.secret)();
        let ends = self.clock.monotonic() + self.login_time;
        self.held.lock().0.put(&token, ends, identity);
        token
    }

    /// Trades a token for a session. `None` when it was used, is too old, or never was.
    pub fn redeem(&self, token: &str) -> Option<(String, Identity)> {
        let now = self.clock.monotonic();
        let mut held = self.held.lock();
        let identity = held.0.take(token, now)?;
        let session = (self.secret)();
        held.1.put(&session, now + self.session_time, identity.clone());
        Some((session, identity))
    }

    /// Who holds this session.
    pub fn session(&self, session: &str) -> Option<Identity> {
        self.held.lock().1.get(session, self.clock.monotonic())
    }

    /// Ends a session.
    pub fn log_out(&self, session: &str) {
        let now = self.clock.monotonic();
        self.held.lock().1.take(session, now);
    }
}

impl Expiring {
    fn put(&mut self, secret: &str, ends: Duration, identity: Identity) {
        let hash = Digest::of(secret.as_bytes());
        self.by_hash.insert(hash, (ends, identity));
        self.order.push_back(hash);
        while self.order.len() > HELD_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.by_hash.remove(&oldest);
            }
        }
    }

    fn get(&self, secret: &str, now: Duration) -> Option<Identity> {
        let (ends, identity) = self.by_hash.get(&Digest::of(secret.as_bytes()))?;
        (now < *ends).then(|| identity.clone())
    }

    fn take(&mut self, secret: &str, now: Duration) -> Option<Identity> {
        let (ends, identity) = self.by_hash.remove(&Digest::of(secret.as_bytes()))?;
        (now < ends).then_some(identity)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use mesh_kernel::envelope::{Principal, TenantId, Timestamp};

    use super::*;

    /// A clock that moves when the test says so.
    #[derive(Default)]
    pub(crate) struct TestClock(AtomicU64);

    impl TestClock {
        pub(crate) fn advance(&self, by: Duration) {
            self.0.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_nanos(0).plus(self.monotonic())
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    fn counted() -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        format!("secret-{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn logins(login_time: Duration, session_time: Duration) -> (LoginTokens, Arc<TestClock>) {
        let clock = Arc::new(TestClock::default());
        (LoginTokens::new(clock.clone(), counted, login_time, session_time), clock)
    }

    fn identity() -> Identity {
        Identity { tenant: TenantId::parse("acme").unwrap(), principal: Principal::system("test") }
    }

    #[test]
    fn a_token_is_good_once() {
        let (logins, _) = logins(Duration::from_secs(60), Duration::from_secs(600));
        let token = logins.issue(identity());
        let (session, who) = logins.redeem(&token).unwrap();
        assert_eq!(who, identity());
        assert_eq!(logins.redeem(&token), None);
        assert_eq!(logins.session(&session), Some(identity()));
        assert_eq!(logins.session(&token), None);
        logins.log_out(&session);
        assert_eq!(logins.session(&session), None);
    }

    #[test]
    fn tokens_and_sessions_end_with_their_time() {
        let (logins, clock) = logins(Duration::from_secs(60), Duration::from_secs(600));
        let (early, late) = (logins.issue(identity()), logins.issue(identity()));
        clock.advance(Duration::from_secs(59));
        let (session, _) = logins.redeem(&early).unwrap();
        clock.advance(Duration::from_secs(1));
        assert_eq!(logins.redeem(&late), None);
        clock.advance(Duration::from_secs(598));
        assert!(logins.session(&session).is_some());
        clock.advance(Duration::from_secs(1));
        assert_eq!(logins.session(&session), None);
    }

    #[test]
    fn the_oldest_token_makes_room() {
        let (logins, _) = logins(Duration::from_secs(60), Duration::from_secs(600));
        let first = logins.issue(identity());
        let rest: Vec<String> = (0..HELD_MAX).map(|_| logins.issue(identity())).collect();
        assert_eq!(logins.redeem(&first), None);
        assert!(logins.redeem(rest.first().unwrap()).is_some());
    }
}
