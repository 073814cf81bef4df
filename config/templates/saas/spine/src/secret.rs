//! Randomness, token digests and passwords.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha256};

use crate::Error;

/// Letters of an id: no look-alikes, and safe in an address.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// 100 random bits as 20 letters and digits.
///
/// A machine without randomness cannot keep secrets: the digits then are empty, and the insert
/// that follows is refused by the primary key the second time.
pub(crate) fn id_text() -> String {
    let mut bytes = [0_u8; 20];
    if getrandom::fill(&mut bytes).is_err() {
        return String::new();
    }
    bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32))).map(|letter| char::from(*letter)).collect()
}

/// A secret of 256 random bits, in hexadecimal.
pub(crate) fn token() -> Result<String, Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| Error::Internal("no randomness"))?;
    Ok(hex(&bytes))
}

/// What is stored of a secret: whoever reads the file cannot use it.
pub(crate) fn digest(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
pub(crate) fn equal(left: &str, right: &str) -> bool {
    left.len() == right.len() && left.bytes().zip(right.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Hashes a password with argon2id and a fresh salt, as a PHC string.
///
/// **Cost**: about 19 MiB and some 30 ms, by intention.
pub(crate) fn hash_password(password: &str) -> Result<String, Error> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|_| Error::Internal("the password could not be hashed"))
}

/// Whether the password is the one that was hashed; `None` takes as long as a wrong one, so that
/// nobody learns which addresses have an account.
pub(crate) fn verify_password(password: &str, hash: Option<&str>) -> bool {
    let Some(hash) = hash else {
        let _ = hash_password(password);
        return false;
    };
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{equal, hash_password, id_text, token, verify_password};

    #[test]
    fn a_password_is_known_again_and_another_is_not() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify_password("correct horse", Some(&hash)));
        assert!(!verify_password("correct hors", Some(&hash)));
        assert!(!verify_password("correct horse", None));
    }

    #[test]
    fn secrets_and_ids_are_never_the_same_twice() {
        assert_ne!(token().unwrap(), token().unwrap());
        assert_ne!(id_text(), id_text());
        assert_eq!(id_text().len(), 20);
    }

    #[test]
    fn secrets_are_compared_whole() {
        assert!(equal("abc", "abc"));
        assert!(!equal("abc", "abd"));
        assert!(!equal("abc", "abcd"));
    }
}
