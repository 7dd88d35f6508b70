//! A look through a pack before libgit2 gets it: how many objects, and how large each becomes.
//! libgit2 builds every deltified object in memory, and a delta of 2 KB can stand for an object of
//! 4 GB, so sizes must be known first. Whether the objects are right is left to libgit2 and
//! `connectivity.rs`.

use std::io::{BufRead, Read};

use flate2::bufread::ZlibDecoder;

use super::{ImportError, ImportLimits};

/// Bytes of a pack's header: `PACK`, version, number of objects.
const HEADER_BYTES: usize = 12;
/// Bytes of the checksum behind the last object.
const CHECKSUM_BYTES: usize = 20;
/// Enough of a delta's beginning for its two sizes, of at most ten bytes each.
const DELTA_START_BYTES: usize = 20;

/// Checks that the pack has the form of one and stays within the limits.
pub(super) fn survey(input: &mut impl BufRead, limits: &ImportLimits) -> Result<(), ImportError> {
    let header: [u8; HEADER_BYTES] = read_exact(input)?;
    let (word, count) = (&header[..8], u32::from_be_bytes([header[8], header[9], header[10], header[11]]));
    if word != b"PACK\0\0\0\x02" && word != b"PACK\0\0\0\x03" {
        return malformed("it contains no pack of a known version");
    }
    if u64::from(count) > limits.max_objects {
        return Err(ImportError::TooLarge { what: "number of objects", limit: limits.max_objects });
    }
    let mut total: u64 = 0;
    for _ in 0..count {
        total = total.saturating_add(survey_object(input, limits)?);
        if total > limits.max_unpacked_bytes {
            let limit = limits.max_unpacked_bytes;
            return Err(ImportError::TooLarge { what: "unpacked size in bytes", limit });
        }
    }
    let _checksum: [u8; CHECKSUM_BYTES] = read_exact(input)?;
    match input.fill_buf() {
        Ok([]) => Ok(()),
        Ok(_) => malformed("there is data after the pack"),
        Err(error) => Err(reading(error)),
    }
}

/// Passes one object and returns how many bytes it takes up unpacked, in memory or on disk.
fn survey_object(input: &mut impl BufRead, limits: &ImportLimits) -> Result<u64, ImportError> {
    let [mut byte] = read_exact(input)?;
    let kind = (byte >> 4) & 7;
    let mut size = u64::from(byte & 15);
    let mut shift = 4;
    while byte & 0x80 != 0 {
        [byte] = read_exact(input)?;
        size = with_digit(size, byte, shift)?;
        shift += 7;
    }
    match kind {
        1..=4 => {}
        // A delta against an object some bytes before it, or against one named by its id.
        6 => while read_exact::<1>(input)?[0] & 0x80 != 0 {},
        7 => {
            let _base: [u8; 20] = read_exact(input)?;
        }
        _ => return malformed("it contains an object of an unknown type"),
    }
    check_object_size(size, limits)?;
    let start = inflate(input, size)?;
    if kind < 5 {
        return Ok(size);
    }
    let mut start = start.as_slice();
    let _base_size = delta_size(&mut start)?;
    let result_size = delta_size(&mut start)?;
    check_object_size(result_size, limits)?;
    Ok(size.saturating_add(result_size))
}

fn check_object_size(size: u64, limits: &ImportLimits) -> Result<(), ImportError> {
    if size > limits.max_object_bytes {
        return Err(ImportError::TooLarge {
            what: "size of one object in bytes",
            limit: limits.max_object_bytes,
        });
    }
    Ok(())
}

/// Unpacks what must come to exactly `size` bytes, and returns the first few of them.
fn inflate(input: &mut impl BufRead, size: u64) -> Result<Vec<u8>, ImportError> {
    let mut decoder = ZlibDecoder::new(input);
    let mut start = Vec::with_capacity(DELTA_START_BYTES);
    let mut buffer = [0; 16 * 1024];
    let mut found: u64 = 0;
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let wanted = DELTA_START_BYTES - start.len();
                start.extend_from_slice(&buffer[..count.min(wanted)]);
                found += count as u64;
                if found > size {
                    return malformed("an object is larger than declared");
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return malformed("an object is not compressed correctly"),
        }
    }
    if found < size { malformed("an object is smaller than declared") } else { Ok(start) }
}

/// A size at the beginning of a delta: seven bits a byte, the low ones first.
fn delta_size(start: &mut &[u8]) -> Result<u64, ImportError> {
    let (mut size, mut shift) = (0, 0);
    loop {
        let [byte] = read_exact(start)?;
        size = with_digit(size, byte, shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Ok(size);
        }
    }
}

fn with_digit(size: u64, byte: u8, shift: u32) -> Result<u64, ImportError> {
    // 57 + 7 bits fill a u64; what would need more is no size of anything.
    if shift > 57 {
        return malformed("it contains an invalid size");
    }
    Ok(size | u64::from(byte & 0x7f) << shift)
}

fn read_exact<const N: usize>(input: &mut impl BufRead) -> Result<[u8; N], ImportError> {
    let mut bytes = [0; N];
    match input.read_exact(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => malformed("the pack is truncated"),
        Err(error) => Err(reading(error)),
    }
}

fn reading(error: std::io::Error) -> ImportError {
    ImportError::Other(anyhow::Error::new(error).context("reading a pack"))
}

fn malformed<T>(what: &str) -> Result<T, ImportError> {
    Err(ImportError::Malformed(what.to_owned()))
}
