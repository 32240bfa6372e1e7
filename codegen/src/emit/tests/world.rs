//! What programs see: memory by address, helpers. The IR's evaluator and the code's share it,
//! so that both runs of a function can be compared.

use crate::helpers::Helper;
use crate::opt::dead;

/// The context's address.
pub const CTX: u64 = 0x1000_0000_0000;
/// The address of the map value that a look-up finds.
pub const VALUES: u64 = 0x2000_0000_0000;
/// The address of the first map's only value; each further map has the next megabyte.
pub const GLOBALS: u64 = 0x3000_0000_0000;
/// The number that stands for the first map.
pub const MAPS: u64 = 0x4000_0000_0000;
/// Where stack memory begins.
pub const STACK: u64 = 0x5000_0000_0000;
/// How much of it there is.
pub const STACK_SIZE: usize = 0x4000;

/// Memory and the history of calls.
#[derive(Clone)]
pub struct World {
    ctx: Vec<u8>,
    values: Vec<u8>,
    globals: Vec<u8>,
    stack: Vec<u8>,
    seed: u64,
    /// A hash of all calls so far and what they were given.
    pub history: u64,
    /// The history when entries of maps were last added or removed.
    changed: u64,
}

impl World {
    pub fn new(seed: u64, stack_fill: u8) -> World {
        let bytes = |salt: u64, n: u64| (0..n).map(|it| mix(seed ^ salt, it) as u8).collect();
        World {
            ctx: bytes(1, 64),
            values: bytes(2, 64),
            globals: bytes(3, 64),
            stack: vec![stack_fill; STACK_SIZE],
            seed,
            history: seed,
            changed: seed,
        }
    }

    /// What is left when a run is over: memory (the stack aside), the calls.
    pub fn outcome(&self) -> (&[u8], &[u8], &[u8], u64) {
        (&self.ctx, &self.values, &self.globals, self.history)
    }

    fn bytes(&mut self, address: u64, width: usize) -> &mut [u8] {
        let regions = [
            (CTX, &mut self.ctx),
            (VALUES, &mut self.values),
            (GLOBALS, &mut self.globals),
            (STACK, &mut self.stack),
        ];
        for (base, region) in regions {
            let start = address.wrapping_sub(base) as usize;
            if start.checked_add(width).is_some_and(|end| end <= region.len()) {
                return &mut region[start..start + width];
            }
        }
        panic!("no memory at {address:#x}");
    }

    pub fn load(&mut self, address: u64, width: u8, signed: bool) -> u64 {
        let mut all = [0; 8];
        all[..width.into()].copy_from_slice(self.bytes(address, width.into()));
        let number = u64::from_le_bytes(all);
        let unused = 64 - 8 * u32::from(width);
        if signed { ((number << unused) as i64 >> unused) as u64 } else { number }
    }

    pub fn store(&mut self, address: u64, width: u8, number: u64) {
        let bytes = number.to_le_bytes();
        self.bytes(address, width.into()).copy_from_slice(&bytes[..width.into()]);
    }

    /// A helper call. Pointers count as what they point to, as addresses on the stack differ.
    ///
    /// Helpers that only give a value leave no trace: passes may drop or share their calls. So do
    /// look-ups, which find the same entry until entries change.
    pub fn call(&mut self, number: i64, args: &[u64]) -> u64 {
        if Helper::ALL.iter().any(|it| i64::from(it.number()) == number && dead::is_pure(*it)) {
            return mix(self.seed, number as u64);
        }
        let is = |helper: Helper| number == i64::from(helper.number());
        let before = if is(Helper::MapLookupElem) { self.changed } else { self.history };
        let mut hash = mix(before, number as u64);
        for &arg in args {
            let stack = STACK..STACK + STACK_SIZE as u64;
            let seen = if stack.contains(&arg) { self.load(arg, 8, false) } else { arg };
            hash = mix(hash, seen);
        }
        if is(Helper::MapLookupElem) {
            return if hash & 3 == 0 { 0 } else { VALUES + (hash >> 8 & 3) * 16 };
        }
        self.history = hash;
        if is(Helper::MapUpdateElem) || is(Helper::MapDeleteElem) {
            self.changed = hash;
        }
        hash
    }

    /// How many arguments a helper takes.
    pub fn arity(number: i64) -> usize {
        let helper = Helper::ALL.iter().find(|it| i64::from(it.number()) == number);
        helper.expect("only known helpers are called").arity()
    }
}

/// A hash step.
pub fn mix(a: u64, b: u64) -> u64 {
    let mut hash = (a ^ b.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b;
    hash ^= hash >> 29;
    hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^ hash >> 32
}
