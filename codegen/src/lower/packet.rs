//! Packets: the headers are parsed once, when the program starts, only as deep as the script
//! looks. Every header and field that the script names becomes a value there, 0 where the packet
//! lacks the header, so no packet pointer lives on and no helper call can make one stale.
//!
//! Followed: up to two VLAN tags (802.1Q, 802.1ad), IPv4 options, up to four IPv6 extension
//! headers (hop-by-hop, routing, destination, fragment). A fragment other than the first has no
//! transport header. Other encapsulations end the parse.

use super::Body;
use super::memory::{Memory, chunks};
use super::place::Place;
use super::uses::{self, Headers, Parts};
use crate::ir::{BinOp, Block, Cond, Op, Region, Type, Value};
use lang::hir::{Header, HeaderField, PACKET_LENGTH};
use lang::probes::Context;
use std::collections::BTreeMap;

/// `XDP_DROP`, `XDP_PASS`
pub const XDP_DROP: i64 = 1;
pub const XDP_PASS: i64 = 2;

/// EtherTypes.
const ETH_IP: i64 = 0x0800;
const ETH_IP6: i64 = 0x86dd;
const ETH_VLAN: [i64; 2] = [0x8100, 0x88a8];
/// Protocol numbers.
const ICMP: i64 = 1;
const TCP: i64 = 6;
const UDP: i64 = 17;
const ICMP6: i64 = 58;
const IP6_FRAGMENT: i64 = 44;
/// Hop-by-hop, routing and destination options.
const IP6_EXTENSIONS: [i64; 3] = [0, 43, 60];
const IP6_EXTENSIONS_LIMIT: usize = 4;
const VLAN_LIMIT: usize = 2;

/// What the parse found.
#[derive(Default)]
pub struct Packet {
    /// 1 when the packet has the header, else 0.
    pub present: BTreeMap<Header, Value>,
    /// Fields of up to 8 bytes, in host order.
    pub values: BTreeMap<HeaderField, Value>,
    /// Longer ones, in wire order.
    pub memories: BTreeMap<HeaderField, Memory>,
}

/// The parse while it is built: what it finds goes to variables that start as 0.
struct Parse {
    wanted: Headers,
    data: Value,
    data_end: Value,
    present: BTreeMap<Header, super::Variable>,
    values: BTreeMap<HeaderField, super::Variable>,
    memories: BTreeMap<HeaderField, Memory>,
    /// Where the parse ends, whatever it found.
    end: Block,
    /// The protocol behind the network header, and where its header starts.
    protocol: super::Variable,
    offset: super::Variable,
}

impl Headers {
    fn any(&self, headers: &[Header]) -> bool {
        headers.iter().any(|it| self.headers.contains(it))
    }
}

impl Body<'_, '_> {
    /// Emits the parse for packet programs that look at a header.
    pub fn parse_packet(&mut self) {
        if self.kind().context() != Context::Xdp {
            return;
        }
        let Some(probe) = self.probe else { return };
        let wanted = uses::headers(Parts::body(&probe.body));
        if wanted.headers.is_empty() && wanted.fields.is_empty() {
            return;
        }
        let (data, data_end) =
            (self.context_pointer(0, Region::Packet), self.context_pointer(4, Region::PacketEnd));
        if wanted.fields.contains(&PACKET_LENGTH) {
            let length = self.b.binary(BinOp::Sub, data_end, data);
            self.packet.values.insert(PACKET_LENGTH, length);
        }
        if wanted.headers.is_empty() {
            return;
        }
        let parse = self.start_parse(wanted, data, data_end);
        self.parse_ethernet(&parse);
        self.b.jump(parse.end, &[]);
        self.b.start(parse.end);
        self.finish_parse(parse);
    }

    /// Whether the packet has a header.
    pub fn has_header(&mut self, header: Header) -> Value {
        match self.packet.present.get(&header) {
            Some(value) => *value,
            None => self.b.constant(0),
        }
    }

    /// A field of up to 8 bytes.
    pub fn header_value(&mut self, field: HeaderField) -> Value {
        match self.packet.values.get(&field) {
            Some(value) => *value,
            None => self.b.constant(0),
        }
    }

    /// A longer field.
    pub fn header_place(&mut self, field: HeaderField) -> Place {
        match self.packet.memories.get(&field) {
            Some(memory) => Place::Own(*memory),
            None => Place::Bytes(vec![]),
        }
    }

    /// `struct xdp_md` holds packet addresses in 32-bit members that the kernel widens.
    fn context_pointer(&mut self, offset: i32, region: Region) -> Value {
        self.b.op(Op::Load { width: 4, signed: false, ptr: self.ctx, offset, ty: Type::Ptr(region) })
    }

    fn zero_variable(&mut self) -> super::Variable {
        let variable = self.b.variable(Type::I64);
        let zero = self.b.constant(0);
        self.b.write(variable, zero);
        variable
    }

    fn start_parse(&mut self, wanted: Headers, data: Value, data_end: Value) -> Parse {
        let present = wanted.headers.iter().map(|it| (*it, self.zero_variable())).collect();
        let (mut values, mut memories) = (BTreeMap::new(), BTreeMap::new());
        for &field in wanted.fields.iter().filter(|it| **it != PACKET_LENGTH) {
            if is_number(field) {
                values.insert(field, self.zero_variable());
            } else {
                let size = u32::from(field.width).div_ceil(8);
                let memory = self.allocate(size);
                self.zero(memory, size);
                memories.insert(field, memory);
            }
        }
        let (protocol, offset) = (self.zero_variable(), self.zero_variable());
        let end = self.b.block();
        Parse { wanted, data, data_end, present, values, memories, end, protocol, offset }
    }

    fn finish_parse(&mut self, parse: Parse) {
        for (header, variable) in parse.present {
            let value = self.b.read(variable);
            self.packet.present.insert(header, value);
        }
        for (field, variable) in parse.values {
            let value = self.b.read(variable);
            self.packet.values.insert(field, value);
        }
        self.packet.memories = parse.memories;
    }

    /// The start of a header of `size` bytes at `offset`; ends the parse when it is not all there.
    fn header_at(&mut self, parse: &Parse, offset: Value, size: i32) -> Value {
        let start = self.b.op(Op::PtrAdd(parse.data, offset));
        let behind = self.b.advance(start, size);
        let whole = self.b.block();
        self.b.branch(Cond::ULe, behind, parse.data_end, whole, parse.end);
        self.b.start(whole);
        start
    }

    /// Goes on when the values are equal, else to `otherwise`.
    fn expect(&mut self, value: Value, expected: i64, otherwise: Block) {
        let expected = self.b.constant(expected);
        let holds = self.b.block();
        self.b.branch(Cond::Eq, value, expected, holds, otherwise);
        self.b.start(holds);
    }

    /// Notes a header that is there, and reads its fields.
    fn found(&mut self, parse: &Parse, header: Header, start: Value) {
        if let Some(variable) = parse.present.get(&header) {
            let one = self.b.constant(1);
            self.b.write(*variable, one);
        }
        for (field, variable) in parse.values.iter().filter(|(field, _)| field.header == header) {
            let value = self.field_value(start, *field);
            self.b.write(*variable, value);
        }
        for (field, memory) in parse.memories.iter().filter(|(field, _)| field.header == header) {
            let from = i32::from(field.bit / 8);
            for (at, width) in chunks(u32::from(field.width / 8), 8) {
                let value = self.b.load(width, false, start, from + at as i32);
                self.b.store(width, memory.ptr, memory.offset + at as i32, value);
            }
        }
    }

    /// A field as a number in host order.
    fn field_value(&mut self, start: Value, field: HeaderField) -> Value {
        let Unit { offset, width, shift } = unit(field);
        let value = self.b.load(width, false, start, offset);
        let value = if width > 1 { self.b.op(Op::Bswap(8 * width, value)) } else { value };
        let value = if shift > 0 { self.b.binary_const(BinOp::LShr, value, shift.into()) } else { value };
        if u32::from(field.width) + shift == 8 * u32::from(width) {
            return value;
        }
        self.b.binary_const(BinOp::And, value, (1 << field.width) - 1)
    }

    fn parse_ethernet(&mut self, parse: &Parse) {
        let zero = self.b.constant(0);
        let start = self.header_at(parse, zero, 14);
        self.found(parse, Header::Eth, start);
        let v4 = parse.wanted.any(&[Header::Ip, Header::Tcp, Header::Udp, Header::Icmp]);
        let v6 = parse.wanted.any(&[Header::Ip6, Header::Tcp, Header::Udp, Header::Icmp6]);
        if !v4 && !v6 {
            return;
        }
        let kind = self.big_endian_16(start, 12);
        let offset = self.b.constant(14);
        let (kind, offset) = self.skip_vlan_tags(parse, kind, offset);
        let [not_v4, transport_v4, transport_v6] = std::array::from_fn(|_| self.b.block());
        if v4 {
            self.expect(kind, ETH_IP, not_v4);
            self.parse_ip(parse, offset);
            self.b.jump(transport_v4, &[]);
            self.b.start(transport_v4);
            self.parse_transport(parse, &[(Header::Icmp, ICMP, 8)]);
        }
        self.b.jump(if v4 { parse.end } else { not_v4 }, &[]);
        self.b.start(not_v4);
        if v6 {
            self.expect(kind, ETH_IP6, parse.end);
            self.parse_ip6(parse, offset);
            self.b.jump(transport_v6, &[]);
            self.b.start(transport_v6);
            self.parse_transport(parse, &[(Header::Icmp6, ICMP6, 8)]);
        }
    }

    fn big_endian_16(&mut self, ptr: Value, offset: i32) -> Value {
        let value = self.b.load(2, false, ptr, offset);
        self.b.op(Op::Bswap(16, value))
    }

    /// The type and place of what is behind the tags.
    fn skip_vlan_tags(&mut self, parse: &Parse, kind: Value, offset: Value) -> (Value, Value) {
        let done = self.b.block();
        let (last_kind, last_offset) = (self.b.param(done, Type::I64), self.b.param(done, Type::I64));
        let (mut kind, mut offset) = (kind, offset);
        for _ in 0..VLAN_LIMIT {
            let (other, tagged) = (self.b.block(), self.b.block());
            let [first, second] = ETH_VLAN.map(|it| self.b.constant(it));
            self.b.branch(Cond::Eq, kind, first, tagged, other);
            self.b.start(other);
            self.b.branch_with(Cond::Eq, kind, second, (tagged, &[]), (done, &[kind, offset]));
            self.b.start(tagged);
            let tag = self.header_at(parse, offset, 4);
            kind = self.big_endian_16(tag, 2);
            offset = self.b.binary_const(BinOp::Add, offset, 4);
        }
        self.b.jump(done, &[kind, offset]);
        self.b.start(done);
        (last_kind, last_offset)
    }

    fn parse_ip(&mut self, parse: &Parse, offset: Value) {
        let start = self.header_at(parse, offset, 20);
        let first = self.b.load(1, false, start, 0);
        let version = self.b.binary_const(BinOp::LShr, first, 4);
        self.expect(version, 4, parse.end);
        let words = self.b.binary_const(BinOp::And, first, 0xf);
        let (sound, least) = (self.b.block(), self.b.constant(5));
        self.b.branch(Cond::UGe, words, least, sound, parse.end);
        self.b.start(sound);
        self.found(parse, Header::Ip, start);
        let fragment = self.big_endian_16(start, 6);
        let fragment = self.b.binary_const(BinOp::And, fragment, 0x1fff);
        self.expect(fragment, 0, parse.end);
        let protocol = self.b.load(1, false, start, 9);
        let length = self.b.binary_const(BinOp::Shl, words, 2);
        let offset = self.b.binary(BinOp::Add, offset, length);
        self.b.write(parse.protocol, protocol);
        self.b.write(parse.offset, offset);
    }

    fn parse_ip6(&mut self, parse: &Parse, offset: Value) {
        let start = self.header_at(parse, offset, 40);
        let first = self.b.load(1, false, start, 0);
        let version = self.b.binary_const(BinOp::LShr, first, 4);
        self.expect(version, 6, parse.end);
        self.found(parse, Header::Ip6, start);
        if !parse.wanted.any(&[Header::Tcp, Header::Udp, Header::Icmp6]) {
            return;
        }
        let next = self.b.load(1, false, start, 6);
        let offset = self.b.binary_const(BinOp::Add, offset, 40);
        self.b.write(parse.protocol, next);
        self.b.write(parse.offset, offset);
        let done = self.b.block();
        for _ in 0..IP6_EXTENSIONS_LIMIT {
            self.skip_extension(parse, done);
        }
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// Goes behind one extension header, or to `done` when the next header is none.
    fn skip_extension(&mut self, parse: &Parse, done: Block) {
        let [options, fragment, next] = std::array::from_fn(|_| self.b.block());
        let protocol = self.b.read(parse.protocol);
        for kind in IP6_EXTENSIONS {
            let (other, kind) = (self.b.block(), self.b.constant(kind));
            self.b.branch(Cond::Eq, protocol, kind, options, other);
            self.b.start(other);
        }
        let kind = self.b.constant(IP6_FRAGMENT);
        self.b.branch(Cond::Eq, protocol, kind, fragment, done);

        self.b.start(options);
        let offset = self.b.read(parse.offset);
        let start = self.header_at(parse, offset, 8);
        let protocol = self.b.load(1, false, start, 0);
        let units = self.b.load(1, false, start, 1);
        let units = self.b.binary_const(BinOp::Add, units, 1);
        let length = self.b.binary_const(BinOp::Shl, units, 3);
        let behind = self.b.binary(BinOp::Add, offset, length);
        self.b.write(parse.protocol, protocol);
        self.b.write(parse.offset, behind);
        self.b.jump(next, &[]);

        self.b.start(fragment);
        let offset = self.b.read(parse.offset);
        let start = self.header_at(parse, offset, 8);
        let place = self.big_endian_16(start, 2);
        let place = self.b.binary_const(BinOp::And, place, 0xfff8);
        self.expect(place, 0, parse.end);
        let protocol = self.b.load(1, false, start, 0);
        let behind = self.b.binary_const(BinOp::Add, offset, 8);
        self.b.write(parse.protocol, protocol);
        self.b.write(parse.offset, behind);
        self.b.jump(next, &[]);
        self.b.start(next);
    }

    /// The header that the protocol number names, if the script looks at it.
    fn parse_transport(&mut self, parse: &Parse, control: &[(Header, i64, i32)]) {
        for &(header, number, size) in [(Header::Tcp, TCP, 20), (Header::Udp, UDP, 8)].iter().chain(control) {
            if !parse.wanted.headers.contains(&header) {
                continue;
            }
            let other = self.b.block();
            let protocol = self.b.read(parse.protocol);
            self.expect(protocol, number, other);
            let offset = self.b.read(parse.offset);
            let start = self.header_at(parse, offset, size);
            self.found(parse, header, start);
            self.b.jump(parse.end, &[]);
            self.b.start(other);
        }
    }
}

/// Whether a field is a number; MAC and IPv6 addresses are not.
fn is_number(field: HeaderField) -> bool {
    field.width <= 64 && field.width != 48
}

/// The aligned bytes of a header that hold a field.
#[derive(Debug, PartialEq)]
struct Unit {
    offset: i32,
    width: u8,
    /// Bits below the field.
    shift: u32,
}

fn unit(field: HeaderField) -> Unit {
    let (first, last) = (field.bit / 8, (field.bit + field.width - 1) / 8);
    let width = [1u16, 2, 4].into_iter().find(|it| first / it == last / it).unwrap_or(8);
    let offset = if width == 8 { first } else { first / width * width };
    let end = 8 * (offset + width);
    Unit { offset: offset.into(), width: width as u8, shift: (end - field.bit - field.width).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_from_aligned_units() {
        for (bit, width, offset, bytes, shift) in [
            (0, 4, 0, 1, 4),    // ip.version
            (4, 4, 0, 1, 0),    // ip.ihl
            (16, 16, 2, 2, 0),  // ip.len
            (51, 13, 6, 2, 0),  // ip.frag_off
            (96, 32, 12, 4, 0), // ip.saddr
            (12, 20, 0, 4, 0),  // ip6.flow
            (4, 8, 0, 2, 4),    // ip6.tclass
            (110, 1, 13, 1, 1), // tcp.flags.syn
            (32, 64, 4, 8, 0),
        ] {
            let field = HeaderField { header: Header::Ip, bit, width };
            assert_eq!(unit(field), Unit { offset, width: bytes, shift }, "{bit} {width}");
        }
    }
}
