//! Reading a body: bounded in bytes, in time and in memory, and held against its signature on the
//! way.

use std::pin::Pin;
use std::task::Poll;

use axum::body::{Body, Bytes, HttpBody as _};
use tokio::time::{Instant, timeout};

use super::places::{BodyRoom, Full, Limits};
use crate::github::webhook::{Signature, SignatureError, Verifier};

/// What the first piece of a body gets in memory.
const FIRST_ROOM: usize = 16 << 10;

/// Why a body is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It has more bytes than hob reads.
    TooLarge,
    /// It pauses for too long, or comes too slowly.
    TooSlow,
    /// It ended before its end.
    Broken,
    /// There is no room in memory; others send faster.
    NoRoom,
    /// GitHub has not signed it with hob's secret.
    NotSigned(SignatureError),
}

/// A whole body that GitHub has signed. What it takes up in memory is counted until it is dropped.
pub(super) struct Signed {
    pub(super) bytes: Bytes,
    _room: BodyRoom,
}

/// A body larger than this is not worked with between other requests: it takes milliseconds.
pub(super) const LARGE: usize = 256 << 10;

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(
    body: Body,
    limit: usize,
    room: BodyRoom,
    signature: &Signature,
    verifier: Verifier,
) -> Result<Signed, BodyError> {
    let declared = body.size_hint().exact();
    if declared.is_some_and(|declared| declared > limit as u64) {
        return Err(BodyError::TooLarge);
    }
    let largest = declared.and_then(|declared| usize::try_from(declared).ok()).unwrap_or(limit);
    let limits = *room.place().limits();
    let (mut body, mut bytes, began) = (body, Vec::new(), Instant::now());
    loop {
        let piece = tokio::select! {
            () = room.place().told_to_leave() => return Err(BodyError::NoRoom),
            piece = timeout(limits.body_pause, next_piece(&mut body)) => piece,
        };
        let piece = match piece {
            Err(_) => return Err(BodyError::TooSlow),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(piece))) => piece,
        };
        if piece.len() > limit - bytes.len() {
            return Err(BodyError::TooLarge);
        }
        make_room(&mut bytes, piece.len(), largest, &room).await.map_err(|Full| BodyError::NoRoom)?;
        bytes.extend_from_slice(&piece);
        room.received(piece.len());
        // One that is whole by now is not too late.
        if !body.is_end_stream() && is_too_slow(&limits, began, bytes.len()) {
            return Err(BodyError::TooSlow);
        }
    }
    // Only now: who never ends a body costs no more than its memory.
    let bytes = Bytes::from(bytes);
    verify(verifier, &bytes, signature).await.map_err(BodyError::NotSigned)?;
    room.is_signed();
    Ok(Signed { bytes, _room: room })
}

async fn verify(mut verifier: Verifier, bytes: &Bytes, signature: &Signature) -> Result<(), SignatureError> {
    if bytes.len() <= LARGE {
        verifier.update(bytes);
        return verifier.verify(signature);
    }
    let (bytes, signature) = (bytes.clone(), signature.clone());
    let verifying = tokio::task::spawn_blocking(move || {
        verifier.update(&bytes);
        verifier.verify(&signature)
    });
    verifying.await.unwrap_or(Err(SignatureError::Mismatch))
}

fn is_too_slow(limits: &Limits, began: Instant, received: usize) -> bool {
    let took = began.elapsed();
    took > limits.body_pause && (received as f64) < limits.body_rate as f64 * took.as_secs_f64()
}

/// Memory for so many bytes more, counted before it is taken.
async fn make_room(bytes: &mut Vec<u8>, more: usize, largest: usize, room: &BodyRoom) -> Result<(), Full> {
    let wanted = bytes.len() + more;
    if wanted <= bytes.capacity() {
        return Ok(());
    }
    let capacity = bytes.capacity().saturating_mul(2).max(FIRST_ROOM).min(largest).max(wanted);
    room.grow(capacity - bytes.capacity()).await?;
    bytes.reserve_exact(capacity - bytes.len());
    Ok(())
}

/// The next bytes of a body; nothing at its end.
async fn next_piece(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        let frame = std::future::poll_fn(|context| -> Poll<_> { Pin::new(&mut *body).poll_frame(context) });
        match frame.await? {
            Err(error) => return Some(Err(error)),
            Ok(frame) => {
                // What is not data is trailers, which nobody reads.
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
        }
    }
}
