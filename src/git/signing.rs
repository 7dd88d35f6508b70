//! Signatures on commits, with an SSH key, in the form that git and GitHub verify: SSHSIG in the
//! header `gpgsig`. Trees and all else of a commit stay. Ed25519 alone, since of a commit and a key
//! there is one such signature: what is signed again is the same commit.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use git2::{ObjectType, OdbLookupFlags, Oid, Repository};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey};

use super::import::{HAND_OVER, open_quarantine};
use super::rewrite::parents_first;
use super::{Mirror, oid, prepare, sha};
use crate::ids::Sha;

/// What git calls the purpose of its signatures.
const NAMESPACE: &str = "git";

/// A private key that signs commits.
#[derive(Clone)]
pub struct SigningKey(PrivateKey);

/// Why a text is no key that hob can sign with; for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSigningKey(String);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.fingerprint())
    }
}

impl SigningKey {
    /// Reads the text of a private key as `ssh-keygen -t ed25519` writes it.
    ///
    /// # Errors
    /// If it is anything else, with what it is.
    pub fn parse(text: &str) -> Result<SigningKey, NoSigningKey> {
        let no = |what: &str| Err(NoSigningKey(what.to_owned()));
        let text = text.trim();
        if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-") {
            return no("is a public key; use the private key, in the file without `.pub`");
        }
        if text.starts_with("-----BEGIN ") && !text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
            return no("is not a key in OpenSSH's format");
        }
        let Ok(key) = PrivateKey::from_openssh(text) else {
            return no("is damaged, or not an Ed25519 key; hob signs with Ed25519");
        };
        if key.is_encrypted() {
            return no("is protected with a passphrase, which hob cannot enter");
        }
        match key.algorithm() {
            Algorithm::Ed25519 => Ok(SigningKey(key)),
            other => no(&format!("is a key of the type {}; hob signs with Ed25519", other.as_str())),
        }
    }

    /// By what the key is known, as `ssh-keygen -l` and GitHub show it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    fn signature(&self, commit: &[u8]) -> anyhow::Result<String> {
        let signed = self.0.sign(NAMESPACE, HashAlg::Sha512, commit);
        let signed = signed.and_then(|signature| signature.to_pem(LineEnding::LF));
        signed.map_err(|error| anyhow::anyhow!("signing a commit: {error}"))
    }
}

/// Signs the commits of a hand-over that the mirror does not have, and returns the new tip.
///
/// # Errors
/// If libgit2 cannot read or write in the quarantine.
pub fn sign(mirror: &Mirror, quarantine: &Path, tip: &Sha, key: &SigningKey) -> anyhow::Result<Sha> {
    prepare()?;
    let repository = open_quarantine(quarantine)?;
    let odb = repository.odb().context("opening the quarantine's object database")?;
    let tip = oid(tip)?;
    let mut signed: HashMap<Oid, Oid> = HashMap::new();
    for id in parents_first(&repository, &new_commits(&repository, mirror, tip)?)? {
        let commit = odb.read(id).with_context(|| format!("reading {id}"))?;
        let commit = with_parents(&without_signature(commit.data()), &signed);
        let bytes = with_signature(&commit, &key.signature(&commit)?)?;
        let new = odb.write(ObjectType::Commit, &bytes).with_context(|| format!("signing {id}"))?;
        signed.insert(id, new);
    }
    let tip = signed.get(&tip).copied().unwrap_or(tip);
    repository
        .reference(HAND_OVER, tip, true, "hob: signature")
        .context("creating the reference for the hand-over")?;
    sha(tip)
}

/// The commits down from `tip` to what the mirror has.
fn new_commits(repository: &Repository, mirror: &Mirror, tip: Oid) -> anyhow::Result<Vec<Oid>> {
    let known = mirror.open()?;
    let known = known.odb().context("opening the mirror's object database")?;
    let mut seen = HashSet::from([tip]);
    let (mut waiting, mut new) = (vec![tip], Vec::new());
    while let Some(id) = waiting.pop() {
        if known.exists_ext(id, OdbLookupFlags::NO_REFRESH) {
            continue;
        }
        let commit = repository.find_commit(id).with_context(|| format!("reading {id}"))?;
        waiting.extend(commit.parent_ids().filter(|parent| seen.insert(*parent)));
        new.push(id);
    }
    Ok(new)
}

/// A commit's bytes with its parents under their new names. They stand in lines of their own behind
/// the tree's.
fn with_parents(commit: &[u8], signed: &HashMap<Oid, Oid>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(commit.len());
    let mut is_head = true;
    for line in commit.split_inclusive(|byte| *byte == b'\n') {
        is_head &= line.starts_with(b"tree ") || line.starts_with(b"parent ");
        let old = line.strip_prefix(b"parent ").filter(|_| is_head);
        let old = old.and_then(|id| std::str::from_utf8(id.trim_ascii_end()).ok());
        match old.and_then(|id| Oid::from_str(id).ok()).and_then(|id| signed.get(&id)) {
            Some(new) => bytes.extend_from_slice(format!("parent {new}\n").as_bytes()),
            None => bytes.extend_from_slice(line),
        }
    }
    bytes
}

/// A commit's bytes without the signatures that it has. A hand-over that is merged with what people
/// pushed meanwhile is signed once more, and git knows one signature of a commit.
fn without_signature(commit: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(commit.len());
    let (mut is_head, mut is_signature) = (true, false);
    for line in commit.split_inclusive(|byte| *byte == b'\n') {
        is_head &= line != b"\n";
        // A line that begins with a space goes on with the header before it.
        is_signature = is_head
            && (line.starts_with(b"gpgsig ")
                || line.starts_with(b"gpgsig-sha256 ")
                || (is_signature && line.starts_with(b" ")));
        if !is_signature {
            bytes.extend_from_slice(line);
        }
    }
    bytes
}

/// A commit's bytes with a signature as the last of its headers, where git puts it.
fn with_signature(commit: &[u8], signature: &str) -> anyhow::Result<Vec<u8>> {
    let end = commit.windows(2).position(|two| two == b"\n\n").context("the commit has no message")?;
    let (head, message) = commit.split_at(end + 1);
    let header = format!("gpgsig {}\n", signature.trim_end().replace('\n', "\n "));
    Ok([head, header.as_bytes(), message].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_to_sign_with_is_said() {
        let said = |text: &str| SigningKey::parse(text).unwrap_err().to_string();
        assert!(said("ssh-ed25519 AAAA me").starts_with("is a public key"));
        assert!(said("-----BEGIN RSA PRIVATE KEY-----\nx").starts_with("is not a key in OpenSSH's format"));
        assert!(said("nonsense").starts_with("is damaged, or not an Ed25519 key"));
        assert!(
            said("-----BEGIN OPENSSH PRIVATE KEY-----\nxxxx\n-----END OPENSSH PRIVATE KEY-----")
                .starts_with("is damaged, or not an Ed25519 key")
        );
    }

    #[test]
    fn a_commit_is_signed_once_however_often_it_is_signed() {
        let plain =
            format!("tree {}\nauthor x\nencoding y\n\nOne\n\ngpgsig in its text\n x\n", "a".repeat(40));
        let signature = "-----BEGIN SSH SIGNATURE-----\nabc\n-----END SSH SIGNATURE-----\n";
        let signed = with_signature(plain.as_bytes(), signature).unwrap();
        assert_ne!(signed, plain.as_bytes());
        assert_eq!(without_signature(&signed), plain.as_bytes());
        assert_eq!(without_signature(plain.as_bytes()), plain.as_bytes());
    }

    #[test]
    fn parents_are_renamed_in_the_head_alone() {
        let (old, new) = (Oid::from_str(&"a".repeat(40)).unwrap(), Oid::from_str(&"b".repeat(40)).unwrap());
        let commit = format!("tree {old}\nparent {old}\nauthor x\n\nparent {old}\n");
        let renamed = with_parents(commit.as_bytes(), &HashMap::from([(old, new)]));
        assert_eq!(
            String::from_utf8(renamed).unwrap(),
            format!("tree {old}\nparent {new}\nauthor x\n\nparent {old}\n")
        );
    }
}
