//! Tests of runs: tables for each pattern.
