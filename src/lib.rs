//! The step ledger.
