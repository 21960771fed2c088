//! Tests of the index: what changes above is seen below, and what does not change is kept.
