//! `typeinfo(…)`: a type as a record of its names.
//!
//! The names are bpftrace's, so that scripts which compare them decide alike.

use super::super::literals;
use crate::hir::{self, ExprKind};
use crate::source::Span;
use crate::ty::{Agg, StackMode, Ty, TypeTable};

/// `(btf_id=…, base_type=…, full_type=…)`
pub(super) fn describe(ty: &Ty, types: &TypeTable, span: Span) -> hir::Expr {
    let values = vec![
        literals::int64(0, span),
        literals::str(base_name(ty).as_bytes(), span),
        literals::str(full_name(ty, types).as_bytes(), span),
    ];
    let names = ["btf_id", "base_type", "full_type"].map(str::to_owned);
    let ty = Ty::Record(names.into_iter().zip(values.iter().map(|it| it.ty.clone())).collect());
    hir::Expr { kind: ExprKind::Tuple(values), ty, span }
}

/// What kind of type it is.
fn base_name(ty: &Ty) -> &'static str {
    match ty {
        Ty::Error | Ty::Void => "none",
        Ty::Bool => "bool",
        Ty::Int(_) | Ty::Enum(_) => "int",
        Ty::Str(_) => "string",
        Ty::Buf(_) => "buffer",
        Ty::Ptr(..) => "pointer",
        Ty::Array(..) => "array",
        Ty::Struct(_) => "c_type",
        Ty::Tuple(_) => "tuple",
        Ty::Record(_) => "record",
        Ty::Stack(stack) => {
            if stack.user {
                "ustack"
            } else {
                "kstack"
            }
        }
        Ty::Ksym => "ksym_t",
        Ty::Usym => "usym_t",
        Ty::Ipv4 | Ty::Ipv6 | Ty::Inet => "inet",
        Ty::Mac => "mac_address",
        Ty::Network => "network",
        Ty::Timestamp(_) => "timestamp",
        Ty::Agg(agg) => aggregation(agg),
    }
}

fn full_name(ty: &Ty, types: &TypeTable) -> String {
    match ty {
        Ty::Tuple(items) => {
            let items: Vec<_> = items.iter().map(|it| full_name(it, types)).collect();
            format!("({})", items.join(","))
        }
        Ty::Record(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, ty)| format!(".{name} = {}", full_name(ty, types))).collect();
            format!("record {{ {} }}", fields.join(", "))
        }
        Ty::Ptr(to, _) => format!("{} *", full_name(to, types)),
        Ty::Stack(stack) => {
            let mode = match stack.mode {
                StackMode::Bpftrace => "bpftrace",
                StackMode::Perf => "perf",
                StackMode::Raw => "raw",
                StackMode::BuildId => "build_id",
            };
            format!("{}_{mode}_{}", base_name(ty), stack.limit)
        }
        Ty::Ksym | Ty::Usym | Ty::Mac | Ty::Timestamp(_) | Ty::Agg(_) => base_name(ty).to_owned(),
        ty => hir::text::type_name(ty, types),
    }
}

fn aggregation(agg: &Agg) -> &'static str {
    match agg {
        Agg::Count => "count_t",
        Agg::Sum { signed: true } => "sum_t",
        Agg::Sum { signed: false } => "usum_t",
        Agg::Min { signed: true } => "min_t",
        Agg::Min { signed: false } => "umin_t",
        Agg::Max { signed: true } => "max_t",
        Agg::Max { signed: false } => "umax_t",
        Agg::Avg { signed: true } => "avg_t",
        Agg::Avg { signed: false } => "uavg_t",
        Agg::Stats { signed: true } => "stats_t",
        Agg::Stats { signed: false } => "ustats_t",
        Agg::Hist { .. } => "hist_t",
        Agg::Lhist { .. } => "lhist_t",
    }
}
