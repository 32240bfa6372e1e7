//! The real kernel: the only place that names aya and does system calls.
//!
//! [`LinuxBackend`] loads an object ([`load`]), attaches its programs ([`attach`], one file of
//! `providers` for each probe type) and gives access to its maps. Everything lives in descriptors,
//! so nothing is left behind however the process ends.

pub mod attach;
pub mod btf;
pub mod clock;
pub mod executables;
pub mod functions;
pub mod glob;
pub mod host;
mod import;
pub mod info;
pub mod interfaces;
pub mod kallsyms;
pub mod kernel;
pub mod list;
pub mod load;
pub mod map;
mod owners;
pub mod privileges;
pub mod providers;
pub mod reason;
pub mod ring;
pub mod symbols;
pub mod sys;
pub mod target;
pub mod tracefs;
pub mod usdt;
pub mod verifier;
pub mod watch;

pub use clock::SystemClock;
pub use host::LinuxHost;
pub use symbols::LinuxSymbols;
pub use target::host_target;

use crate::backend::{AttachPlan, Backend, Constants, Entry, Error, Result};
use attach::Attachment;
use codegen::Object;
use kernel::Kernel;
use load::{Code, Loaded};
use map::Map;
use providers::xdp;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use sys::{Errno, bpf};

/// Drives the running kernel.
#[derive(Default)]
pub struct LinuxBackend {
    kernel: Kernel,
    process: Option<u32>,
    loaded: Loaded,
    attachments: Vec<Attachment>,
}

impl LinuxBackend {
    /// Nothing is loaded or asked of the kernel yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Attaches what can be limited to a process (uprobes, profiles) to this one only.
    pub fn limit_to(&mut self, process: Option<u32>) {
        self.process = process;
    }

    /// The ring buffer's descriptor, readable when records wait.
    pub fn ring(&self) -> Option<BorrowedFd<'_>> {
        const RINGBUF: u32 = 27;
        let ring = self.loaded.maps.values().find(|it| it.kind == RINGBUF)?;
        Some(ring.fd.as_fd())
    }

    /// Whether a record is ready to be drained.
    pub fn has_records(&self) -> bool {
        self.loaded.ring.as_ref().is_some_and(|it| it.has_records())
    }

    fn map(&self, name: &str) -> Result<&Map> {
        self.loaded.maps.get(name).ok_or_else(|| Error::new(format!("the object has no map `{name}`")))
    }
}

impl Drop for LinuxBackend {
    fn drop(&mut self) {
        self.detach();
        attach::close_all(self.attachments.iter_mut().filter_map(|it| it.event.take()).collect());
    }
}

impl Backend for LinuxBackend {
    fn load(&mut self, object: &Object, constants: Constants) -> Result<()> {
        self.loaded = load::load(object, constants, &self.kernel)?;
        Ok(())
    }

    fn run(&mut self, program: usize) -> Result<()> {
        let Some(Code::Shared(fd)) = self.loaded.programs.get(program).map(|it| &it.code) else {
            return Err(Error::new(format!("program {program} cannot be run by itself")));
        };
        bpf::program_run(fd.as_fd()).map_err(|errno| match errno.code {
            libc::EPERM if !privileges::is_privileged() => privileges::missing(),
            524 | libc::EINVAL | libc::EOPNOTSUPP => {
                Error::new(format!("this kernel cannot run begin and end programs ({errno})"))
                    .hint("Linux 5.10 or later is needed")
            }
            _ => Error::new(format!("cannot run the program: {errno}")),
        })
    }

    fn plan(&self, object: &Object) -> Result<Vec<AttachPlan>> {
        let plans = attach::plan(&object.manifest, &self.kernel);
        xdp::check(plans.iter().flat_map(|it| &it.points))?;
        Ok(plans)
    }

    fn attach(&mut self, plan: &AttachPlan) -> Result<()> {
        let program = self.loaded.programs.get(plan.program);
        let program = program.ok_or_else(|| Error::new(format!("program {} is not loaded", plan.program)))?;
        self.attachments.extend(attach::attach(plan, program, &self.kernel, self.process)?);
        Ok(())
    }

    fn detach(&mut self) {
        // Links first, so that nothing fires any more; the events behind them are left to the end of
        // the session, because the kernel takes its time to close them.
        let ends = self.attachments.iter_mut().filter_map(|it| it.link.take().or_else(|| it.event.take()));
        attach::close_all(ends.collect());
    }

    fn unwatch(&mut self, address: u64) {
        // The links go first and the breakpoints last, as at the end.
        let ended = self.attachments.extract_if(.., |it| it.watched == Some(address));
        let (links, events): (Vec<_>, Vec<_>) = ended.map(|it| (it.link, it.event)).unzip();
        attach::close_all(links.into_iter().flatten().collect());
        attach::close_all(events.into_iter().flatten().collect());
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(ring) = &mut self.loaded.ring {
            ring.drain(each);
        }
        Ok(())
    }

    fn event_fd(&self) -> Option<RawFd> {
        self.ring().map(|it| it.as_raw_fd())
    }

    fn entries(&mut self, map: &str) -> Result<Vec<Entry>> {
        self.map(map)?.entries().map_err(|errno| access_error("read", map, errno))
    }

    fn update(&mut self, map: &str, key: &[u8], value: &[u8]) -> Result<()> {
        self.map(map)?.update(key, value).map_err(|errno| access_error("change", map, errno))
    }

    fn restore(&mut self, map: &str, (key, values): &Entry) -> Result<()> {
        self.map(map)?.restore(key, values).map_err(|errno| access_error("change", map, errno))
    }

    fn delete(&mut self, map: &str, key: &[u8]) -> Result<()> {
        self.map(map)?.delete(key).map_err(|errno| access_error("change", map, errno))
    }

    fn read_bss(&mut self, offset: u32, len: u32) -> Result<Vec<u8>> {
        let bss = self.loaded.bss.as_ref();
        let bytes = bss.and_then(|it| it.read(offset as usize, len as usize));
        bytes.ok_or_else(|| Error::new(format!("the object has no variable of {len} bytes at {offset}")))
    }

    fn write_bss(&mut self, offset: u32, bytes: &[u8]) -> Result<()> {
        let len = bytes.len();
        let written = self.loaded.bss.as_mut().and_then(|it| it.write(offset as usize, bytes));
        written.ok_or_else(|| Error::new(format!("the object has no variable of {len} bytes at {offset}")))
    }
}

fn access_error(what: &str, map: &str, errno: Errno) -> Error {
    Error::new(format!("cannot {what} the map `{map}`: {errno}"))
}
