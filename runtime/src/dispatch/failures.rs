//! Failures that programs report: told one by one, floods of them as numbers.
//!
//! Comes in: the records of failures. Goes out: a message for each, or for the many behind the
//! first [`MOST`] of one place within [`WINDOW`] one message with their number: none is left out.

use super::Dispatcher;
use crate::backend::Result;
use crate::decode::unsigned;
use crate::output::Message;

/// Failures of one place that are told within [`WINDOW`]; more are counted.
const MOST: u64 = 100;
/// In nanoseconds.
const WINDOW: i64 = 1_000_000_000;

/// What was told of each place; indexed as the manifest's failures.
pub(super) struct Floods(Vec<Flood>);

#[derive(Clone, Default)]
struct Flood {
    /// When the window began.
    start: i64,
    /// Failures told in it.
    told: u64,
    untold: Untold,
}

/// Failures that were only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Untold {
    count: u64,
    /// What the helper returned at the last of them.
    code: i64,
}

impl Floods {
    pub(super) fn new(n_places: usize) -> Floods {
        Floods(vec![Flood::default(); n_places])
    }

    /// Whether a failure is told; else it is counted.
    fn admit(&mut self, place: usize, code: i64, now: i64) -> bool {
        let flood = &mut self.0[place];
        if flood.told == 0 || flood.is_over(now) {
            (flood.start, flood.told) = (now, 0);
        }
        if flood.told < MOST {
            flood.told += 1;
            return true;
        }
        flood.untold = Untold { count: flood.untold.count + 1, code };
        false
    }

    /// What was only counted of a place until its window was over, or until the end (`None`).
    fn take_untold(&mut self, place: usize, now: Option<i64>) -> Option<Untold> {
        let flood = &mut self.0[place];
        let due = flood.untold.count > 0 && now.is_none_or(|now| flood.is_over(now));
        due.then(|| std::mem::take(&mut flood.untold))
    }
}

impl Flood {
    /// A clock that was set back ends a window too.
    fn is_over(&self, now: i64) -> bool {
        !(0..WINDOW).contains(&now.wrapping_sub(self.start))
    }
}

impl Dispatcher {
    /// Tells a failure, or counts it.
    pub(super) fn fail(&mut self, place: usize, record: &[u8]) -> Result<()> {
        let code = unsigned(record.get(8..).unwrap_or_default(), 8) as i64;
        let now = self.machine.clock.now();
        self.tell_untold(place, Some(now))?;
        if self.floods.admit(place, code, now) {
            self.tell(place, Untold { count: 1, code })?;
        }
        Ok(())
    }

    /// Tells how many failures were only counted: of all windows that are over, or at the end of
    /// all.
    pub(super) fn tell_floods(&mut self, end: bool) -> Result<()> {
        let now = (!end).then(|| self.machine.clock.now());
        (0..self.manifest.failures.len()).try_for_each(|place| self.tell_untold(place, now))
    }

    fn tell_untold(&mut self, place: usize, now: Option<i64>) -> Result<()> {
        match self.floods.take_untold(place, now) {
            Some(untold) => self.tell(place, untold),
            None => Ok(()),
        }
    }

    fn tell(&mut self, place: usize, Untold { count, code }: Untold) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let failure = &self.manifest.failures[place];
        let sources = &self.manifest.sources;
        let printed = self.output.message(&Message::Failure { failure, code, count, sources });
        self.survive(printed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_are_counted_by_place_and_second() {
        let mut floods = Floods::new(2);
        let told =
            |floods: &mut Floods, n: i64, now: i64| (0..n).filter(|&it| floods.admit(0, it, now)).count();
        assert_eq!(told(&mut floods, 99, 5), 99);
        assert_eq!(floods.take_untold(0, None), None);
        assert_eq!(told(&mut floods, 4, 6), 1);
        assert!(floods.admit(1, 0, 6), "another place");
        assert_eq!(floods.take_untold(0, Some(WINDOW)), None);
        assert_eq!(floods.take_untold(0, Some(WINDOW + 5)), Some(Untold { count: 3, code: 3 }));
        assert_eq!(floods.take_untold(0, None), None);
        assert_eq!(told(&mut floods, 101, WINDOW + 5), 100);
        assert_eq!(floods.take_untold(0, None), Some(Untold { count: 1, code: 100 }));
        assert!(floods.admit(0, 0, 0), "the clock was set back");
    }
}
