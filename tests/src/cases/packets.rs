//! Builds packets: Ethernet, optional VLAN tag, IPv4 or IPv6, then ICMP, TCP or UDP.

use super::directives::Firing;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A packet of kind `arp`, `icmp`, `tcp`, `udp`, `icmp6`, `tcp6` or `udp6`. Settings: `src`, `dst`
/// (addresses), `sport`, `dport`, `ttl`, `flags` (TCP, a number), `type` (ICMP), `payload`
/// (bytes), `vlan`, `options` (words of IPv4 options), `frag` (fragment offset), `cut` (keep only so
/// many bytes).
pub fn build(kind: &str, firing: &Firing) -> Result<Vec<u8>, String> {
    let six = kind.ends_with('6');
    let transport = match kind.trim_end_matches('6') {
        "arp" => None,
        "icmp" => Some((if six { 58 } else { 1 }, icmp(firing))),
        "tcp" => Some((6, tcp(firing))),
        "udp" => Some((17, udp(firing))),
        other => return Err(format!("no packets of kind {other}")),
    };
    let (ethertype, network) = match transport {
        None => (0x0806u16, vec![0; 28]),
        Some((protocol, transport)) if six => (0x86dd, ipv6(firing, protocol, transport)?),
        Some((protocol, transport)) => (0x0800, ipv4(firing, protocol, transport)?),
    };
    let mut packet = vec![0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1];
    if let Some(tag) = firing.number("vlan") {
        packet.extend(0x8100u16.to_be_bytes());
        packet.extend((tag as u16).to_be_bytes());
    }
    packet.extend(ethertype.to_be_bytes());
    packet.extend(network);
    if let Some(kept) = firing.number("cut") {
        packet.truncate(kept as usize);
    }
    Ok(packet)
}

fn number(firing: &Firing, key: &str, default: i64) -> i64 {
    firing.number(key).unwrap_or(default)
}

fn payload(firing: &Firing) -> Vec<u8> {
    vec![0x5a; number(firing, "payload", 0) as usize]
}

fn icmp(firing: &Firing) -> Vec<u8> {
    let mut header = vec![number(firing, "type", 8) as u8, number(firing, "code", 0) as u8, 0, 0];
    header.extend((number(firing, "id", 1) as u16).to_be_bytes());
    header.extend((number(firing, "seq", 1) as u16).to_be_bytes());
    header.extend(payload(firing));
    header
}

fn tcp(firing: &Firing) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend((number(firing, "sport", 40000) as u16).to_be_bytes());
    header.extend((number(firing, "dport", 80) as u16).to_be_bytes());
    header.extend((number(firing, "seq", 1) as u32).to_be_bytes());
    header.extend((number(firing, "ack", 0) as u32).to_be_bytes());
    header.extend([0x50, number(firing, "flags", 0x02) as u8]);
    header.extend(1024u16.to_be_bytes());
    header.extend([0; 4]);
    header.extend(payload(firing));
    header
}

fn udp(firing: &Firing) -> Vec<u8> {
    let payload = payload(firing);
    let mut header = Vec::new();
    header.extend((number(firing, "sport", 40000) as u16).to_be_bytes());
    header.extend((number(firing, "dport", 53) as u16).to_be_bytes());
    header.extend((8 + payload.len() as u16).to_be_bytes());
    header.extend([0; 2]);
    header.extend(payload);
    header
}

fn ipv4(firing: &Firing, protocol: u8, transport: Vec<u8>) -> Result<Vec<u8>, String> {
    let address = |key: &str, default: &str| {
        let text = firing.text(key).unwrap_or(default);
        text.parse::<Ipv4Addr>().map_err(|_| format!("{key}={text} is not an IPv4 address"))
    };
    let options = number(firing, "options", 0) as usize;
    let length = 20 + 4 * options + transport.len();
    let mut header = vec![0x40 | (5 + options) as u8, 0];
    header.extend((length as u16).to_be_bytes());
    header.extend(7u16.to_be_bytes());
    header.extend((number(firing, "frag", 0) as u16).to_be_bytes());
    header.extend([number(firing, "ttl", 64) as u8, protocol, 0, 0]);
    header.extend(address("src", "10.0.0.1")?.octets());
    header.extend(address("dst", "10.0.0.2")?.octets());
    // Option 1 is "no operation".
    header.extend(vec![1; 4 * options]);
    header.extend(transport);
    Ok(header)
}

fn ipv6(firing: &Firing, protocol: u8, transport: Vec<u8>) -> Result<Vec<u8>, String> {
    let address = |key: &str, default: &str| {
        let text = firing.text(key).unwrap_or(default);
        text.parse::<Ipv6Addr>().map_err(|_| format!("{key}={text} is not an IPv6 address"))
    };
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((transport.len() as u16).to_be_bytes());
    header.extend([protocol, number(firing, "ttl", 64) as u8]);
    header.extend(address("src", "fd00::1")?.octets());
    header.extend(address("dst", "fd00::2")?.octets());
    header.extend(transport);
    Ok(header)
}
