//! The table of protocol headers: the words that name them, and their fields with places and types.
//!
//! Names are the RFCs'. A field's value is in host order.

use crate::hir::{Header, HeaderField, PACKET_LENGTH};
use crate::ty::{IntTy, Ty};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// An unsigned number; `bool` when it is one bit wide.
    Number,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A MAC address.
    Mac,
}

/// A field of a header.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Behind the header's word and a dot.
    pub name: &'static str,
    /// Its place.
    pub place: HeaderField,
    /// What it holds.
    pub content: Content,
}

impl Field {
    /// The field's type in a script.
    pub fn ty(&self) -> Ty {
        match (self.content, self.place.width) {
            (Content::Number, 1) => Ty::Bool,
            (Content::Number, width) => {
                Ty::Int(IntTy::new((width.div_ceil(8) as u8).next_power_of_two(), false))
            }
            (Content::Ipv4, _) => Ty::Ipv4,
            (Content::Ipv6, _) => Ty::Ipv6,
            (Content::Mac, _) => Ty::Mac,
        }
    }
}

/// Every header and its word.
pub const HEADERS: [(&str, Header); 7] = [
    ("eth", Header::Eth),
    ("ip", Header::Ip),
    ("ip6", Header::Ip6),
    ("tcp", Header::Tcp),
    ("udp", Header::Udp),
    ("icmp", Header::Icmp),
    ("icmp6", Header::Icmp6),
];

macro_rules! fields {
    ($( $header:ident { $( $name:literal $bit:literal $width:literal $content:ident, )+ } )+) => {
        /// Every field of every header.
        pub const FIELDS: &[Field] = &[ $( $( Field {
            name: $name,
            place: HeaderField { header: Header::$header, bit: $bit, width: $width },
            content: Content::$content,
        }, )+ )+ ];
    };
}

// Name, first bit, width in bits, content.
fields! {
    Eth {
        "dst" 0 48 Mac,
        "src" 48 48 Mac,
        "type" 96 16 Number,
    }
    Ip {
        "version" 0 4 Number,
        "ihl" 4 4 Number,
        "tos" 8 8 Number,
        "dscp" 8 6 Number,
        "ecn" 14 2 Number,
        "len" 16 16 Number,
        "id" 32 16 Number,
        "df" 49 1 Number,
        "mf" 50 1 Number,
        "frag" 51 13 Number,
        "ttl" 64 8 Number,
        "proto" 72 8 Number,
        "checksum" 80 16 Number,
        "saddr" 96 32 Ipv4,
        "daddr" 128 32 Ipv4,
    }
    Ip6 {
        "version" 0 4 Number,
        "tc" 4 8 Number,
        "flow" 12 20 Number,
        "len" 32 16 Number,
        "next" 48 8 Number,
        "hops" 56 8 Number,
        "saddr" 64 128 Ipv6,
        "daddr" 192 128 Ipv6,
    }
    Tcp {
        "sport" 0 16 Number,
        "dport" 16 16 Number,
        "seq" 32 32 Number,
        "ack" 64 32 Number,
        "doff" 96 4 Number,
        "flags" 104 8 Number,
        "flags.cwr" 104 1 Number,
        "flags.ece" 105 1 Number,
        "flags.urg" 106 1 Number,
        "flags.ack" 107 1 Number,
        "flags.psh" 108 1 Number,
        "flags.rst" 109 1 Number,
        "flags.syn" 110 1 Number,
        "flags.fin" 111 1 Number,
        "window" 112 16 Number,
        "checksum" 128 16 Number,
        "urgent" 144 16 Number,
    }
    Udp {
        "sport" 0 16 Number,
        "dport" 16 16 Number,
        "len" 32 16 Number,
        "checksum" 48 16 Number,
    }
    Icmp {
        "type" 0 8 Number,
        "code" 8 8 Number,
        "checksum" 16 16 Number,
        "id" 32 16 Number,
        "seq" 48 16 Number,
    }
    Icmp6 {
        "type" 0 8 Number,
        "code" 8 8 Number,
        "checksum" 16 16 Number,
    }
}

/// The header of that word.
pub fn header(word: &str) -> Option<Header> {
    HEADERS.iter().find(|it| it.0 == word).map(|it| it.1)
}

/// The word of a header.
pub fn header_name(header: Header) -> &'static str {
    match header {
        Header::Eth => "eth",
        Header::Ip => "ip",
        Header::Ip6 => "ip6",
        Header::Tcp => "tcp",
        Header::Udp => "udp",
        Header::Icmp => "icmp",
        Header::Icmp6 => "icmp6",
    }
}

/// The fields of one header.
pub fn fields(header: Header) -> impl Iterator<Item = &'static Field> + Clone {
    FIELDS.iter().filter(move |it| it.place.header == header)
}

/// A field as a script writes it: `ip.saddr`, `pkt.len`.
pub fn field_name(place: HeaderField) -> String {
    if place == PACKET_LENGTH {
        return "pkt.len".to_owned();
    }
    let name = FIELDS.iter().find(|it| it.place == place).map_or("?", |it| it.name);
    format!("{}.{name}", header_name(place.header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_has_its_own_word() {
        for (word, it) in HEADERS {
            assert_eq!(header_name(it), word);
        }
    }

    #[test]
    fn every_field_has_a_place_of_its_own_inside_its_header() {
        let bits = |header| match header {
            Header::Eth => 112,
            Header::Ip | Header::Tcp => 160,
            Header::Ip6 => 320,
            Header::Udp | Header::Icmp => 64,
            Header::Icmp6 => 32,
        };
        for (idx, field) in FIELDS.iter().enumerate() {
            assert!(field.place.bit + field.place.width <= bits(field.place.header), "{}", field.name);
            assert!(FIELDS[..idx].iter().all(|it| it.place != field.place), "{}", field.name);
        }
    }
}
