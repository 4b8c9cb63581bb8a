//! Java's key stores in PEM, which everybody else reads: JKS (`sun.security.provider.JavaKeyStore`) and PKCS #12.
//!
//! Java tells the two apart by their first bytes, whatever the store's type is said to be, and so does this.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{Decode as _, Reader as _, SliceReader};
use pkcs8::spki::AlgorithmIdentifierRef;
use sha1::{Digest as _, Sha1};

const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const JCEKS: [u8; 4] = [0xce, 0xce, 0xce, 0xce];
/// What the digest over a whole JKS file begins with, behind the password.
const WHITENER: &[u8] = b"Mighty Aphrodite";
/// `1.3.6.1.4.1.42.2.17.1.1`, the protection of a key in a JKS file.
const SUN_PROTECTOR: &str = "1.3.6.1.4.1.42.2.17.1.1";

/// A private key and its certificates, the own one first, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificates.
    pub chain: String,
    /// The key, without a password.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The certificates that a trust store trusts, as PEM; PEM is taken as it is.
///
/// # Errors
/// Why the store cannot be read. A wrong password is told as such.
pub fn trusted(store: &[u8], password: Option<&str>) -> Result<String, String> {
    if let Some(text) = as_pem(store) {
        return Ok(text);
    }
    let entries = entries(store, password)?;
    let trusted: Vec<&[u8]> = entries.iter().filter_map(|entry| entry.chain.first().map(Vec::as_slice)).collect();
    if trusted.is_empty() {
        return Err("it has no trusted certificate".to_owned());
    }
    Ok(trusted.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect())
}

/// The first private key of a key store with its certificates; PEM is taken as it is, for both.
///
/// # Errors
/// Why the store cannot be read, or that it has no key.
pub fn identity(store: &[u8], password: Option<&str>, key_password: Option<&str>) -> Result<Identity, String> {
    if let Some(text) = as_pem(store) {
        return Ok(Identity { chain: text.clone(), key: text });
    }
    let entry = entries(store, password)?.into_iter().find(|entry| entry.key.is_some());
    let (key, chain) = match entry {
        Some(Entry { key: Some(Key::Plain(key)), chain }) => (key, chain),
        Some(Entry { key: Some(Key::Protected(key)), chain }) => {
            (unprotected(&key, key_password.or(password).unwrap_or_default())?, chain)
        }
        _ => return Err("it has no private key".to_owned()),
    };
    Ok(Identity {
        chain: chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect(),
        key: pem("PRIVATE KEY", &key),
    })
}

/// A key with its certificates, or a certificate alone, in DER.
struct Entry {
    key: Option<Key>,
    chain: Vec<Vec<u8>>,
}

enum Key {
    /// PKCS #8.
    Plain(Vec<u8>),
    /// As JKS keeps it: PKCS #8's encrypted form, with Sun's own protection.
    Protected(Vec<u8>),
}

fn entries(store: &[u8], password: Option<&str>) -> Result<Vec<Entry>, String> {
    match store.first_chunk() {
        Some(&JKS) => jks(store, password),
        Some(&JCEKS) => Err("it is a JCEKS store; PKCS #12, JKS and PEM can be read".to_owned()),
        _ => pkcs12(store, password.unwrap_or_default()),
    }
}

fn pkcs12(store: &[u8], password: &str) -> Result<Vec<Entry>, String> {
    // Java does not trust a certificate that is not marked as trusted either.
    let store = KeyStore::from_pkcs12(store, password, Pkcs12ImportPolicy::Strict).map_err(|error| {
        let wrong = matches!(error, p12_keystore::error::Error::MacError(_));
        if wrong {
            WRONG_PASSWORD.to_owned()
        } else {
            format!("it is no PKCS #12, JKS or PEM that can be read: {error}")
        }
    })?;
    let entry = |entry: &KeyStoreEntry| match entry {
        KeyStoreEntry::PrivateKeyChain(chain) => Some(Entry {
            key: Some(Key::Plain(chain.key().as_der().to_vec())),
            chain: chain.certs().iter().map(|certificate| certificate.as_der().to_vec()).collect(),
        }),
        KeyStoreEntry::Certificate(certificate) => {
            Some(Entry { key: None, chain: vec![certificate.as_der().to_vec()] })
        }
        KeyStoreEntry::Secret(_) => None,
    };
    Ok(store.entries().filter_map(|(_, of)| entry(of)).collect())
}

const WRONG_PASSWORD: &str = "the password is not the store's, or the file was damaged";

fn jks(store: &[u8], password: Option<&str>) -> Result<Vec<Entry>, String> {
    let damaged = || "it is a JKS store that ends too early".to_owned();
    let (body, digest) = store.split_last_chunk::<20>().ok_or_else(damaged)?;
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        let mut expected = Sha1::new_with_prefix(utf16(password));
        expected.update(WHITENER);
        expected.update(body);
        if expected.finalize().as_slice() != digest {
            return Err(WRONG_PASSWORD.to_owned());
        }
    }
    read_jks(&mut Cursor(body)).ok_or_else(damaged)
}

fn read_jks(from: &mut Cursor<'_>) -> Option<Vec<Entry>> {
    let (_magic, version, count) = (from.u32()?, from.u32()?, from.u32()?);
    let mut entries = Vec::new();
    for _ in 0..count {
        let kind = from.u32()?;
        let length = from.u16()?;
        let (_alias, _created) = (from.take(length.into())?, from.take(8)?);
        let key = match kind {
            1 => Some(Key::Protected(from.sized()?.to_vec())),
            2 => None,
            _ => return None,
        };
        let certificates = if key.is_some() { from.u32()? } else { 1 };
        let mut chain = Vec::new();
        for _ in 0..certificates {
            if version == 2 {
                let length = from.u16()?;
                from.take(length.into())?;
            }
            chain.push(from.sized()?.to_vec());
        }
        entries.push(Entry { key, chain });
    }
    Some(entries)
}

/// `sun.security.provider.KeyProtector`: a salt, the key under a stream of digests, and a digest of the key.
fn unprotected(info: &[u8], password: &str) -> Result<Vec<u8>, String> {
    let parts = SliceReader::new(info).and_then(|mut reader| {
        reader.sequence(|inner| {
            Ok::<_, pkcs8::der::Error>((AlgorithmIdentifierRef::decode(inner)?, <&OctetStringRef>::decode(inner)?))
        })
    });
    let (algorithm, protected) = parts.map_err(|error| format!("its private key cannot be read: {error}"))?;
    if algorithm.oid.to_string() != SUN_PROTECTOR {
        return Err(format!("its private key is protected by {}, which is not JKS's own way", algorithm.oid));
    }
    let too_short = || "its private key is too short".to_owned();
    let (salt, rest) = protected.as_bytes().split_first_chunk::<20>().ok_or_else(too_short)?;
    let (hidden, check) = rest.split_last_chunk::<20>().ok_or_else(too_short)?;
    let password = utf16(password);
    let mut digest = salt.to_vec();
    let mut key = Vec::with_capacity(hidden.len());
    for chunk in hidden.chunks(20) {
        digest = Sha1::new_with_prefix(&password).chain_update(&digest).finalize().to_vec();
        key.extend(chunk.iter().zip(&digest).map(|(hidden, stream)| hidden ^ stream));
    }
    let expected = Sha1::new_with_prefix(&password).chain_update(&key).finalize();
    if expected.as_slice() == check { Ok(key) } else { Err("the password is not the key's".to_owned()) }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn as_pem(store: &[u8]) -> Option<String> {
    std::str::from_utf8(store).ok().filter(|text| text.contains("-----BEGIN ")).map(str::to_owned)
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// Over what may end anywhere.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Bytes behind their number.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One certificate and its key, as Java's and OpenSSL's tools keep them.
    const OWN: [&[u8]; 3] = [
        include_bytes!("../../fuzz/corpus/key_stores/pem"),
        include_bytes!("../../fuzz/corpus/key_stores/old-own"),
        include_bytes!("../../fuzz/corpus/key_stores/modern-own"),
    ];
    const TRUSTED: [&[u8]; 2] = [
        include_bytes!("../../fuzz/corpus/key_stores/old-trusted"),
        include_bytes!("../../fuzz/corpus/key_stores/modern-trusted"),
    ];

    #[test]
    fn every_kind_of_store_has_the_same_certificate_and_key() {
        let [pem, old, modern] = OWN.map(|store| identity(store, Some("changeit"), None).unwrap());
        assert_eq!(old, modern);
        assert!(pem.key.contains(&old.key) && pem.chain.contains(&old.chain), "PEM is taken as it is");
        for store in TRUSTED {
            assert_eq!(trusted(store, Some("changeit")).unwrap(), old.chain);
        }
        assert!(!format!("{old:?}").contains("BEGIN"), "keys are not shown");
    }

    #[test]
    fn a_wrong_password_is_told_as_such() {
        for store in [OWN[1], OWN[2]] {
            assert!(identity(store, Some("wrong"), None).unwrap_err().contains("password"));
        }
        for store in TRUSTED {
            assert!(trusted(store, Some("wrong")).unwrap_err().contains("password"));
        }
        assert_eq!(identity(OWN[1], Some("changeit"), Some("wrong")).unwrap_err(), "the password is not the key's");
        assert!(trusted(TRUSTED[0], None).is_ok(), "Java reads certificates of JKS without a password");
        assert_eq!(identity(TRUSTED[1], Some("changeit"), None).unwrap_err(), "it has no private key");
    }

    #[test]
    fn what_is_no_store_is_refused() {
        let whole = OWN[1];
        for end in 0..whole.len() {
            assert!(trusted(&whole[..end], None).is_err(), "{end} bytes");
        }
        assert!(trusted(b"x", None).is_err());
    }
}
