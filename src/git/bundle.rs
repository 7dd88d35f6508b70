//! The header of a git bundle, read strictly: it comes from a container an agent has been in.
//! The pack behind it is `pack.rs`'s.

use std::io::BufRead;

use git2::Oid;

use super::ImportError;

/// The longest line taken: an object id and a reference's name, with room.
const LINE_BYTES: usize = 4096;
/// The most lines taken. A bundle of one branch names one commit it needs for each merged-in line
/// of work.
const LINES: usize = 1000;

/// What a bundle says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// What its one reference points at.
    pub tip: Oid,
    /// Commits the receiver must have.
    pub prerequisites: Vec<Oid>,
    /// The header's length in bytes.
    pub length: u64,
}

/// Reads the header and leaves `input` at the first byte of the pack.
pub(super) fn read_header(input: &mut impl BufRead) -> Result<Header, ImportError> {
    let mut length = 0;
    let mut next = || -> Result<String, ImportError> {
        let line = read_line(input)?;
        length += line.len() as u64 + 1;
        Ok(line)
    };
    let version = match next()?.as_str() {
        "# v2 git bundle" => 2,
        "# v3 git bundle" => 3,
        _ => return malformed("it does not start like a bundle"),
    };
    let mut tip = None;
    let mut prerequisites = Vec::new();
    for _ in 0..LINES {
        let line = next()?;
        if line.is_empty() {
            let Some(tip) = tip else { return malformed("it has no reference") };
            return Ok(Header { tip, prerequisites, length });
        } else if let Some(capability) = line.strip_prefix('@') {
            // Any other (`filter`, SHA-256) would mean a pack that cannot be whole to us.
            if version < 3 || capability != "object-format=sha1" {
                return malformed("it requires a capability that hob does not know");
            }
        } else if let Some(needed) = line.strip_prefix('-') {
            prerequisites.push(object_id(needed.split(' ').next().unwrap_or_default())?);
        } else {
            let Some((id, name)) = line.split_once(' ') else { return malformed("a reference has no name") };
            if name.is_empty() {
                return malformed("a reference has no name");
            }
            if tip.replace(object_id(id)?).is_some() {
                return malformed("it has more than one reference");
            }
        }
    }
    malformed("its header does not end")
}

fn malformed<T>(what: &str) -> Result<T, ImportError> {
    Err(ImportError::Malformed(what.to_owned()))
}

fn object_id(text: &str) -> Result<Oid, ImportError> {
    // libgit2 itself would accept a shortened id.
    match Oid::from_str(text) {
        Ok(id) if text.len() == 40 => Ok(id),
        _ => malformed("an object id in its header is invalid"),
    }
}

fn read_line(input: &mut impl BufRead) -> Result<String, ImportError> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        match input.read(&mut byte) {
            Ok(0) => return malformed("it ends within its header"),
            Ok(_) if byte == *b"\n" => break,
            Ok(_) if line.len() == LINE_BYTES => return malformed("a line of its header is too long"),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(ImportError::Other(anyhow::Error::new(error).context("reading a bundle")));
            }
        }
    }
    String::from_utf8(line).or_else(|_| malformed("its header is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789012345678901234567890123456789";

    fn read(text: &str) -> Result<Header, ImportError> {
        read_header(&mut text.as_bytes())
    }

    #[test]
    fn a_header_ends_where_the_pack_begins() {
        for first in ["# v2 git bundle\n", "# v3 git bundle\n@object-format=sha1\n"] {
            let text = format!("{first}-{ID} what it needs\n{ID} refs/heads/x\n\nPACK");
            let mut input = text.as_bytes();
            let header = read_header(&mut input).unwrap();
            assert_eq!(header.tip, Oid::from_str(ID).unwrap());
            assert_eq!(header.prerequisites, [header.tip]);
            assert_eq!((input, header.length), (&b"PACK"[..], text.len() as u64 - 4));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let id = ID;
        for text in [
            String::new(),
            "PACK".to_owned(),
            "# v4 git bundle\n".to_owned(),
            "# v2 git bundle\n\n".to_owned(),
            format!("# v2 git bundle\n{id} a\n{id} b\n\n"),
            format!("# v2 git bundle\n{id}\n\n"),
            "# v2 git bundle\n0123 a\n\n".to_owned(),
            format!("# v2 git bundle\n@object-format=sha1\n{id} a\n\n"),
            format!("# v3 git bundle\n@filter=blob:none\n{id} a\n\n"),
            format!("# v2 git bundle\n{}", "x".repeat(LINE_BYTES + 1)),
            format!("# v2 git bundle\n{}", format!("-{id}\n").repeat(LINES)),
            format!("# v2 git bundle\n{id} a\n"),
        ] {
            assert!(matches!(read(&text), Err(ImportError::Malformed(_))), "{text:.60}");
        }
    }
}
