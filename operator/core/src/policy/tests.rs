//! Tests of the lattice.
