//! DWARF line tables, so that `llvm-objdump -S` and other tools that do not read BTF show the
//! script beside the code. The script's text is inside (an extension that LLVM reads), for
//! there may be no file to find it in.
//!
//! The format is DWARF 5 (<https://dwarfstd.org/dwarf5std.html>), sections 6.2 and 7.5.

use super::code::SLOT;
use super::layout::{Layout, Placed};
use super::lines::{Lines, Place};
use crate::ir::Func;

/// The sections.
pub struct Dwarf {
    /// `.debug_abbrev`
    pub abbrev: Vec<u8>,
    /// `.debug_info`
    pub info: Vec<u8>,
    /// `.debug_line`
    pub line: Vec<u8>,
    /// The functions' addresses by their byte offset in `.debug_line`.
    pub addresses: Vec<(u32, Func)>,
}

const VERSION: u16 = 5;
const ADDRESS_SIZE: u8 = 8;

const FORM_ADDR: u8 = 0x01;
const FORM_DATA4: u8 = 0x06;
const FORM_STRING: u8 = 0x08;
const FORM_SEC_OFFSET: u8 = 0x17;

/// Encodes the line table of all functions.
pub fn encode(layout: &Layout, lines: &Lines) -> Dwarf {
    let size = layout.texts.iter().map(|it| it.size()).max().unwrap_or(0);
    let mut program = Program { bytes: Vec::new(), addresses: Vec::new() };
    for placed in layout.functions() {
        program.function(placed, lines);
    }
    let (mut line, program_offset) = line_header(lines, program.bytes.len());
    line.extend(program.bytes);
    let addresses = program.addresses.into_iter().map(|(at, func)| (at + program_offset, func));
    Dwarf { abbrev: abbreviations(), info: compile_unit(size), line, addresses: addresses.collect() }
}

/// One kind of entry: a compile unit with its address range and its line table.
fn abbreviations() -> Vec<u8> {
    const COMPILE_UNIT: u8 = 0x11;
    const STMT_LIST: u8 = 0x10;
    const LOW_PC: u8 = 0x11;
    const HIGH_PC: u8 = 0x12;
    let attributes = [(STMT_LIST, FORM_SEC_OFFSET), (LOW_PC, FORM_ADDR), (HIGH_PC, FORM_DATA4), (0, 0)];
    let mut bytes = vec![1, COMPILE_UNIT, 0];
    bytes.extend(attributes.into_iter().flat_map(|(name, form)| [name, form]));
    bytes.push(0);
    bytes
}

/// The compile unit. All sections begin at address 0, so its range is that of the largest.
fn compile_unit(size: u32) -> Vec<u8> {
    const UNIT_COMPILE: u8 = 0x01;
    let mut unit = Vec::new();
    unit.extend(VERSION.to_le_bytes());
    unit.extend([UNIT_COMPILE, ADDRESS_SIZE]);
    unit.extend(0u32.to_le_bytes()); // offset in .debug_abbrev
    unit.push(1); // its only abbreviation
    unit.extend(0u32.to_le_bytes()); // offset in .debug_line
    unit.extend(0u64.to_le_bytes()); // lowest address
    unit.extend(size.to_le_bytes()); // bytes from there
    [&(unit.len() as u32).to_le_bytes()[..], &unit].concat()
}

/// The header of `.debug_line`, and its length, where a program of so many bytes begins.
fn line_header(lines: &Lines, program_size: usize) -> (Vec<u8>, u32) {
    const PATH: u8 = 0x01;
    /// `DW_LNCT_LLVM_source`, 0x2001 in LEB128.
    const SOURCE: [u8; 2] = [0x81, 0x40];
    const DIRECTORY_INDEX: u8 = 0x02;
    const FORM_UDATA: u8 = 0x0f;
    /// Operands of the standard opcodes 1 to 9.
    const OPERANDS: [u8; 9] = [0, 1, 1, 1, 1, 0, 0, 0, 1];

    let mut tail = vec![SLOT as u8, 1, 1, 0, 1, OPERANDS.len() as u8 + 1];
    tail.extend(OPERANDS);
    tail.extend([1, PATH, FORM_STRING, 1]);
    tail.extend(b".\0");
    tail.extend([3, PATH, FORM_STRING, DIRECTORY_INDEX, FORM_UDATA, SOURCE[0], SOURCE[1], FORM_STRING]);
    unsigned(lines.files().count() as u64, &mut tail);
    for file in lines.files() {
        tail.extend(lines.file_name(file).as_bytes());
        tail.extend([0, 0]);
        // A NUL would end the string; a script has none but in its errors.
        tail.extend(lines.file_text(file).bytes().map(|it| if it == 0 { b' ' } else { it }));
        tail.push(0);
    }

    let mut head = Vec::new();
    head.extend(VERSION.to_le_bytes());
    head.extend([ADDRESS_SIZE, 0]);
    head.extend((tail.len() as u32).to_le_bytes());
    head.extend(tail);
    let unit_size = (head.len() + program_size) as u32;
    let bytes = [&unit_size.to_le_bytes()[..], &head].concat();
    let size = bytes.len() as u32;
    (bytes, size)
}

/// The line table's program: instructions that make its rows.
struct Program {
    bytes: Vec<u8>,
    addresses: Vec<(u32, Func)>,
}

impl Program {
    const COPY: u8 = 1;
    const ADVANCE_PC: u8 = 2;
    const ADVANCE_LINE: u8 = 3;
    const SET_FILE: u8 = 4;
    const SET_COLUMN: u8 = 5;
    const END_SEQUENCE: u8 = 1;
    const SET_ADDRESS: u8 = 2;

    /// One sequence of rows; it begins anew at line 1.
    fn function(&mut self, placed: &Placed, lines: &Lines) {
        self.bytes.extend([0, 1 + ADDRESS_SIZE, Self::SET_ADDRESS]);
        self.addresses.push((self.bytes.len() as u32, placed.function));
        self.bytes.extend(0u64.to_le_bytes());
        let (mut at, mut line) = (0, 1i64);
        for &(slot, span) in &placed.code.lines {
            self.row(slot - at, i64::from(lines.place(span).line) - line, lines.place(span));
            (at, line) = (slot, lines.place(span).line.into());
        }
        let end = placed.code.bytes.len() as u32 / SLOT;
        self.operation(Self::ADVANCE_PC, (end - at).into());
        self.bytes.extend([0, 1, Self::END_SEQUENCE]);
    }

    fn row(&mut self, slots: u32, lines: i64, place: Place) {
        self.operation(Self::ADVANCE_PC, slots.into());
        self.bytes.push(Self::ADVANCE_LINE);
        signed(lines, &mut self.bytes);
        self.operation(Self::SET_FILE, place.file.0.into());
        self.operation(Self::SET_COLUMN, place.column.into());
        self.bytes.push(Self::COPY);
    }

    fn operation(&mut self, opcode: u8, operand: u64) {
        self.bytes.push(opcode);
        unsigned(operand, &mut self.bytes);
    }
}

/// Appends a number in unsigned LEB128.
fn unsigned(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Appends a number in signed LEB128.
fn signed(mut number: i64, bytes: &mut Vec<u8>) {
    while !(-0x40..0x40).contains(&number) {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8 & 0x7f);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leb128() {
        let cases: [(i64, &[u8]); 6] =
            [(0, &[0]), (63, &[63]), (64, &[0xc0, 0]), (-1, &[0x7f]), (-64, &[0x40]), (-65, &[0xbf, 0x7f])];
        for (number, expected) in cases {
            let mut bytes = Vec::new();
            signed(number, &mut bytes);
            assert_eq!(bytes, expected, "{number}");
        }
        let mut bytes = Vec::new();
        unsigned(300, &mut bytes);
        assert_eq!(bytes, [0xac, 2]);
    }
}
