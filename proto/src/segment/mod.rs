//! Segments of a title: geometry, encryption, digests, parity and the signed manifest (sections 12, 13).
//!
//! What edges and peers hold is the *stored* segment (ciphertext, or the plain bytes of a clear set); digests,
//! parity and leaves are computed from that.

pub mod geometry;
