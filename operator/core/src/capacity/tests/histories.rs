//! Properties of the ledger.
