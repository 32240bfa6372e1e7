//! A descriptor in the run loop: tells when something can be read from it.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor, by a duplicate of its own.
pub struct Watch {
    fd: AsyncFd<OwnedFd>,
    interest: Interest,
}

impl Watch {
    /// Tells when there is something to read. Must be called inside of the loop.
    pub fn readable(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Self::new(fd, Interest::READABLE)
    }

    /// Tells when the reader of a pipe or socket has gone away. Must be called inside of the loop.
    pub fn closed(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Self::new(fd, Interest::ERROR)
    }

    fn new(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Self> {
        let fd = fd.try_clone_to_owned()?;
        // SAFETY: the descriptor is valid, and owned by the `AsyncFd`, which never lends it out for
        // writing, so it stays open as long as it is registered.
        let fd = unsafe { AsyncFd::register_with_interest(fd, interest)? };
        Ok(Watch { fd, interest })
    }

    /// Waits for news. Whoever is told must handle all that is there: the next wait is for more.
    pub async fn news(&self) {
        match self.fd.ready(self.interest).await {
            Ok(mut guard) => guard.clear_ready(),
            // Only when the loop is being taken down.
            Err(_) => std::future::pending().await,
        }
    }
}
