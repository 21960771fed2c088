//! Tests of reading policies: what is refused, with the remedy, and what the numbers mean.
