//! IP networks in CIDR notation (RFC 4632, RFC 4291).

use std::net::IpAddr;

/// A network; the bits of the address beyond the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    prefix: u32,
    /// 32 or 128.
    width: u32,
}

impl Network {
    /// `10.0.0.0/8`, `2001:db8::/32`, or one address. The error says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is no IP address"))?;
        let (bits, width) = bits_of(address);
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= width)
                .ok_or_else(|| format!("a prefix is at most {width}"))?,
            Some(digits) => return Err(format!("`{digits}` is no prefix length")),
        };
        let network = Self { bits, prefix, width };
        if network.masked(bits) != bits {
            return Err(format!("the address has bits beyond its prefix of {prefix}"));
        }
        Ok(network)
    }

    /// Whether an address, as text, lies in the network. IPv6 zones are ignored, and an IPv4
    /// address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: &str) -> bool {
        let address = address.split_once('%').map_or(address, |(address, _)| address);
        let Ok(address) = address.parse::<IpAddr>() else {
            return false;
        };
        let candidates = [address, address.to_canonical()];
        candidates.into_iter().any(|address| {
            let (bits, width) = bits_of(address);
            width == self.width && self.masked(bits) == self.bits
        })
    }

    fn masked(&self, bits: u128) -> u128 {
        let beyond = self.width - self.prefix;
        bits.checked_shr(beyond).and_then(|bits| bits.checked_shl(beyond)).unwrap_or(0)
    }
}

fn bits_of(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}
