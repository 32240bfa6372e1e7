//! Reads the printed form of the IR, for tests of passes that say what they mean.
//!
//! Comes in: text as [`super::print`] writes it, `;` starts a comment. Goes out: a module with
//! empty spans, or the line and what is wrong with it. It checks syntax only;
//! [`crate::ir::verify`] checks the rest.

use super::*;
use crate::failure::FailureKind;

/// Reads a module.
pub fn parse(text: &str) -> Result<Module, String> {
    let mut parser = Parser { module: Module::default(), function: None };
    let mut last = 0;
    for (idx, line) in text.lines().enumerate() {
        last = idx + 1;
        let line = line.split(';').next().unwrap_or("").trim();
        if !line.is_empty() {
            parser.line(line).map_err(|error| format!("line {last}: {error}"))?;
        }
    }
    match parser.function {
        Some(_) => Err(format!("line {last}: a function does not end")),
        None => Ok(parser.module),
    }
}

struct Parser {
    module: Module,
    function: Option<Building>,
}

/// A function whose end was not read yet.
struct Building {
    function: Function,
    /// Whether the last block has its terminator.
    terminated: bool,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let mut cursor = Cursor { rest: line };
        match &mut self.function {
            None => self.outer_line(&mut cursor),
            Some(_) if line == "}" => self.end_function(),
            Some(building) => building.line(&self.module, &mut cursor),
        }?;
        match cursor.rest.trim() {
            "" | "}" => Ok(()),
            rest => Err(format!("unexpected `{rest}`")),
        }
    }

    fn outer_line(&mut self, cursor: &mut Cursor<'_>) -> Result<(), String> {
        let line = cursor.rest;
        match cursor.word() {
            "function" => {
                let name = cursor.word().to_owned();
                let probe = if cursor.eat("probe") { Some(cursor.number()?) } else { None };
                let cold = cursor.eat("cold");
                cursor.expect("{")?;
                self.function = Some(Building::new(name, probe, cold));
            }
            "map" => self.module.maps.push(cursor.map()?),
            "access" => self.module.accesses.push(cursor.access()?),
            "failure" => self.module.failures.push(cursor.failure(self.module.failures.len())?),
            "scratch" => self.module.scratch_size = cursor.number()?,
            "rodata" => {
                self.module.globals.rodata = Some(cursor.map_name(&self.module)?);
                cursor.expect(":")?;
                self.module.globals.rodata_init = cursor.bytes()?;
            }
            "bss" => {
                self.module.globals.bss = Some(cursor.map_name(&self.module)?);
                cursor.expect(":")?;
                self.module.globals.bss_size = cursor.number()?;
            }
            _ => return Err(format!("unknown line `{line}`")),
        }
        Ok(())
    }

    fn end_function(&mut self) -> Result<(), String> {
        if let Some(mut building) = self.function.take() {
            building.end_block()?;
            if let Some(entry) = building.function.blocks.first() {
                building.function.params = entry.params.iter().map(|&it| building.function.ty(it)).collect();
            }
            self.module.functions.push(building.function);
        }
        Ok(())
    }
}

impl Building {
    fn new(name: String, probe: Option<usize>, cold: bool) -> Self {
        let function = Function {
            name,
            probe,
            cold,
            params: Vec::new(),
            blocks: Vec::new(),
            insts: Vec::new(),
            values: Vec::new(),
            slots: Vec::new(),
            span: Span::default(),
        };
        Building { function, terminated: true }
    }

    fn end_block(&mut self) -> Result<(), String> {
        match self.terminated {
            true => Ok(()),
            false => {
                Err(format!("b{} does not end in a terminator", self.function.blocks.len().saturating_sub(1)))
            }
        }
    }

    fn line(&mut self, module: &Module, cursor: &mut Cursor<'_>) -> Result<(), String> {
        if cursor.rest.ends_with(':') {
            return self.block(cursor);
        }
        let start = cursor.rest;
        let word = cursor.word();
        if word == "slot" {
            return self.slot(cursor);
        }
        if self.terminated {
            return Err(format!("`{start}` is in no block"));
        }
        if cursor.eat("=") {
            let result = entity(word, "v").map(Value).ok_or_else(|| format!("`{word}` is not a value"))?;
            let op = cursor.word();
            return self.inst(module, op, Some(result), cursor);
        }
        match terminator(word, cursor)? {
            Some(terminator) => {
                self.terminated = true;
                if let Some(block) = self.function.blocks.last_mut() {
                    block.terminator = terminator;
                }
                Ok(())
            }
            None => self.inst(module, word, None, cursor),
        }
    }

    fn block(&mut self, cursor: &mut Cursor<'_>) -> Result<(), String> {
        self.end_block()?;
        let block = cursor.entity("a block", "b")?;
        if block as usize != self.function.blocks.len() {
            return Err(format!("b{} expected, found b{block}", self.function.blocks.len()));
        }
        let mut params = Vec::new();
        if cursor.eat("(") {
            while !cursor.eat(")") {
                let value = cursor.value()?;
                cursor.expect(":")?;
                self.define(value, cursor.name_in("type", TYPES)?);
                params.push(value);
                cursor.eat(",");
            }
        }
        cursor.expect(":")?;
        let terminator = Terminator::Return(Value(0));
        let span = Span::default();
        self.function.blocks.push(BlockData { params, insts: Vec::new(), terminator, span });
        self.terminated = false;
        Ok(())
    }

    fn slot(&mut self, cursor: &mut Cursor<'_>) -> Result<(), String> {
        let slot = cursor.entity("a slot", "s")?;
        if slot as usize != self.function.slots.len() {
            return Err(format!("s{} expected, found s{slot}", self.function.slots.len()));
        }
        let size = cursor.number()?;
        cursor.expect("align")?;
        self.function.slots.push(SlotData { size, align: cursor.number()? });
        Ok(())
    }

    fn inst(
        &mut self,
        module: &Module,
        name: &str,
        result: Option<Value>,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), String> {
        let op = cursor.op(module, name)?;
        if let Some(result) = result {
            let values = &self.function.values;
            let ty = op.result_type(|it| values.get(it.index()).map_or(Type::I64, |it| it.ty));
            self.define(result, ty);
        }
        let id = InstId(self.function.insts.len() as u32);
        self.function.insts.push(InstData { op, result, span: Span::default() });
        if let Some(block) = self.function.blocks.last_mut() {
            block.insts.push(id);
        }
        Ok(())
    }

    fn define(&mut self, value: Value, ty: Type) {
        let values = &mut self.function.values;
        if values.len() <= value.index() {
            values.resize(value.index() + 1, ValueData { ty: Type::I64 });
        }
        values[value.index()].ty = ty;
    }
}

fn terminator(word: &str, cursor: &mut Cursor<'_>) -> Result<Option<Terminator>, String> {
    Ok(Some(match word {
        "jump" => Terminator::Jump(cursor.edge()?),
        "branch" => {
            let cond = cursor.name_in("condition", CONDS)?;
            let (left, right) = cursor.pair()?;
            cursor.expect(",")?;
            let then = cursor.edge()?;
            cursor.expect(",")?;
            Terminator::Branch { cond, left, right, then, otherwise: cursor.edge()? }
        }
        "loop_guard" => {
            let body = cursor.edge()?;
            cursor.expect(",")?;
            Terminator::LoopGuard { body, done: cursor.edge()? }
        }
        "return" => Terminator::Return(cursor.value()?),
        _ => return Ok(None),
    }))
}

/// The number of an id such as `v17`.
fn entity(word: &str, prefix: &str) -> Option<u32> {
    let number = word.strip_prefix(prefix)?.parse().ok()?;
    // Tables grow to the largest id, so a slip of the pen must not ask for gigabytes.
    (number < 1 << 20).then_some(number)
}

/// The rest of a line.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// The next run of name characters; may be empty.
    fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.trim_start().strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        match self.eat(text) {
            true => Ok(()),
            false => Err(format!("`{text}` expected, found `{}`", self.rest.trim_start())),
        }
    }

    fn number<T: TryFrom<i64>>(&mut self) -> Result<T, String> {
        self.rest = self.rest.trim_start();
        let sign = if self.eat("-") { "-" } else { "" };
        self.eat("+");
        let word = self.word();
        let parsed = match word.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => format!("{sign}{word}").parse().ok(),
        };
        parsed.and_then(|it| T::try_from(it).ok()).ok_or_else(|| format!("`{sign}{word}` is not a number"))
    }

    fn name_in<T: Copy>(&mut self, what: &str, table: &[(&str, T)]) -> Result<T, String> {
        let word = self.word();
        let found = table.iter().find(|(name, _)| *name == word);
        found.map(|&(_, it)| it).ok_or_else(|| format!("unknown {what} `{word}`"))
    }

    fn entity(&mut self, what: &str, prefix: &str) -> Result<u32, String> {
        let word = self.word();
        entity(word, prefix).ok_or_else(|| format!("`{what}` expected, found `{word}`"))
    }

    fn value(&mut self) -> Result<Value, String> {
        self.entity("a value", "v").map(Value)
    }

    fn pair(&mut self) -> Result<(Value, Value), String> {
        let left = self.value()?;
        self.expect(",")?;
        Ok((left, self.value()?))
    }

    fn values(&mut self) -> Result<Vec<Value>, String> {
        let mut values = Vec::new();
        while !self.eat(")") {
            values.push(self.value()?);
            self.eat(",");
        }
        Ok(values)
    }

    fn edge(&mut self) -> Result<Edge, String> {
        let block = Block(self.entity("a block", "b")?);
        let args = if self.eat("(") { self.values()? } else { Vec::new() };
        Ok(Edge { block, args })
    }

    fn map_name(&mut self, module: &Module) -> Result<Map, String> {
        let name = self.word();
        let found = module.maps.iter().position(|it| it.name == name);
        found.map(|idx| Map(idx as u32)).ok_or_else(|| format!("unknown map `{name}`"))
    }

    fn bytes(&mut self) -> Result<Vec<u8>, String> {
        let text = std::mem::take(&mut self.rest);
        let byte = |it| u8::from_str_radix(it, 16).map_err(|_| format!("`{it}` is not a byte"));
        text.split_whitespace().map(byte).collect()
    }

    fn labelled(&mut self, label: &str) -> Result<u32, String> {
        self.expect(label)?;
        self.number()
    }

    fn map(&mut self) -> Result<KernelMap, String> {
        let name = self.word().to_owned();
        self.expect(":")?;
        Ok(KernelMap {
            name,
            kind: self.name_in("kind of map", MAP_KINDS)?,
            key_size: self.labelled("key")?,
            value_size: self.labelled("value")?,
            max_entries: self.labelled("entries")?,
            flags: self.labelled("flags")?,
            script: if self.eat("script") { Some(hir::MapId(self.number()?)) } else { None },
        })
    }

    fn access(&mut self) -> Result<CoreAccess, String> {
        self.entity("an access", "core")?;
        self.expect(":")?;
        let kind = self.name_in("kind of access", CORE_KINDS)?;
        let mut path = Vec::new();
        while !self.eat("=") {
            let step = self.word();
            let parsed = step
                .split_once('.')
                .and_then(|(id, member)| Some((StructId(id.parse().ok()?), member.parse().ok()?)));
            path.push(parsed.ok_or_else(|| format!("`{step}` is not a member"))?);
        }
        Ok(CoreAccess { path, kind, value: self.number()? })
    }

    fn failure(&mut self, expected: usize) -> Result<Failure, String> {
        match self.word().parse::<usize>() {
            Ok(idx) if idx == expected => {}
            _ => return Err(format!("failure {expected} expected")),
        }
        self.expect(":")?;
        let name = self.word();
        let kind = FailureKind::find(name).ok_or_else(|| format!("unknown failure `{name}`"))?;
        Ok(Failure { kind, span: Span::default() })
    }

    fn op(&mut self, module: &Module, name: &str) -> Result<Op, String> {
        if let Some(&(_, op)) = BINARIES.iter().find(|it| it.0 == name) {
            let (a, b) = self.pair()?;
            return Ok(Op::Binary(op, a, b));
        }
        let (stem, bits) = split_bits(name);
        Ok(match (stem, bits) {
            ("const", None) => Op::Const(self.number()?),
            ("neg", None) => Op::Neg(self.value()?),
            ("not", None) => Op::Not(self.value()?),
            ("bswap", Some(bits)) => Op::Bswap(bits, self.value()?),
            ("zext", Some(bits)) => Op::Zext(bits, self.value()?),
            ("sext", Some(bits)) => Op::Sext(bits, self.value()?),
            ("compare", None) => {
                let cond = self.name_in("condition", CONDS)?;
                let (a, b) = self.pair()?;
                Op::Compare(cond, a, b)
            }
            ("slot_addr", None) => Op::SlotAddr(Slot(self.entity("a slot", "s")?)),
            ("map_addr", None) => Op::MapAddr(self.map_name(module)?),
            ("map_value_addr", None) => Op::MapValueAddr(self.map_name(module)?, self.number()?),
            ("ptr_add", None) => {
                let (a, b) = self.pair()?;
                Op::PtrAdd(a, b)
            }
            ("non_null", None) => Op::NonNull(self.value()?),
            ("field_offset", None) => Op::FieldOffset(Access(self.entity("an access", "core")?)),
            ("func_addr", None) => Op::FuncAddr(Func(self.entity("a function", "f")?)),
            ("call", None) => self.call()?,
            (_, Some(bits)) => self.memory(stem, bits / 8)?,
            _ => return Err(format!("unknown operation `{name}`")),
        })
    }

    fn memory(&mut self, stem: &str, width: u8) -> Result<Op, String> {
        let ptr = self.value()?;
        let offset = self.number()?;
        if stem == "load.u" || stem == "load.s" {
            let ty = if self.eat(":") { self.name_in("type", TYPES)? } else { Type::I64 };
            return Ok(Op::Load { width, signed: stem == "load.s", ptr, offset, ty });
        }
        self.expect(",")?;
        let value = self.value()?;
        match stem {
            "store." => Ok(Op::Store { width, ptr, offset, value }),
            "atomic_add." => Ok(Op::AtomicAdd { width, ptr, offset, value, fetch: false }),
            "atomic_fetch_add." => Ok(Op::AtomicAdd { width, ptr, offset, value, fetch: true }),
            "atomic_swap." => Ok(Op::AtomicSwap { width, ptr, offset, value }),
            _ => Err(format!("unknown operation `{stem}{}`", u32::from(width) * 8)),
        }
    }

    fn call(&mut self) -> Result<Op, String> {
        let name = self.word();
        self.expect("(")?;
        let args = self.values()?;
        if let Some(&helper) = Helper::ALL.iter().find(|it| it.name() == name) {
            return Ok(Op::Call(helper, args));
        }
        let func = entity(name, "f").ok_or_else(|| format!("unknown helper `{name}`"))?;
        Ok(Op::CallFunc(Func(func), args))
    }
}

/// `load.s32` as `load.s` and 32.
fn split_bits(name: &str) -> (&str, Option<u8>) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem, name[stem.len()..].parse().ok())
}
