//! What a session waits for, as one stream of events.
//!
//! Comes in: descriptors that become readable. Goes out: one [`Event`] at a time. Nothing is
//! handled here.

use crate::linux::sys::process::{Child, Signals, can_close};
use crate::linux::watch::Watch;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Records wait in the ring buffer.
    Records,
    /// Time to look at the counters of what was lost.
    Tick,
    /// A signal asks to end.
    Signal(i32),
    /// The command of `-c` ended.
    ChildExit,
    /// The process of `-p` ended.
    TargetExit,
    /// The reader of the standard output went away.
    OutputClosed,
}

/// The time between ticks doubles from the first to the last of these: what happens soon after the
/// start of a command is seen, and a long run is left alone.
const TICKS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(160)];

/// The sources of events.
pub struct Events<'a> {
    signals: &'a Signals,
    signal_fd: Option<Watch>,
    ring: Option<Watch>,
    child: Option<Watch>,
    target: Option<Watch>,
    output: Option<Watch>,
    tick: Instant,
    period: Duration,
    records_not_before: Instant,
}

impl<'a> Events<'a> {
    /// Watches what there is. Must be called inside of the loop.
    pub fn new(
        ring: Option<BorrowedFd<'_>>,
        signals: &'a Signals,
        child: Option<&Child>,
        target: Option<&OwnedFd>,
    ) -> io::Result<Self> {
        let stdout = io::stdout();
        Ok(Events {
            signals,
            signal_fd: Some(Watch::readable(signals.as_fd())?),
            ring: ring.map(Watch::readable).transpose()?,
            child: child.map(|it| Watch::readable(it.pidfd())).transpose()?,
            target: target.map(|it| Watch::readable(it.as_fd())).transpose()?,
            output: can_close(stdout.as_fd()).then(|| Watch::closed(stdout.as_fd())).transpose()?,
            tick: Instant::now() + TICKS[0],
            period: TICKS[0],
            records_not_before: Instant::now(),
        })
    }

    /// Leaves records alone for a while: what arrives meanwhile is handled in one go.
    pub fn pause_records(&mut self, pause: Duration) {
        self.records_not_before = Instant::now() + pause;
    }

    /// The next event. Signals come before the rest, so that no flood can hide them.
    /// `more` says that records are known to wait.
    pub async fn next(&mut self, more: bool) -> Event {
        loop {
            let not_before = self.records_not_before;
            tokio::select! {
                biased;
                () = news(&self.signal_fd) => {
                    if let Some(signal) = self.signals.next() {
                        return Event::Signal(signal);
                    }
                }
                () = news(&self.output) => return Event::OutputClosed,
                () = news(&self.child) => return Event::ChildExit,
                () = news(&self.target) => return Event::TargetExit,
                () = async {
                    sleep_until(not_before).await;
                    if !more {
                        news(&self.ring).await;
                    }
                } => return Event::Records,
                () = sleep_until(self.tick) => {
                    self.period = (self.period * 2).min(TICKS[1]);
                    self.tick = Instant::now() + self.period;
                    return Event::Tick;
                }
            }
        }
    }
}

/// Waits for news; forever when nothing is watched.
async fn news(watch: &Option<Watch>) {
    match watch {
        Some(watch) => watch.news().await,
        None => std::future::pending().await,
    }
}
