//! Tests of expressions: tables of meaning, hostile texts, lossless values, and agreement with the `cel` crate.
