//! Faults put in on purpose, for the simulator to find: a test of the tests.
//!
//! They exist only in builds with `--cfg manbo_canaries`, where one is chosen at run time; in every other build
//! [`sings`] is the constant `false` and costs nothing.

/// Every canary: what the code does wrong when it is chosen.
#[cfg(manbo_canaries)]
pub const NAMES: &[&str] = &[
    "epoch ignored by the join",
    "receipt clears what changed since",
    "refused facts are dropped",
    "refused facts stay pending",
    "single facts are never parked",
    "batches are never halved",
    "lease ignored",
    "long waits never cut",
    "retry-after ignored",
    "retry-after ended by triggers",
    "growing steps count as no progress",
    "watermark runs ahead of the pages",
    "restored servers unnoticed",
    "days that have not begun are sent",
    "oldest days are sent first",
    "read-here kept when others change the value",
    "full readings of another zone lower",
    "full readings of the open day lower",
    "readings that say nothing lower",
    "redelivered deletions delete again",
    "readings change pinned cells",
    "server takes the last write",
    "server takes pins from clients",
    "revision not raised",
    "pages begin one revision late",
    "erasure raises no generation",
    "older generations are taken",
    "batches leave before they are flushed",
    "pending mark lost on disk",
    "success before the commit",
    "commits without a flush",
    "later levels left stale",
    "sources of a day are added",
    "ranked steps without their cap",
    "signed-out steps go to everyone",
    "attendance is never sent",
    "facts from peers are not sent",
    "longest streak is the current one",
    "no pull with nothing pending",
    "pause never ends",
];

#[cfg(manbo_canaries)]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Chooses a canary of this thread; `None` lets the code be right again.
#[cfg(manbo_canaries)]
pub fn choose(name: Option<&'static str>) {
    CHOSEN.set(name);
}

/// Whether this canary is chosen.
#[cfg(manbo_canaries)]
pub(crate) fn sings(name: &str) -> bool {
    debug_assert!(NAMES.contains(&name), "{name}");
    CHOSEN.get() == Some(name)
}

/// Whether this canary is chosen: never, in a build for people.
#[cfg(not(manbo_canaries))]
#[inline]
pub(crate) const fn sings(_: &str) -> bool {
    false
}
