//! The run loop: load, begin, attach, events, detach, end, drain, print.
//!
//! Comes in: an object, and everything that it talks to. Goes out: how it ended. On every way out
//! the probes are detached first, then `end` runs, then what is left is printed.

mod addresses;
mod command;
mod events;

use crate::backend::{AttachPlan, Backend, Constants, Error, Result};
use crate::dispatch::Dispatcher;
use crate::kept::KeptMaps;
use crate::linux::sys::process::{self, Child, Signals};
use crate::linux::{LinuxBackend, clock, privileges};
use codegen::Object;
use events::{Event, Events};
use lang::attach::Point;
use lang::hir::MissingProbes;
use lang::probes::ProbeKind;
use std::fmt;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-c`: the command to start and trace.
    pub command: Option<String>,
    /// `-p`: end when this process does, and attach process-wide probes to it.
    pub pid: Option<u32>,
    /// `-v`: say what is attached and how.
    pub verbose: bool,
    /// `-q`: do not say how many probes are attached.
    pub quiet: bool,
    /// Gives up what this process may do beyond running what is attached; nothing can be loaded in it
    /// afterwards.
    pub last: bool,
    /// Leave the maps unprinted at the end, whatever the script's configuration says.
    pub leave_maps: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The process's exit code.
    pub code: u8,
    /// What ended it.
    pub cause: Cause,
}

/// What ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Something that the run was for: `exit()`, the end of the command or of the process.
    Done,
    /// Ctrl-C.
    Interrupted,
    /// A signal that asks the process to end, not only the run.
    Terminated,
    /// Nobody reads the output any more.
    OutputClosed,
}

/// After a drain the next one waits this long, so that a burst is handled in few rounds.
const DRAIN_PAUSE: Duration = Duration::from_millis(1);

/// Runs an object until it ends. Its maps begin with what is kept, and are kept in the end.
pub fn run(
    object: &Object,
    options: &Options,
    backend: LinuxBackend,
    dispatcher: Dispatcher,
    mut kept: Option<&mut KeptMaps>,
) -> Result<End> {
    let target = options.pid.map(watch_process).transpose()?;
    // The child's process id is a constant of the program, so it is there before the program is.
    let child = options.command.as_deref().map(command::hold).transpose()?;
    let prints_user_addresses = addresses::prints_user_addresses(&object.manifest);
    let mut session = Session { object, options, backend, dispatcher, child, target, prints_user_addresses };
    session.backend.limit_to(options.pid);
    session.load()?;
    if let Some(kept) = &kept {
        session.fill_maps(kept)?;
    }
    let signals = take_signals()?;
    session.run_programs(ProbeKind::Begin)?;
    let attached = session.attach()?;
    if !options.quiet {
        session.dispatcher.attached(attached)?;
    }
    session.release_child()?;
    session.give_up_privileges();
    let outcome = session.watch(&signals);
    session.backend.detach();
    // From here on another Ctrl-C ends the process at once. One that came together with the first
    // (some parents pass on what the terminal sends as well) does not count as another, nor does
    // the first one when the run had ended by itself. A prompt takes Ctrl-C anyway.
    signals.discard();
    if kept.is_none() && matches!(outcome, Ok(Cause::Done)) {
        process::forgive_one_interrupt();
    }
    drop(signals);
    let cause = outcome?;
    session.finish(cause)?;
    if let Some(kept) = &mut kept {
        kept.save(&object.manifest, &mut session.backend)?;
    }
    Ok(End { code: session.dispatcher.exit_code().unwrap_or(0), cause })
}

struct Session<'a> {
    object: &'a Object,
    options: &'a Options,
    backend: LinuxBackend,
    dispatcher: Dispatcher,
    /// Of `-c`.
    child: Option<Child>,
    /// Of `-p`.
    target: Option<OwnedFd>,
    prints_user_addresses: bool,
}

impl Session<'_> {
    fn load(&mut self) -> Result<()> {
        let cpid = self.child.as_ref().map_or(0, |it| it.pid().into());
        self.backend
            .load(self.object, Constants { cpid, start: clock::nanoseconds(libc::CLOCK_BOOTTIME) as u64 })
    }

    fn fill_maps(&mut self, kept: &KeptMaps) -> Result<()> {
        for loss in kept.restore(&self.object.manifest, &mut self.backend)? {
            say(format_args!("WARNING: {loss}"));
        }
        Ok(())
    }

    /// Runs the programs of a kind that is not attached to anything.
    fn run_programs(&mut self, kind: ProbeKind) -> Result<()> {
        for program in self.programs(kind) {
            self.backend.run(program)?;
        }
        Ok(())
    }

    fn programs(&self, kind: ProbeKind) -> Vec<usize> {
        let programs = self.object.manifest.programs.iter().enumerate();
        let is_kind = |points: &[Point]| points.first().is_some_and(|it| it.kind == kind);
        programs.filter(|(_, it)| is_kind(&it.points)).map(|(idx, _)| idx).collect()
    }

    /// Attaches everything; how many probes there are then, `begin` and `end` counted.
    fn attach(&mut self) -> Result<usize> {
        let plans = self.backend.plan(self.object)?;
        let not_attached = [ProbeKind::Begin, ProbeKind::End, ProbeKind::SelfSignal];
        let mut attached = not_attached.map(|it| self.programs(it).len()).iter().sum();
        let mut failure = None;
        for plan in &plans {
            self.say_plan(plan);
            attached += self.attach_plan(plan, &mut failure)?;
        }
        match failure {
            Some(error) if attached == 0 => {
                Err(Error { message: format!("no probe could be attached: {}", error.message), ..error })
            }
            _ => Ok(attached),
        }
    }

    /// Attaches one plan; how many attachments it took. A call takes all of its places or none: where
    /// missing ones do not matter, it is halved until they are alone.
    fn attach_plan(&mut self, plan: &AttachPlan, failure: &mut Option<Error>) -> Result<usize> {
        let error = match self.backend.attach(plan) {
            Ok(()) => return Ok(1),
            Err(error) => error,
        };
        if plan.points.len() > 1 && self.object.manifest.config.missing_probes != MissingProbes::Error {
            let (first, second) = plan.points.split_at(plan.points.len() / 2);
            let half = |points: &[Point]| AttachPlan { points: points.to_vec(), ..plan.clone() };
            let attached = self.attach_plan(&half(first), failure)?;
            return Ok(attached + self.attach_plan(&half(second), failure)?);
        }
        *failure = Some(self.judge(error)?);
        Ok(0)
    }

    fn say_plan(&self, plan: &AttachPlan) {
        let Some(first) = plan.points.first().filter(|_| self.options.verbose) else { return };
        let others = match plan.points.len() - 1 {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        say(format_args!("attaching {}{others} by {}", first.name(), plan.method));
    }

    /// What the configuration says about a probe that cannot be attached.
    fn judge(&self, error: Error) -> Result<Error> {
        match self.object.manifest.config.missing_probes {
            MissingProbes::Error => return Err(error),
            MissingProbes::Warn => say(format_args!("WARNING: {error}")),
            MissingProbes::Ignore => {}
        }
        Ok(error)
    }

    fn release_child(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        child.release().map_err(|errno| command::failed(self.options.command.as_deref(), errno))?;
        self.remember_processes();
        Ok(())
    }

    /// Called after the command was started, which has what it would have without a trace.
    fn give_up_privileges(&self) {
        if !self.options.last {
            return;
        }
        if let Err(error) = privileges::give_up_unneeded() {
            say(format_args!("WARNING: {error}"));
        }
    }

    /// Notes where code is in the processes that may end before their addresses are printed.
    fn remember_processes(&mut self) {
        if !self.prints_user_addresses {
            return;
        }
        let child = self.child.as_ref().map(Child::pid);
        for pid in child.into_iter().chain(self.options.pid) {
            self.dispatcher.remember(pid);
        }
    }

    /// The loop, until something ends it. A script that only has `begin` and `end`, and no command
    /// to wait for, has ended already.
    fn watch(&mut self, signals: &Signals) -> Result<Cause> {
        let programs = self.object.manifest.programs.len();
        let waits = programs > self.programs(ProbeKind::Begin).len() + self.programs(ProbeKind::End).len();
        if !waits && self.child.is_none() {
            return Ok(Cause::Done);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| Error::new(format!("cannot wait for events: {error}")))?;
        runtime.block_on(self.handle_events(signals))
    }

    async fn handle_events(&mut self, signals: &Signals) -> Result<Cause> {
        let ring = self.backend.ring();
        let mut events = Events::new(ring, signals, self.child.as_ref(), self.target.as_ref())
            .map_err(|error| Error::new(format!("cannot wait for events: {error}")))?;
        // What `begin` sent.
        self.dispatcher.drain(&mut self.backend)?;
        while self.dispatcher.exit_code().is_none() {
            match events.next(self.backend.has_records()).await {
                Event::Records => {
                    self.dispatcher.drain(&mut self.backend)?;
                    events.pause_records(DRAIN_PAUSE);
                }
                Event::Tick => {
                    self.dispatcher.drain(&mut self.backend)?;
                    self.dispatcher.report_losses(&mut self.backend)?;
                    self.remember_processes();
                }
                // Without a probe for it, it means nothing.
                Event::Signal(libc::SIGUSR1) => self.run_programs(ProbeKind::SelfSignal)?,
                Event::Signal(signal) => {
                    self.child.iter().for_each(Child::terminate);
                    return Ok(if signal == libc::SIGINT { Cause::Interrupted } else { Cause::Terminated });
                }
                Event::ChildExit | Event::TargetExit => return Ok(Cause::Done),
                Event::OutputClosed => return Ok(Cause::OutputClosed),
            }
        }
        self.child.iter().for_each(Child::terminate);
        Ok(Cause::Done)
    }

    /// The end of the run, with the probes detached.
    fn finish(&mut self, cause: Cause) -> Result<()> {
        if cause == Cause::OutputClosed {
            return Ok(());
        }
        self.dispatcher.drain(&mut self.backend)?;
        self.run_programs(ProbeKind::End)?;
        if self.options.leave_maps {
            self.dispatcher.drain(&mut self.backend)?;
            return self.dispatcher.report_losses(&mut self.backend);
        }
        self.dispatcher.finish(&mut self.backend)
    }
}

/// A line on stderr. When that is gone nothing can be said, which is no reason to end.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn take_signals() -> Result<Signals> {
    let signals = Signals::take(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1]);
    signals.map_err(|errno| Error::new(format!("cannot watch for Ctrl-C: {errno}")))
}

fn watch_process(pid: u32) -> Result<OwnedFd> {
    process::open_pidfd(pid).map_err(|errno| match (errno.code, process::leader_of(pid)) {
        (_, Some(leader)) if leader != pid => {
            Error::new(format!("{pid} is a thread of the process {leader}")).hint(format!("use -p {leader}"))
        }
        (libc::ESRCH | libc::EINVAL, _) => Error::new(format!("there is no process {pid}")),
        _ => Error::new(format!("cannot watch the process {pid}: {errno}")),
    })
}
