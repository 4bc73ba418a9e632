//! `tests/vectors/parity.json`, made by the encoder, and checked by the code as section 12 writes it down.

use segcast_proto::crypto::hash::sha256;
use segcast_proto::limits::SYMBOL;
use segcast_proto::segment::geometry::{Geometry, UNIT};
use segcast_proto::segment::parity::ParityEncoder;
use serde_json::{Map, Value};

use crate::check;
use crate::written::{Field, chunk, coefficient, parity, words};

/// Segments of 1, 2, 3 and 5 units: k = 64, 128, 192 and 320. The last one's k is no multiple of its chunk.
const UNITS: [u32; 4] = [1, 2, 3, 5];

fn encoder(units: u32) -> (Geometry, ParityEncoder) {
    let geometry = Geometry::new(1, units * UNIT, true).unwrap();
    (geometry, ParityEncoder::new(&geometry))
}

/// Byte j is j modulo 251.
fn source(geometry: &Geometry) -> Vec<u8> {
    (0..geometry.segment_bytes()).map(|j| (j % 251) as u8).collect()
}

fn encode(encoder: &mut ParityEncoder, source: &[u8]) -> Vec<u8> {
    let mut symbols = Vec::new();
    encoder.encode(source, &mut symbols);
    symbols
}

/// Columns of the matrix that the vectors show: the first two, the last of the first chunk, the first of the next, the
/// last.
fn columns(k: u32, m: u32) -> [u32; 5] {
    let c = chunk(m);
    [0, 1, c - 1, c, k - 1]
}

/// What the encoder makes of the number 1 in every element of source symbol `i`, and of zeros elsewhere: column `i` of
/// the matrix, by the first element of each parity symbol.
fn column(encoder: &mut ParityEncoder, geometry: &Geometry, i: u32) -> Vec<u16> {
    let mut unit = vec![0; geometry.segment_bytes() as usize];
    let symbol = &mut unit[i as usize * SYMBOL..][..SYMBOL];
    symbol.chunks_exact_mut(64).for_each(|block| block[..32].fill(1));
    let symbols = encode(encoder, &unit);
    symbols.chunks_exact(SYMBOL).map(|symbol| words(symbol)[0]).collect()
}

fn vector(units: u32) -> Value {
    let (geometry, mut encoder) = encoder(units);
    let (k, m) = (geometry.source_symbols(), geometry.parity_symbols());
    let symbols = encode(&mut encoder, &source(&geometry));
    let mut out = Map::new();
    out.insert("name".to_owned(), Value::String(format!("{k} source symbols")));
    let mut put = |field: &str, bytes: &[u8]| {
        out.insert(field.to_owned(), Value::String(hex::encode(bytes)));
    };
    put("source_symbols", &k.to_be_bytes());
    put("parity_symbols", &m.to_be_bytes());
    put("chunk", &chunk(m).to_be_bytes());
    for i in columns(k, m) {
        let column = column(&mut encoder, &geometry, i);
        for r in [0, 1, m - 1] {
            put(&format!("coefficient_{r}_{i}"), &column[r as usize].to_be_bytes());
        }
    }
    put("first_parity_symbol", &symbols[..SYMBOL]);
    put("last_parity_symbol", &symbols[symbols.len() - SYMBOL..]);
    put("parity_sha256", &sha256(&[&symbols]));
    Value::Object(out)
}

#[test]
fn parities() {
    check("parity.json", &UNITS.map(vector));
}

#[test]
fn the_code_as_it_is_written_down_is_the_encoders() {
    let field = Field::new();
    for units in UNITS {
        let (geometry, mut encoder) = encoder(units);
        let (k, m) = (geometry.source_symbols(), geometry.parity_symbols());
        let source = source(&geometry);
        let written = parity(&field, &source, m);
        assert!(encode(&mut encoder, &source) == written, "k = {k}");
        for i in columns(k, m) {
            let by_formula: Vec<_> = (0..m).map(|r| coefficient(&field, r, i, chunk(m))).collect();
            assert_eq!(column(&mut encoder, &geometry, i), by_formula, "k = {k}, column {i}");
        }
    }
}

/// Section 12 says where the matrix comes from: Lagrange's polynomials over the coset that a source symbol lies in.
#[test]
fn the_matrix_is_an_interpolation() {
    let field = Field::new();
    let (k, m) = (192, 48);
    let c = chunk(m);
    for i in columns(k, m) {
        let point = c + i;
        let coset = point / c * c..(point / c + 1) * c;
        for r in [0, 1, m - 1] {
            let others = coset.clone().filter(|&t| t != point);
            let value = others.fold(1, |product, t| {
                let factor = field.divide((r ^ t) as u16, (point ^ t) as u16);
                field.multiply(product, factor)
            });
            assert_eq!(value, coefficient(&field, r, i, c), "row {r}, column {i}");
        }
    }
}
