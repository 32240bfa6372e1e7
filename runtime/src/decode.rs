//! Bytes to values, by the layout rules of [`lang::layout`].
//!
//! Comes in: bytes that generated code wrote, and their type. Goes out: a [`Value`], with
//! addresses turned into names and timestamps into text. Never fails: bytes that are missing at
//! the end count as zero, a length beyond a capacity as the capacity.
//!
//! # When a string is cut
//!
//! `str()` without a limit copies at most `max_strlen` bytes and a NUL, so its type is
//! `string[max_strlen + 1]`. The kernel does not say whether there was more, so a string that
//! fills all `max_strlen` bytes counts as cut, as it does in bpftrace. So does a string without
//! any NUL; a last byte of 0xff is then the mark of the code that found it too long, not text.

mod stack;

use crate::aggregate;
use crate::clock::{Clock, Dialect, strftime};
use crate::symbols::Symbols;
use crate::value::Value;
use lang::hir::Config;
use lang::layout;
use lang::ty::{EnumDef, EnumId, Field, IntTy, StructId, TimestampTy, Ty, TypeTable};
use std::net::{Ipv4Addr, Ipv6Addr};

const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// What decoding needs besides the bytes.
pub struct Context<'a> {
    /// C types.
    pub types: &'a TypeTable,
    /// Names for addresses.
    pub symbols: &'a mut dyn Symbols,
    /// The time and its zone.
    pub clock: &'a dyn Clock,
    /// Settings.
    pub config: &'a Config,
}

/// Decodes one value; missing bytes at the end count as zero.
pub fn decode(bytes: &[u8], ty: &Ty, cx: &mut Context<'_>) -> Value {
    match ty {
        Ty::Error | Ty::Void => Value::Tuple(Vec::new()),
        Ty::Bool => Value::Bool(unsigned(bytes, 1) != 0),
        Ty::Int(int) => integer(bytes, *int),
        Ty::Str(capacity) => string(head(bytes, *capacity), *capacity, cx.config),
        Ty::Buf(capacity) => {
            let len = (unsigned(bytes, 4) as u32).min(*capacity);
            Value::Buf(padded(tail(bytes, 4), len))
        }
        Ty::Ptr(..) => Value::Pointer(unsigned(bytes, 8)),
        Ty::Array(of, n) => array(bytes, of, *n, cx),
        Ty::Struct(id) => Value::Record(structure(bytes, *id, cx)),
        Ty::Enum(id) => enumerator(bytes, *id, cx.types),
        Ty::Tuple(items) => Value::Tuple(members(bytes, items.iter(), cx)),
        Ty::Record(items) => {
            let values = members(bytes, items.iter().map(|(_, ty)| ty), cx);
            Value::Record(items.iter().map(|(name, _)| name.clone()).zip(values).collect())
        }
        Ty::Stack(ty) => stack::decode(bytes, *ty, cx.symbols),
        Ty::Ksym => Value::Text(stack::kernel_symbol(unsigned(bytes, 8), cx.symbols)),
        Ty::Usym => {
            let (address, pid) = (unsigned(bytes, 8), unsigned(tail(bytes, 8), 4) as u32);
            Value::Text(stack::user_symbol(pid, address, cx.symbols))
        }
        Ty::Ipv4 => ipv4(Ipv4Addr::from_bits(unsigned(bytes, 4) as u32)),
        Ty::Ipv6 => ipv6(bytes),
        Ty::Inet => inet(bytes),
        Ty::Mac => mac(bytes),
        Ty::Network => {
            let address = Ipv4Addr::from_bits((unsigned(tail(bytes, 4), 4) as u32).to_be());
            Value::Text(format!("{address}/{}", unsigned(bytes, 4)))
        }
        Ty::Timestamp(ty) => Value::Text(timestamp(unsigned(bytes, 8), ty, cx.clock)),
        Ty::Agg(agg) => aggregate::merge(agg, &[bytes.to_vec()]),
    }
}

/// The little-endian number in the first `size` bytes.
pub(crate) fn unsigned(bytes: &[u8], size: u8) -> u64 {
    let mut word = [0; 8];
    let len = usize::from(size).min(bytes.len()).min(8);
    word[..len].copy_from_slice(&bytes[..len]);
    u64::from_le_bytes(word)
}

fn integer(bytes: &[u8], int: IntTy) -> Value {
    let bits = unsigned(bytes, int.size);
    if int.signed { Value::Int(extend(bits, int.size), int.size) } else { Value::Uint(bits, int.size) }
}

/// Sign-extends a number of `size` bytes.
fn extend(bits: u64, size: u8) -> i64 {
    let unused = 64 - 8 * u32::from(size.clamp(1, 8));
    (bits << unused) as i64 >> unused
}

fn head(bytes: &[u8], len: u32) -> &[u8] {
    &bytes[..bytes.len().min(len as usize)]
}

fn tail(bytes: &[u8], from: u32) -> &[u8] {
    bytes.get(from as usize..).unwrap_or_default()
}

/// The first `len` bytes, with zeros for missing ones.
fn padded(bytes: &[u8], len: u32) -> Vec<u8> {
    let mut bytes = head(bytes, len).to_vec();
    bytes.resize(len as usize, 0);
    bytes
}

fn string(bytes: &[u8], capacity: u32, config: &Config) -> Value {
    match bytes.iter().position(|&byte| byte == 0) {
        None if bytes.len() == capacity as usize && capacity > 0 => {
            let text = bytes.strip_suffix(&[0xff]).unwrap_or(bytes);
            Value::Str { bytes: text.to_vec(), cut: true }
        }
        end => {
            let text = &bytes[..end.unwrap_or(bytes.len())];
            let full = text.len() == config.max_strlen as usize && text.len() + 1 == capacity as usize;
            Value::Str { bytes: text.to_vec(), cut: full && capacity > 1 }
        }
    }
}

fn array(bytes: &[u8], of: &Ty, n: u32, cx: &mut Context<'_>) -> Value {
    let size = layout::size_of(of, cx.types);
    Value::Array((0..n).map(|idx| declared(tail(bytes, idx.saturating_mul(size)), of, cx)).collect())
}

/// What C code declares, where an array of `char` is text: a signed byte in the type model.
fn declared(bytes: &[u8], ty: &Ty, cx: &mut Context<'_>) -> Value {
    match ty {
        Ty::Array(of, n) if **of == Ty::I8 && *n > 0 => {
            Value::text(head(bytes, *n).split(|&byte| byte == 0).next().unwrap_or_default())
        }
        ty => decode(bytes, ty, cx),
    }
}

fn members<'a>(bytes: &[u8], tys: impl Iterator<Item = &'a Ty> + Clone, cx: &mut Context<'_>) -> Vec<Value> {
    let (offsets, _) = layout::fields(tys.clone(), cx.types);
    tys.zip(offsets).map(|(ty, offset)| decode(tail(bytes, offset), ty, cx)).collect()
}

/// The members of a struct; those of an anonymous member count as the struct's own.
fn structure(bytes: &[u8], id: StructId, cx: &mut Context<'_>) -> Vec<(String, Value)> {
    let types = cx.types;
    let fields = types.structs.get(id.0 as usize).and_then(|def| def.fields.as_deref()).unwrap_or_default();
    let mut members = Vec::with_capacity(fields.len());
    for field in fields {
        match &field.ty {
            Ty::Struct(inner) if field.name.is_empty() => {
                members.extend(structure(tail(bytes, field.offset), *inner, cx));
            }
            _ => members.push((field.name.clone(), member(bytes, field, cx))),
        }
    }
    members
}

fn member(bytes: &[u8], field: &Field, cx: &mut Context<'_>) -> Value {
    let own = tail(bytes, field.offset);
    // An array of varying length has its elements behind the struct, where no copy reaches.
    if matches!(field.ty, Ty::Void | Ty::Array(_, 0)) {
        return Value::Array(Vec::new());
    }
    if field.data_loc {
        let location = unsigned(own, 4) as u32;
        let text = head(tail(bytes, location & 0xffff), location >> 16);
        return Value::text(text.split(|&byte| byte == 0).next().unwrap_or_default());
    }
    let Some(part) = field.bits else { return declared(own, &field.ty, cx) };
    let size = layout::size_of(&field.ty, cx.types).clamp(1, 8) as u8;
    let width = u32::from(part.width).clamp(1, 64);
    let bits = unsigned(own, size).checked_shr(part.shift.into()).unwrap_or(0) << (64 - width);
    let signed = field.ty.as_int().is_some_and(|int| int.signed);
    let bits = if signed { (bits as i64 >> (64 - width)) as u64 } else { bits >> (64 - width) };
    decode(&bits.to_le_bytes(), &field.ty, cx)
}

fn enumerator(bytes: &[u8], id: EnumId, types: &TypeTable) -> Value {
    let Some(EnumDef { int, variants, .. }) = types.enums.get(id.0 as usize) else {
        return Value::Enum(unsigned(bytes, 4) as i64, None);
    };
    let bits = unsigned(bytes, int.size);
    let number = if int.signed { extend(bits, int.size) } else { bits as i64 };
    let name = variants.iter().find(|(_, value)| *value == number).map(|(name, _)| name.clone());
    Value::Enum(number, name)
}

fn inet(bytes: &[u8]) -> Value {
    match unsigned(bytes, 4) as u32 {
        AF_INET => {
            let octets = padded(tail(bytes, 4), 4);
            ipv4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]))
        }
        AF_INET6 => ipv6(tail(bytes, 4)),
        _ => Value::Address { text: String::new(), bytes: Vec::new() },
    }
}

fn ipv4(address: Ipv4Addr) -> Value {
    Value::Address { text: address.to_string(), bytes: address.octets().to_vec() }
}

fn ipv6(bytes: &[u8]) -> Value {
    let mut octets = [0; 16];
    octets.copy_from_slice(&padded(bytes, 16));
    Value::Address { text: Ipv6Addr::from(octets).to_string(), bytes: octets.to_vec() }
}

fn mac(bytes: &[u8]) -> Value {
    let bytes = padded(bytes, 6);
    let text = bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
    Value::Address { text, bytes }
}

fn timestamp(nanos: u64, ty: &TimestampTy, clock: &dyn Clock) -> String {
    let to_wall = if ty.tai { clock.tai_to_wall() } else { clock.boot_to_wall() };
    strftime(&ty.format, (nanos as i64).wrapping_add(to_wall), Dialect::Fractions, clock)
}

#[cfg(test)]
mod tests;
