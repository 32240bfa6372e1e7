//! Evaluates a typed program directly: what each statement does to variables and maps, as the
//! documentation of [`lang::hir`] says it, and nothing of how eBPF would do it.
//!
//! Comes in: a typed program of `BEGIN` probes. Goes out: what its maps hold in the end. It knows
//! what the generator makes; of anything else it says so.

mod datum;
mod maps;

use datum::Datum;
use lang::hir::{self, BinaryOp, CompareOp, Expr, ExprKind, LocalId, MapOp, Stmt, StmtKind, UnaryOp};
use lang::ty::{IntTy, Ty};
use maps::Maps;
use runtime::maps::Entry;

/// More than any generated program needs; one that the shrinker has cut may run for ever.
const MOST_STEPS: usize = 2_000_000;

/// Runs all probes in order and gives the entries of each map, by the program's order of maps.
pub fn evaluate(program: &hir::Program) -> Result<Vec<Vec<Entry>>, String> {
    let mut maps = Maps::new(&program.maps);
    for probe in &program.probes {
        let locals = probe.locals.iter().map(|it| Datum::zero(&it.ty)).collect();
        let mut run = Run { probe, locals, maps: &mut maps, steps: 0 };
        match run.statements(&probe.body) {
            Ok(()) | Err(Stop::Return) => {}
            Err(Stop::Break | Stop::Continue) => return Err("a jump outside loops".to_owned()),
            Err(Stop::Fault(reason)) => return Err(reason),
        }
    }
    Ok(maps.entries())
}

/// Why evaluation does not go on with what comes next.
enum Stop {
    Break,
    Continue,
    Return,
    /// The program has no meaning here.
    Fault(String),
}

type Evaluated<T> = Result<T, Stop>;

struct Run<'a, 'm> {
    probe: &'a hir::Probe,
    locals: Vec<Datum>,
    maps: &'a mut Maps<'m>,
    steps: usize,
}

impl Run<'_, '_> {
    fn spend(&mut self) -> Evaluated<()> {
        self.steps += 1;
        if self.steps > MOST_STEPS { Err(Stop::Fault("runs for ever".to_owned())) } else { Ok(()) }
    }

    fn statements(&mut self, body: &[Stmt]) -> Evaluated<()> {
        body.iter().try_for_each(|it| self.statement(it))
    }

    fn statement(&mut self, stmt: &Stmt) -> Evaluated<()> {
        self.spend()?;
        match &stmt.kind {
            StmtKind::Expr(expr) => {
                self.expr(expr)?;
            }
            StmtKind::SetLocal(local, value) => self.set_local(*local, value)?,
            StmtKind::SetMap { map, key, value } => {
                let value = self.expr(value)?;
                let key = self.key(key.as_ref())?;
                self.maps.set(*map, key, value);
            }
            StmtKind::AddMap { map, key, value } => {
                let by = self.number(value)?;
                let key = self.key(key.as_ref())?;
                self.maps.add(*map, key, by);
            }
            StmtKind::Aggregate { map, key, value } => {
                let number = value.as_ref().map_or(Ok(1), |it| self.number(it))?;
                let key = self.key(key.as_ref())?;
                self.maps.aggregate(*map, key, number);
            }
            StmtKind::If { condition, then, otherwise } => {
                let body = if self.truth(condition)? { then } else { otherwise };
                self.statements(body)?;
            }
            StmtKind::While { condition, body } => {
                while self.truth(condition)? {
                    self.spend()?;
                    if !self.round(body)? {
                        break;
                    }
                }
            }
            StmtKind::ForRange { var, start, end, body } => {
                let (start, end) = (self.number(start)?, self.number(end)?);
                for round in start..end {
                    self.spend()?;
                    self.locals[var.0 as usize] = Datum::Number(round);
                    if !self.round(body)? {
                        break;
                    }
                }
            }
            StmtKind::Unroll { count, body } => {
                for _ in 0..*count {
                    if !self.round(body)? {
                        break;
                    }
                }
            }
            StmtKind::Break => return Err(Stop::Break),
            StmtKind::Continue => return Err(Stop::Continue),
            StmtKind::Return => return Err(Stop::Return),
            other => return Err(Stop::Fault(format!("not evaluated: {other:?}"))),
        }
        Ok(())
    }

    /// One round of a loop; whether there may be another.
    fn round(&mut self, body: &[Stmt]) -> Evaluated<bool> {
        match self.statements(body) {
            Ok(()) | Err(Stop::Continue) => Ok(true),
            Err(Stop::Break) => Ok(false),
            Err(stop) => Err(stop),
        }
    }

    fn set_local(&mut self, local: LocalId, value: &Expr) -> Evaluated<()> {
        let ty = &self.probe.locals[local.0 as usize].ty;
        // A bare `let` assigns zero whatever the type.
        let value = match &value.kind {
            ExprKind::Const(0) => Datum::zero(ty),
            _ => self.expr(value)?,
        };
        self.locals[local.0 as usize] = value;
        Ok(())
    }

    fn key(&mut self, key: Option<&Expr>) -> Evaluated<Option<Datum>> {
        key.map(|it| self.expr(it)).transpose()
    }

    fn number(&mut self, expr: &Expr) -> Evaluated<i64> {
        Ok(self.expr(expr)?.number())
    }

    fn truth(&mut self, expr: &Expr) -> Evaluated<bool> {
        Ok(self.number(expr)? != 0)
    }

    fn expr(&mut self, expr: &Expr) -> Evaluated<Datum> {
        self.spend()?;
        let number = match &expr.kind {
            ExprKind::Str(text) => return Ok(Datum::Text(text.clone()).cast(&expr.ty)),
            ExprKind::Local(local) => return Ok(self.locals[local.0 as usize].clone()),
            ExprKind::Bytes(bytes) if bytes.iter().all(|it| *it == 0) => return Ok(Datum::zero(&expr.ty)),
            ExprKind::Map { map, key } => {
                let key = self.key(key.as_deref())?;
                return Ok(self.maps.get(*map, &key));
            }
            ExprKind::Cond(condition, yes, no) => {
                let arm = if self.truth(condition)? { yes } else { no };
                return self.expr(arm);
            }
            ExprKind::Block(body, value) => {
                self.statements(body)?;
                return self.expr(value);
            }
            ExprKind::Cast(from) => return Ok(self.expr(from)?.cast(&expr.ty)),
            ExprKind::Tuple(members) => {
                return members.iter().map(|it| self.expr(it)).collect::<Evaluated<_>>().map(Datum::Tuple);
            }
            ExprKind::TupleField(base, idx) => match self.expr(base)? {
                Datum::Tuple(members) => return Ok(members[*idx as usize].clone()),
                other => return Err(Stop::Fault(format!("{other:?} is no tuple"))),
            },
            ExprKind::Const(number) => *number,
            ExprKind::AggValue { map, key } => {
                let key = self.key(key.as_deref())?;
                self.maps.aggregated(*map, &key)
            }
            ExprKind::MapOp { op, map, key } => {
                let key = self.key(key.as_deref())?;
                match op {
                    MapOp::HasKey => self.maps.has(*map, &key).into(),
                    MapOp::Delete => self.maps.delete(*map, &key).into(),
                    MapOp::Len => self.maps.len(*map),
                }
            }
            ExprKind::Unary(op, operand) => {
                let operand = self.number(operand)?;
                match op {
                    UnaryOp::Neg => operand.wrapping_neg(),
                    UnaryOp::BitNot => !operand,
                    UnaryOp::Not => (operand == 0).into(),
                }
            }
            ExprKind::Binary(op, left, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                arithmetic(*op, left, right, expr.ty == Ty::I64)
            }
            ExprKind::Compare(op, left, right) => {
                let unsigned = !matches!(left.ty, Ty::Int(IntTy { signed: true, .. }));
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                compare(*op, left, right, unsigned).into()
            }
            ExprKind::And(left, right) => (self.truth(left)? && self.truth(right)?).into(),
            ExprKind::Or(left, right) => (self.truth(left)? || self.truth(right)?).into(),
            ExprKind::Element(base, idx) => {
                let base = self.expr(base)?;
                let idx = self.number(idx)?;
                let Datum::Text(text) = base else { return Err(Stop::Fault(format!("{base:?} is no text"))) };
                let byte = usize::try_from(idx).ok().and_then(|it| text.get(it)).copied();
                i64::from(byte.unwrap_or(0) as i8)
            }
            ExprKind::StepLocal { local, by, prefix } => self.step_local(*local, *by, *prefix),
            ExprKind::StepMap { map, key, by, prefix } => {
                let key = self.key(key.as_deref())?;
                let (old, new) = self.maps.add(*map, key, *by);
                if *prefix { new } else { old }
            }
            other => return Err(Stop::Fault(format!("not evaluated: {other:?}"))),
        };
        Ok(Datum::Number(number))
    }

    fn step_local(&mut self, local: LocalId, by: i64, prefix: bool) -> i64 {
        let old = self.locals[local.0 as usize].number();
        let new = Datum::Number(old.wrapping_add(by)).cast(&self.probe.locals[local.0 as usize].ty);
        let result = if prefix { new.number() } else { old };
        self.locals[local.0 as usize] = new;
        result
    }
}

/// Arithmetic in 64 bits.
fn arithmetic(op: BinaryOp, left: i64, right: i64, signed: bool) -> i64 {
    match op {
        BinaryOp::Add => left.wrapping_add(right),
        BinaryOp::Sub => left.wrapping_sub(right),
        BinaryOp::Mul => left.wrapping_mul(right),
        BinaryOp::Div | BinaryOp::Mod if right == 0 => 1,
        BinaryOp::Div if signed => left.wrapping_div(right),
        BinaryOp::Div => (left as u64 / right as u64) as i64,
        BinaryOp::Mod if signed => left.wrapping_rem(right),
        BinaryOp::Mod => (left as u64 % right as u64) as i64,
        BinaryOp::Shl => left.wrapping_shl(right as u32),
        BinaryOp::Shr if signed => left.wrapping_shr(right as u32),
        BinaryOp::Shr => (left as u64).wrapping_shr(right as u32) as i64,
        BinaryOp::And => left & right,
        BinaryOp::Or => left | right,
        BinaryOp::Xor => left ^ right,
    }
}

fn compare(op: CompareOp, left: Datum, right: Datum, unsigned: bool) -> bool {
    let ordering = match (&left, &right) {
        (Datum::Number(left), Datum::Number(right)) if unsigned => (*left as u64).cmp(&(*right as u64)),
        _ => left.cmp(&right),
    };
    op.holds(ordering)
}
