//! Where an address leads, by its text alone: nobody is asked for a name. A name may be looked up to another address
//! each time; that is what the names of services count for that look up to whatever stands in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// From near to far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// No address that a server could send to.
    Nowhere,
    /// The service that gives credentials to machines of a cloud.
    Metadata,
    LinkLocal,
    Loopback,
    /// Addresses of private networks.
    Private,
    /// Names that only a cluster or a local network knows.
    Internal,
    /// Names that lead to whatever address is written in them, or to another one each time.
    Rebinding,
    Public,
}

impl Reach {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nowhere => "nowhere",
            Self::Metadata => "metadata",
            Self::LinkLocal => "link_local",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Internal => "internal",
            Self::Rebinding => "rebinding",
            Self::Public => "public",
        }
    }
}

/// Services of metadata at addresses of their own: AWS, Google and Azure; containers and pods of AWS; Alibaba; Oracle.
const METADATA: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// The same of AWS in IPv6.
const METADATA_6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)];
const METADATA_NAMES: [&str; 6] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
];
/// Services that look names up to the address that is written in them, or to several in turn.
const REBINDING: [&str; 12] = [
    "nip.io",
    "sslip.io",
    "xip.io",
    "localtest.me",
    "lvh.me",
    "vcap.me",
    "lacolhost.com",
    "rbndr.us",
    "1u.ms",
    "rebind.network",
    "requestrepo.com",
    "traefik.me",
];
/// Ends of names that only a local network or a cluster knows.
const INTERNAL: [&str; 8] = ["local", "internal", "svc", "lan", "intranet", "corp", "home.arpa", "localdomain"];

/// Where a host leads, as an address has it: a name, an address of four numbers, or one in brackets.
pub fn of(host: &str) -> Reach {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        };
    }
    let ends = |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if METADATA_NAMES.contains(&&*host) {
        Reach::Metadata
    } else if ends("localhost") {
        Reach::Loopback
    } else if REBINDING.iter().any(|name| ends(name)) {
        Reach::Rebinding
    } else if !host.contains('.') || INTERNAL.iter().any(|name| ends(name)) {
        Reach::Internal
    } else {
        Reach::Public
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    let [first, second, ..] = address.octets();
    if METADATA.contains(&address) {
        Reach::Metadata
    } else if address.is_link_local() {
        Reach::LinkLocal
    } else if address.is_loopback() || first == 0 {
        // Many systems take the address of no host for their own.
        Reach::Loopback
    } else if address.is_private() || first == 100 && (64..128).contains(&second) {
        Reach::Private
    } else if address.is_multicast() || first >= 240 || address.is_documentation() {
        Reach::Nowhere
    } else {
        Reach::Public
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    if let Some(inside) = embedded(address) {
        return of_v4(inside);
    }
    let [first, ..] = address.segments();
    if METADATA_6.contains(&address) {
        Reach::Metadata
    } else if address.is_loopback() || address.is_unspecified() {
        Reach::Loopback
    } else if first & 0xffc0 == 0xfe80 {
        Reach::LinkLocal
    } else if first & 0xfe00 == 0xfc00 {
        Reach::Private
    } else if first & 0xff00 == 0xff00 {
        Reach::Nowhere
    } else {
        Reach::Public
    }
}

/// The address of version 4 that one of version 6 stands for: mapped, translated (RFC 6052), or by 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(of(high, low))
        }
        _ => None,
    }
}
