//! Tests of validation: one row for each mistake.
