//! `database.sslkey` and `database.sslpassword`: the private key to a client's certificate.
//!
//! The JDBC driver's own form is PKCS #8 in DER (`.pk8`), with or without a password; PEM is taken too. libpq's encrypted
//! `RSA PRIVATE KEY` is not: its key is derived with a single round of MD5.

use std::path::Path;

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use md5::{Digest as _, Md5};
use pkcs8::der::SecretDocument;
use pkcs8::pkcs5::pbes1::{Algorithm, EncryptionScheme};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::config::Connection;
use crate::error::TaskError;

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// The key in the file at `path`.
///
/// # Errors
/// Stop when the file cannot be read, is no private key, or its password is missing or wrong.
pub(super) fn read(connection: &Connection, path: &str) -> Result<PrivateKeyDer<'static>, TaskError> {
    let fail = |why: &str| TaskError::stop("client-key", format!("database.sslkey: {path} {why}"));
    let bytes = std::fs::read(Path::new(path)).map_err(|error| fail("cannot be read").because(error))?;
    let password = connection.sslpassword.as_ref().map(|password| password.expose());
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN "));
    let Some(text) = text else { return der(&bytes, password).map_err(|why| fail(&why)) };
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(fail(
            "is encrypted in OpenSSL's old form; write it anew as PKCS #8: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW",
        ));
    }
    if text.contains(&format!("-----BEGIN {ENCRYPTED}-----")) {
        let (_, document) = SecretDocument::from_pem(text).map_err(|_| fail("is no PEM file that can be read"))?;
        return der(document.as_bytes(), password).map_err(|why| fail(&why));
    }
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|error| fail("does not hold a private key that can be used").because(error))
}

/// A key in DER: PKCS #8 with or without a password, or one of the older forms.
fn der(bytes: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    if PrivateKeyInfoRef::try_from(bytes).is_ok() {
        return Ok(PrivatePkcs8KeyDer::from(bytes.to_vec()).into());
    }
    let Ok(encrypted) = EncryptedPrivateKeyInfoRef::try_from(bytes) else {
        return PrivateKeyDer::try_from(bytes.to_vec())
            .map_err(|_| "does not hold a private key that can be used".to_owned());
    };
    let password = password.ok_or_else(|| "is encrypted, and database.sslpassword is not set".to_owned())?;
    let key = match encrypted.encryption_algorithm.pbes1() {
        Some(algorithm) => of_old_scheme(algorithm, password, encrypted.encrypted_data.as_bytes())?,
        None => encrypted.decrypt(password).map(|key| key.as_bytes().to_vec()).map_err(|_| UNREADABLE.to_owned())?,
    };
    if PrivateKeyInfoRef::try_from(&key[..]).is_err() {
        return Err(UNREADABLE.to_owned());
    }
    Ok(PrivatePkcs8KeyDer::from(key).into())
}

const UNREADABLE: &str = "cannot be decrypted with database.sslpassword: the password is wrong, or it is encrypted in a way that is \
     not read here; write it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -outform DER -out NEW";

/// `PBE-MD5-DES`, which the JDBC driver's manual showed for years (RFC 8018, sections 5.1 and 6.1).
fn of_old_scheme(algorithm: &Algorithm, password: &str, encrypted: &[u8]) -> Result<Vec<u8>, String> {
    if algorithm.encryption != EncryptionScheme::PbeWithMd5AndDesCbc {
        return Err(UNREADABLE.to_owned());
    }
    let mut derived = Md5::new_with_prefix(password).chain_update(algorithm.parameters.salt).finalize();
    for _ in 1..algorithm.parameters.iteration_count {
        derived = Md5::digest(derived);
    }
    let (key, iv) = derived.split_at(8);
    let mut room = encrypted.to_vec();
    let decryptor = cbc::Decryptor::<des::Des>::new_from_slices(key, iv).map_err(|_| UNREADABLE.to_owned())?;
    decryptor.decrypt_padded::<Pkcs7>(&mut room).map(<[u8]>::to_vec).map_err(|_| UNREADABLE.to_owned())
}
