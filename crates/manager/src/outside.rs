//! Files from URLs that somebody names: fetched without giving anybody a way into this host's
//! network.
//!
//! A name is resolved once, its addresses are looked at, and exactly those are connected to: what a
//! server's name means a moment later does not matter. The same happens at each redirect. Proxies of
//! the environment are not asked, as they would resolve names themselves.

use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tintype_model::{Error, ErrorKind, Result};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_mins(1);
const BODY: Duration = Duration::from_hours(24);
const REDIRECTS: u32 = 5;

/// An address, or a network: `10.1.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            || Error::invalid(format!("{text}: is no address, and no network as 10.0.0.0/8"));
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > most { Err(wrong()) } else { Ok(Self { address, bits }) }
    }
}

impl<'de> serde::Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|error: Error| serde::de::Error::custom(error.message()))
    }
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            let shift = width - u32::from(self.bits);
            a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
        };
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

/// Whether it belongs to the internet, by IANA's registries of special-purpose addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => is_public_v4(address),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..128, _)
            | (169, 254, _)
            | (172, 16..32, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18..20, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// Of what is given out at all (2000::/3), what has another meaning: protocols, other transports
/// that hold an address of IPv4, documentation.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    match (a, b) {
        (0x2001, 0..0x200 | 0xdb8) | (0x2002, _) => false,
        (0x3fff, b) if b < 0x1000 => false,
        (a, _) => a & 0xe000 == 0x2000,
    }
}

/// Resolves names to addresses that may be reached, and to no others.
struct Guarded {
    allowed: Vec<Network>,
    inner: DefaultResolver,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl Guarded {
    fn may_reach(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        is_public(plain) || self.allowed.iter().any(|network| network.holds(plain))
    }
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        match found.iter().find(|address| !self.may_reach(address.ip())) {
            None => Ok(found),
            Some(address) => Err(ureq::Error::Io(io::Error::other(Error::denied(format!(
                "{} is {}, which is no public address: an administrator may allow it \
                 (`uploads.allow` in tintype.toml)",
                uri.host().unwrap_or_default(),
                address.ip()
            ))))),
        }
    }
}

/// For people and logs: without what may be secret.
pub fn shown(url: &str) -> Result<String> {
    let wrong = |what: &str| Error::invalid(format!("`url`: {what}"));
    let uri: Uri = url.parse().map_err(|_| wrong("it is none"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("it begins with https:// or http://"));
    };
    if !matches!(scheme, "https" | "http") {
        return Err(wrong("it begins with https:// or http://"));
    }
    if authority.as_str().contains('@') {
        return Err(wrong("it must not hold a password"));
    }
    Ok(format!("{scheme}://{authority}{}", uri.path()))
}

/// What comes from a URL.
pub struct Incoming {
    /// As the server announces it.
    pub size_bytes: Option<u64>,
    pub body: Box<dyn Read + Send>,
}

/// Asks for it; `url` was [`shown`].
pub fn fetch(url: &str, allowed: &[Network]) -> Result<Incoming> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(REDIRECTS)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(ANSWER))
        .timeout_recv_body(Some(BODY))
        .tls_config(tls)
        .build();
    let resolver = Guarded { allowed: allowed.to_vec(), inner: DefaultResolver::default() };
    let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
    let name = shown(url)?;
    let answer = agent.get(url).call().map_err(|error| failed(error, &name))?;
    let (parts, body) = answer.into_parts();
    if parts.status != 200 {
        let what = format!("{name}: the server answers {}", parts.status);
        return Err(Error::new(ErrorKind::NotFound, what));
    }
    let size_bytes = body.content_length();
    let body = Box::new(body.into_with_config().limit(u64::MAX).reader());
    Ok(Incoming { size_bytes, body })
}

fn failed(error: ureq::Error, name: &str) -> Error {
    match error {
        ureq::Error::Io(error) => Error::io(error, name),
        error => Error::unavailable(format!("{name}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_internet_is_known() {
        let private = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "100::1",
            "fec0::1",
        ];
        for address in private {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        let public = [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "2001:4860::8888",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn networks_are_allowed_by_name() {
        let guarded = |allowed: &[&str]| Guarded {
            allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(),
            inner: DefaultResolver::default(),
        };
        let reaches =
            |allowed: &[&str], address: &str| guarded(allowed).may_reach(address.parse().unwrap());
        assert!(!reaches(&[], "10.0.0.1"));
        assert!(reaches(&["10.0.0.0/8"], "10.255.0.1"));
        assert!(reaches(&["10.0.0.0/8"], "::ffff:10.0.0.1"));
        assert!(!reaches(&["10.0.0.0/8"], "11.0.0.1") || is_public("11.0.0.1".parse().unwrap()));
        assert!(!reaches(&["10.0.0.1"], "10.0.0.2"));
        assert!(reaches(&["fd00::/8"], "fd12::1") && !reaches(&["fd00::/8"], "fe80::1"));
        assert!(reaches(&["0.0.0.0/0"], "127.0.0.1") && !reaches(&["0.0.0.0/0"], "::1"));
        for bad in ["10.0.0.0/33", "::/129", "x", "10.0.0.0/", "10.0.0/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_are_shown_without_secrets() {
        assert_eq!(shown("https://h:8/a/b.zip?token=x").unwrap(), "https://h:8/a/b.zip");
        for bad in ["file:///etc/passwd", "ftp://h/x", "https://u:p@h/x", "h/x", "https://", ""] {
            let told = shown(bad).unwrap_err().message().to_owned();
            assert!(!told.contains("p@"), "{told}");
        }
    }

    #[test]
    fn this_host_is_not_reached_under_any_name() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let hosts = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1"];
        for host in hosts {
            let Err(refused) = fetch(&format!("http://{host}:{port}/x"), &[]) else {
                panic!("{host} was reached")
            };
            // Some resolvers do not know the short form.
            let is_right = refused.is(ErrorKind::Denied) || host == "127.1";
            assert!(is_right, "{host}: {refused}");
        }
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nobody connected");
    }
}
