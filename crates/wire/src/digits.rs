//! Numbers and addresses as text, for what is written for every request: the formatting of the standard
//! library costs several times as much.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Appends a number in decimal digits.
pub fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at = at.saturating_sub(1);
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A text of a few bytes that is put together before it goes out in one piece.
struct Short {
    /// `255.255.255.255:65535`
    bytes: [u8; 21],
    length: usize,
}

impl Short {
    /// An address with dots.
    fn v4(address: Ipv4Addr) -> Self {
        let mut text = Self { bytes: [0; 21], length: 0 };
        for (index, part) in address.octets().into_iter().enumerate() {
            if index > 0 {
                text.push(b'.');
            }
            text.number(part.into());
        }
        text
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn number(&mut self, number: u16) {
        for power in [10_000, 1_000, 100, 10] {
            if number >= power {
                self.push(b'0' + (number / power % 10) as u8);
            }
        }
        self.push(b'0' + (number % 10) as u8);
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes.get(..self.length).unwrap_or_default());
    }
}

/// Appends a number in sixteen hexadecimal digits.
pub fn hexadecimal(out: &mut Vec<u8>, number: u64) {
    let digit = |place: u32| b"0123456789abcdef"[(number >> (4 * place) & 15) as usize];
    out.extend_from_slice(&std::array::from_fn::<_, 16, _>(|at| digit(15 - at as u32)));
}

/// Appends an IP address as it is usually written (RFC 5952 for IPv6).
pub fn ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => Short::v4(v4).append_to(out),
        // Writing to memory does not fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// Appends an address and its port: `192.0.2.1:80`, `[2001:db8::1]:80`.
pub fn address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            let mut text = Short::v4(*v4.ip());
            text.push(b':');
            text.number(v4.port());
            text.append_to(out);
        }
        SocketAddr::V6(_) => drop(write!(out, "{address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn all_is_written_as_the_standard_library_writes_it() {
        for number in [0, 7, 10, 99, 100, 65_535, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(written(|out| decimal(out, number)), number.to_string());
            assert_eq!(written(|out| hexadecimal(out, number)), format!("{number:016x}"));
        }
        for shown in
            ["10.0.200.1", "0.0.0.0", "255.255.255.255", "::", "2001:db8::1", "::ffff:1.2.3.4"]
        {
            assert_eq!(written(|out| ip(out, shown.parse().unwrap())), shown);
        }
        for shown in ["10.0.200.1:65535", "0.0.0.0:0", "[2001:db8::1]:443", "[fe80::1%2]:443"] {
            assert_eq!(written(|out| address(out, shown.parse().unwrap())), shown);
        }
    }
}
