//! Builtins that the program itself carries out: mostly one helper call each.

use super::Body;
use super::memory::Memory;
use super::place::Place;
use crate::helpers::Helper;
use crate::ir::{BinOp, Block, Cond, CoreKind, Op, Type, Value};
use crate::target::KernelVersion;
use crate::visit;
use lang::Span;
use lang::attach;
use lang::builtins::Builtin;
use lang::hir::{Clock, Expr, ExprKind, Stmt};
use lang::probes::{Context, ProbeKind};
use lang::ty::{IntTy, Space, StackTy, Ty};

/// `BPF_F_USER_STACK`
const USER_STACK: i64 = 0x100;
/// `AF_INET`, `AF_INET6`
const AF_INET: i64 = 2;
const AF_INET6: i64 = 10;
/// Most strings that `join` sends.
const JOIN_LIMIT: i64 = 16;
/// From here on the kernel writes all bytes of a task's name when it changes.
const NAME_IS_PADDED: KernelVersion = KernelVersion(5, 17);
/// From here on `bpf_get_current_comm` writes the whole buffer; older kernels leave what stood
/// behind the name, and equal names would be different keys.
const COMM_IS_PADDED: KernelVersion = KernelVersion(6, 3);

/// From here on `bpf_get_func_ip` answers in user probes.
const UPROBES_KNOW_FUNCTIONS: KernelVersion = KernelVersion(6, 6);

impl Body<'_, '_> {
    /// The value of a builtin that is a scalar.
    pub fn builtin(&mut self, builtin: Builtin, args: &[Expr], expr: &Expr) -> Value {
        let span = expr.span;
        match builtin {
            Builtin::Pid if !args.is_empty() => self.initial_process_id(),
            Builtin::Tid if !args.is_empty() => self.initial_thread_id(),
            Builtin::Pid => self.process_id(),
            Builtin::Tid => self.thread_id(),
            Builtin::Uid | Builtin::Username => {
                let ids = self.b.call(Helper::GetCurrentUidGid, &[]);
                self.b.op(Op::Zext(32, ids))
            }
            Builtin::Gid => {
                let ids = self.b.call(Helper::GetCurrentUidGid, &[]);
                self.b.binary_const(BinOp::LShr, ids, 32)
            }
            Builtin::Nsecs => self.nsecs(args, span),
            Builtin::Elapsed => {
                let now = self.b.call(Helper::KtimeGetBootNs, &[]);
                let start = self.constant_data(self.cx.plan.start);
                self.b.binary(BinOp::Sub, now, start)
            }
            Builtin::Cpid => self.constant_data(self.cx.plan.cpid),
            Builtin::Ncpus => self.constant_data(self.cx.plan.ncpus),
            Builtin::Numaid => self.b.call(Helper::GetNumaNodeId, &[]),
            Builtin::Jiffies => self.call_new(Helper::Jiffies64, &[], "jiffies", span),
            Builtin::Usermode => self.user_mode(),
            Builtin::Reg => match args {
                [Expr { kind: ExprKind::Str(name), .. }] => self.register_by_name(name, span),
                _ => self.not_here(builtin, span),
            },
            Builtin::Signal
            | Builtin::SignalThread
            | Builtin::Override
            | Builtin::WriteUser
            | Builtin::Debugf => self.act_here(builtin, args, span),
            Builtin::Cpu => self.b.call(Helper::GetSmpProcessorId, &[]),
            Builtin::Curtask => self.b.call(Helper::GetCurrentTask, &[]),
            Builtin::Rand => {
                let number = self.b.call(Helper::GetPrandomU32, &[]);
                self.b.op(Op::Zext(32, number))
            }
            Builtin::Cgroup => self.b.call(Helper::GetCurrentCgroupId, &[]),
            Builtin::Func => self.function_address(),
            Builtin::SocketCookie => match args {
                [sock] => {
                    let sock = self.trusted(sock);
                    self.call_new(Helper::GetSocketCookie, &[sock], "socket_cookie", span)
                }
                _ => self.not_here(builtin, span),
            },
            Builtin::Len => self.frames(args),
            Builtin::Ctx => self.ctx,
            Builtin::Strlen
            | Builtin::Strncmp
            | Builtin::Strstr
            | Builtin::Strcontains
            | Builtin::StartsWith
            | Builtin::EndsWith
            | Builtin::Strmatch
            | Builtin::Memcmp => self.text_builtin(builtin, args, span),
            Builtin::Bswap => match args {
                [n] => {
                    let (value, size) = (self.number(n), self.int_ty(&n.ty).size);
                    if size == 1 {
                        self.extend(value, IntTy::new(1, false))
                    } else {
                        self.b.op(Op::Bswap(8 * size, value))
                    }
                }
                _ => self.not_here(builtin, span),
            },
            Builtin::CgroupPath | Builtin::Ksym | Builtin::Strftime | Builtin::Kptr | Builtin::Uptr => {
                match args.last() {
                    Some(arg) => self.scalar(arg),
                    None => self.b.constant(0),
                }
            }
            _ => self.not_here(builtin, span),
        }
    }

    /// The value of any builtin, in memory.
    pub fn builtin_into(&mut self, builtin: Builtin, args: &[Expr], expr: &Expr, to: Memory) {
        match (builtin, &expr.ty) {
            (Builtin::Comm, ty) => self.task_name_into(self.cx.size_of(ty), to),
            (Builtin::Str, Ty::Str(capacity)) => self.str_into(args, *capacity, to),
            (Builtin::Path, Ty::Str(capacity)) => self.path_into(args, *capacity, expr.span, to),
            (Builtin::Kstack | Builtin::Ustack, Ty::Stack(stack)) => self.stack_into(*stack, to),
            (Builtin::Func, _) => {
                let address = self.function_address();
                self.user_symbol_into(address, to);
            }
            (Builtin::Usym, _) => {
                let address = args.last().map(|it| self.number(it));
                let address = address.unwrap_or_else(|| self.b.constant(0));
                self.user_symbol_into(address, to);
            }
            (Builtin::Ntop, _) => self.address_into(args, to),
            (Builtin::StrConcat, Ty::Str(capacity)) => self.concat_into(args, *capacity, to),
            (Builtin::Buf, Ty::Buf(capacity)) => self.bytes_into(args, *capacity, to),
            (Builtin::Macaddr, _) => {
                if let [from] = args {
                    let place = self.place(from);
                    self.copy_bytes(to, place, 6);
                }
            }
            (Builtin::Strerror | Builtin::SignalName | Builtin::SyscallName, _) => {
                self.name_into(builtin, args, to);
            }
            (Builtin::Join, Ty::Buf(capacity)) => self.strings_into(args, *capacity, to),
            _ => {
                self.not_here(builtin, expr.span);
            }
        }
    }

    fn not_here(&mut self, builtin: Builtin, span: Span) -> Value {
        self.cx.error(span, format!("`{}` is not supported yet", builtin.name()));
        self.b.constant(0)
    }

    /// The task's name, read where the kernel's types say that it is: the helper that copies it
    /// takes three times as long as the one that gives the task.
    fn task_name_into(&mut self, size: u32, to: Memory) {
        if self.cx.target.kernel >= NAME_IS_PADDED
            && let Some(ptr) = self.task_member("comm", size)
        {
            return self.copy(to, Memory { ptr, offset: 0, align: 8 }, size);
        }
        if self.cx.target.kernel < COMM_IS_PADDED {
            self.zero(to, size);
        }
        let buffer = self.address(to);
        let size = self.b.constant(size.into());
        self.b.call_for_effect(Helper::GetCurrentComm, &[buffer, size]);
    }

    /// The address of a member of the current task, where the kernel's types are known.
    fn task_member(&mut self, name: &str, size: u32) -> Option<Value> {
        let (path, offset) = self.cx.task_member(name, size)?;
        let task = self.b.call(Helper::GetCurrentTaskBtf, &[]);
        let offset = self.core(&[path], CoreKind::FieldByteOffset, offset);
        Some(self.b.op(Op::PtrAdd(task, offset)))
    }

    /// An identifier of the current task by its member, where the probe asks for the task anyway:
    /// one call less.
    fn task_id(&mut self, member: &str) -> Option<Value> {
        if self.cx.target.kernel < NAME_IS_PADDED || !self.reads_name {
            return None;
        }
        let ptr = self.task_member(member, 4)?;
        Some(self.b.load(4, false, ptr, 0))
    }

    fn process_id(&mut self) -> Value {
        if self.cx.target.pid_namespace.is_some() {
            return self.namespaced_id(4);
        }
        if let Some(id) = self.task_id("tgid") {
            return id;
        }
        self.initial_process_id()
    }

    /// In the initial namespace, whichever kscope runs in.
    fn initial_process_id(&mut self) -> Value {
        let ids = self.b.call(Helper::GetCurrentPidTgid, &[]);
        self.b.binary_const(BinOp::LShr, ids, 32)
    }

    fn thread_id(&mut self) -> Value {
        if self.cx.target.pid_namespace.is_some() {
            return self.namespaced_id(0);
        }
        if let Some(id) = self.task_id("pid") {
            return id;
        }
        self.initial_thread_id()
    }

    fn initial_thread_id(&mut self) -> Value {
        let ids = self.b.call(Helper::GetCurrentPidTgid, &[]);
        self.b.op(Op::Zext(32, ids))
    }

    /// A member of `struct bpf_pidns_info { u32 pid; u32 tgid; }`; 0 for tasks outside.
    fn namespaced_id(&mut self, offset: i32) -> Value {
        let Some(namespace) = self.cx.target.pid_namespace else { return self.b.constant(0) };
        let info = self.b.slot(8, 8);
        let info = self.b.op(Op::SlotAddr(info));
        let (dev, ino) = (self.b.constant(namespace.dev as i64), self.b.constant(namespace.ino as i64));
        let size = self.b.constant(8);
        self.b.call_for_effect(Helper::GetNsCurrentPidTgid, &[dev, ino, info, size]);
        self.b.load(4, false, info, offset)
    }

    fn nsecs(&mut self, args: &[Expr], span: Span) -> Value {
        let clock = match args.first().map(|it| &it.kind) {
            Some(ExprKind::Const(clock)) => *clock,
            _ => Clock::Boot as i64,
        };
        let helper = match clock {
            it if it == Clock::Monotonic as i64 => Helper::KtimeGetNs,
            it if it == Clock::Tai as i64 => Helper::KtimeGetTaiNs,
            _ => Helper::KtimeGetBootNs,
        };
        self.call_new(helper, &[], "nsecs", span)
    }

    /// A u64 that the runtime wrote before loading.
    fn constant_data(&mut self, offset: Option<u32>) -> Value {
        let (Some(map), Some(offset)) = (self.cx.plan.globals.rodata, offset) else {
            return self.b.constant(0);
        };
        let ptr = self.b.op(Op::MapValueAddr(map, offset));
        self.b.load(8, false, ptr, 0)
    }

    /// The probed function. The kernel knows it where a probe stands at a function's entry;
    /// elsewhere it is the probed instruction.
    fn function_address(&mut self) -> Value {
        let kind = self.kind();
        let points = self.probe.map_or(&[][..], |it| &it.points);
        let at_entry = points.iter().all(|point| match &point.target {
            attach::Target::Function { offset, .. } => *offset == 0,
            _ => false,
        });
        let known = self.cx.target.kernel >= KernelVersion(5, 15);
        let traced = kind.context() == Context::BtfArguments;
        let kernel = matches!(kind, ProbeKind::Kprobe | ProbeKind::Kretprobe);
        if traced {
            self.require(Helper::GetFuncIp, "func", self.b.span());
        }
        if traced || (kernel && known && at_entry) {
            return self.b.call(Helper::GetFuncIp, &[self.ctx]);
        }
        if kind == ProbeKind::Uretprobe {
            // The registers have the place that it returned to.
            if self.cx.target.kernel < UPROBES_KNOW_FUNCTIONS {
                let kernel = self.cx.target.kernel;
                let message = format!(
                    "`func` in a `uretprobe` needs Linux {UPROBES_KNOW_FUNCTIONS}, the target is Linux {kernel}"
                );
                self.cx.error(self.b.span(), message);
            }
            return self.b.call(Helper::GetFuncIp, &[self.ctx]);
        }
        if kind.context() == Context::Registers {
            return self.instruction_pointer();
        }
        self.cx.error(self.b.span(), "`func` is not available in this probe");
        self.b.constant(0)
    }

    /// `path(p)`. The kernel builds a path from its end and moves it to the front, so what is behind the
    /// path is left of that: only the string is taken.
    fn path_into(&mut self, args: &[Expr], capacity: u32, span: Span, to: Memory) {
        let [path] = args else { return self.zero(to, capacity) };
        self.require(Helper::DPath, "path", span);
        let path = self.trusted(path);
        let found = self.allocate(capacity);
        self.zero(found, capacity);
        let buffer = self.address(found);
        let size = self.b.constant(capacity.into());
        let status = self.call_reported(Helper::DPath, &[path, buffer, size]);
        let (failed, done) = (self.b.block(), self.b.block());
        let zero = self.b.constant(0);
        self.b.branch(Cond::SLt, status, zero, failed, done);
        // It begins before it knows that there is no room.
        self.b.start(failed);
        let end = self.b.constant(0);
        self.b.store(1, found.ptr, found.offset, end);
        self.b.jump(done, &[]);
        self.b.start(done);
        let buffer = self.address(found);
        self.read_string(to, capacity, buffer, false);
    }

    /// u64 address, u64 pid.
    fn user_symbol_into(&mut self, address: Value, to: Memory) {
        self.b.store(8, to.ptr, to.offset, address);
        let pid = self.process_id();
        self.b.store(8, to.ptr, to.offset + 8, pid);
    }

    /// The frames' addresses; the helper writes zeros behind the last one. A user stack starts
    /// with the process it belongs to.
    fn stack_into(&mut self, stack: StackTy, to: Memory) {
        let mut frames = to;
        if stack.user {
            let pid = self.process_id();
            self.b.store(8, to.ptr, to.offset, pid);
            frames = to.at(8);
        }
        if stack.limit == 0 {
            return;
        }
        let buffer = self.address(frames);
        let size = self.b.constant(8 * i64::from(stack.limit));
        let flags = self.b.constant(if stack.user { USER_STACK } else { 0 });
        self.effect_reported(Helper::GetStack, &[self.ctx, buffer, size, flags]);
    }

    /// `len(stack)`: the frames in front of the first zero.
    fn frames(&mut self, args: &[Expr]) -> Value {
        let Some((arg, Ty::Stack(stack))) = args.first().map(|it| (it, &it.ty)) else {
            return self.b.constant(0);
        };
        let place = self.place(arg);
        let memory = self.materialise(place, &arg.ty);
        let start = self.address(if stack.user { memory.at(8) } else { memory });
        let [head, body, next] = std::array::from_fn(|_| self.b.block());
        let (done, end) = self.b.block_with_number();
        let at = self.b.param(head, Type::I64);
        let zero = self.b.constant(0);
        self.b.jump(head, &[zero]);
        self.b.start_unsealed(head);
        let size = self.b.constant(8 * i64::from(stack.limit));
        self.b.branch_with(Cond::ULt, at, size, (body, &[]), (done, &[at]));
        self.b.start(body);
        let frame = self.b.op(Op::PtrAdd(start, at));
        let frame = self.b.load(8, false, frame, 0);
        let zero = self.b.constant(0);
        self.b.branch_with(Cond::Eq, frame, zero, (done, &[at]), (next, &[]));
        self.b.start(next);
        let following = self.b.binary_const(BinOp::Add, at, 8);
        self.b.jump(head, &[following]);
        self.b.seal(head);
        self.b.start(done);
        self.b.binary_const(BinOp::LShr, end, 3)
    }

    /// `ntop([family,] address)`: u32 family, 16 bytes in network order.
    fn address_into(&mut self, args: &[Expr], to: Memory) {
        let (family, address) = match args {
            [family, address] => (Some(family), address),
            [address] => (None, address),
            _ => return self.zero(to, 20),
        };
        let size = self.cx.size_of(&address.ty).min(16);
        let family = match family {
            Some(family) => self.number(family),
            None => self.b.constant(if size == 16 { AF_INET6 } else { AF_INET }),
        };
        self.b.store(4, to.ptr, to.offset, family);
        self.zero(to.at(4), 16);
        if address.ty.is_scalar() {
            let value = self.number(address);
            // Integers hold an address as it was read; the language's own addresses are numbers.
            let value = if address.ty == Ty::Ipv4 { self.b.op(Op::Bswap(32, value)) } else { value };
            self.b.store(4, to.ptr, to.offset + 4, value);
        } else {
            let place = self.place(address);
            self.copy_bytes(to.at(4), place, size);
        }
    }

    fn copy_bytes(&mut self, to: Memory, from: Place, size: u32) {
        self.copy_place(to, from, &Ty::Array(Box::new(Ty::U8), size));
    }

    /// `join(argv)`: the strings that an array of pointers points to, one behind the other.
    fn strings_into(&mut self, args: &[Expr], capacity: u32, to: Memory) {
        let Some(array) = args.first() else { return self.zero(to, 4 + capacity) };
        let user = matches!(&array.ty, Ty::Ptr(_, Space::User));
        let array = self.number(array);
        let (used, idx) = (self.variable_at(0), self.variable_at(0));
        let [head, read, copy, done] = std::array::from_fn(|_| self.b.block());
        self.b.jump(head, &[]);
        self.b.start_unsealed(head);
        let n = self.b.read(idx);
        let most = self.b.constant(JOIN_LIMIT);
        self.b.branch(Cond::ULt, n, most, read, done);
        self.b.start(read);
        let distance = self.b.binary_const(BinOp::Shl, n, 3);
        let address = self.b.binary(BinOp::Add, array, distance);
        let string = self.load(Place::Foreign { address, user }, &Ty::U64);
        let zero = self.b.constant(0);
        self.b.branch(Cond::Eq, string, zero, done, copy);
        self.b.start(copy);
        let at = self.b.read(used);
        let behind =
            self.append_string(to.at(4), capacity, at, Place::Foreign { address: string, user }, done);
        self.b.write(used, behind);
        let next = self.b.binary_const(BinOp::Add, n, 1);
        self.b.write(idx, next);
        self.b.jump(head, &[]);
        self.b.seal(head);
        self.b.start(done);
        let total = self.b.read(used);
        self.b.store(4, to.ptr, to.offset, total);
    }

    /// Copies a string behind the first `at` bytes and gives the bytes used then. Goes to `full`
    /// when there is no room, or when the string cannot be read.
    pub fn append_string(&mut self, to: Memory, capacity: u32, at: Value, from: Place, full: Block) -> Value {
        // The verifier takes the string's start and its length for independent of one another.
        let longest = self.cx.program.config.max_strlen.min(capacity);
        self.cx.scratch.slack = self.cx.scratch.slack.max(longest);
        let start = self.address(to);
        let (address, user) = self.foreign(from);
        let [fits, whole] = std::array::from_fn(|_| self.b.block());
        let limit = self.b.constant(capacity.into());
        self.b.branch(Cond::ULt, at, limit, fits, full);
        self.b.start(fits);
        let limit = self.b.constant(capacity.into());
        let left = self.b.binary(BinOp::Sub, limit, at);
        let longest = self.b.constant(longest.into());
        let (sized, size) = self.b.block_with_number();
        self.b.branch_with(Cond::UGt, left, longest, (sized, &[longest]), (sized, &[left]));
        self.b.start(sized);
        let target = self.b.op(Op::PtrAdd(start, at));
        let helper = if user { Helper::ProbeReadUserStr } else { Helper::ProbeReadKernelStr };
        let length = self.call_reported(helper, &[target, size, address]);
        let limit = self.b.constant(capacity.into());
        self.b.branch(Cond::ULe, length, limit, whole, full);
        self.b.start(whole);
        self.b.binary(BinOp::Add, at, length)
    }

    fn variable_at(&mut self, start: i64) -> super::Variable {
        let variable = self.b.variable(crate::ir::Type::I64);
        let start = self.b.constant(start);
        self.b.write(variable, start);
        variable
    }
}

/// Whether a probe reads its task's name.
pub fn reads_name(body: &[Stmt]) -> bool {
    let mut found = false;
    visit::each_expr(body, &mut |expr| {
        found |= matches!(expr.kind, ExprKind::Builtin(Builtin::Comm, _));
    });
    found
}
