//! The verifier's log: where it stopped and why.
//!
//! Comes in: the log of a refused program. Goes out: an error that names the script's line. Pure
//! text work; nothing here talks to the kernel.

use crate::backend::{Error, Refusal};
use codegen::Manifest;

/// The call that an instruction becomes whose field this kernel's types do not have.
const POISONED_CALL: &str = "195896080";

/// The error for program `program`, refused with this log.
pub fn refused(manifest: &Manifest, program: usize, log: String) -> Error {
    let summary = summarize(&log);
    let entry = &manifest.programs[program];
    let lines = entry.lines.iter().take_while(|(idx, _)| summary.insn.is_some_and(|insn| *idx <= insn));
    let span = lines.last().map_or(entry.span, |(_, span)| *span);
    let name = entry.points.first().map_or_else(|| entry.symbol.clone(), |it| it.name());
    let message = if log.contains(POISONED_CALL) {
        format!("`{name}` reads a field that this kernel's types do not have")
    } else {
        let reason = summary.reasons.first().copied().unwrap_or("it gives no reason");
        format!("the kernel's verifier refuses `{name}`: {reason}")
    };
    let insn = summary.insn;
    Error { refusal: Some(Refusal { program, insn, span, log }), ..Error::new(message) }
}

impl Refusal {
    /// The part of the log to show: the last source line, the last instruction, the reasons.
    pub fn excerpt(&self) -> Vec<&str> {
        let Summary { source, instruction, reasons, .. } = summarize(&self.log);
        source.into_iter().chain(instruction).chain(reasons).collect()
    }
}

/// What a log says about its end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary<'a> {
    source: Option<&'a str>,
    instruction: Option<&'a str>,
    insn: Option<u32>,
    reasons: Vec<&'a str>,
}

fn summarize(log: &str) -> Summary<'_> {
    let mut summary = Summary::default();
    for line in log.lines().map(str::trim_end) {
        if line.starts_with("; ") {
            summary.source = Some(line);
        } else if let Some(insn) = instruction(line) {
            summary.insn = Some(insn);
            summary.instruction = Some(line);
            summary.reasons.clear();
        } else if is_reason(line) {
            summary.reasons.push(line);
        }
    }
    summary
}

/// The index in a line such as `2: (79) r0 = *(u64 *)(r1 +16)`.
fn instruction(line: &str) -> Option<u32> {
    let (idx, rest) = line.split_once(": (")?;
    let opcode = rest.split_once(')')?.0;
    let is_opcode = opcode.len() == 2 && opcode.bytes().all(|it| it.is_ascii_hexdigit());
    idx.parse().ok().filter(|_| is_opcode)
}

/// Whether a line says why, and is not a register state, a branch note or a statistic.
fn is_reason(line: &str) -> bool {
    const NOTES: [&str; 12] = [
        "from ",
        "processed ",
        "verification time",
        "stack depth",
        "mark_precise",
        "last_idx",
        "parent ",
        "regs=",
        "propagating",
        "func#",
        "Live regs",
        "=====",
    ];
    let is_state = line.split(' ').any(|word| {
        let register = word.split_once('=').map(|(name, _)| name.split('_').next().unwrap_or(name));
        register.is_some_and(|it| it.strip_prefix('R').is_some_and(|n| n.parse::<u8>().is_ok()))
    });
    let is_bare_index = line.trim_end_matches(':').parse::<u32>().is_ok();
    !line.is_empty() && !is_state && !is_bare_index && !NOTES.iter().any(|note| line.starts_with(note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_what_matters() {
        let log = "func#0 @0\n0: R1=ctx() R10=fp0\n; $x = @hits[9]; @ trace.bt:2\n\
                   0: (b7) r2 = 0                       ; R2_w=0\n\
                   2: (79) r0 = *(u64 *)(r1 +16)\n\
                   invalid access to map value, value_size=16 off=16 size=8\n\
                   R1 min value is outside of the allowed memory range\n\
                   processed 3 insns (limit 1000000) max_states_per_insn 0\n\n";
        let summary = summarize(log);
        assert_eq!(summary.source, Some("; $x = @hits[9]; @ trace.bt:2"));
        assert_eq!(summary.insn, Some(2));
        assert_eq!(
            summary.reasons,
            [
                "invalid access to map value, value_size=16 off=16 size=8",
                "R1 min value is outside of the allowed memory range"
            ]
        );
    }

    #[test]
    fn lines_of_a_log() {
        let cases = [
            ("from 5 to 7: R0=map_value(off=0,ks=4,vs=8) R10=fp0", false),
            ("3: R0_w=scalar() R10=fp0", false),
            ("R0_w=scalar() R10=fp0 fp-8=mmmmmmmm", false),
            ("R0 invalid mem access 'map_value_or_null'", true),
            ("back-edge from insn 9 to 4", true),
            ("unreachable insn 4", true),
            ("verification time 24 usec", false),
            ("12:", false),
        ];
        for (line, expected) in cases {
            assert_eq!(is_reason(line), expected, "{line}");
        }
        assert_eq!(instruction("14: (85) call bpf_map_lookup_elem#1"), Some(14));
        assert_eq!(instruction("14: (oops) x"), None);
    }
}
