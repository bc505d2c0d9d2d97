//! What was known when: a list of what each committed transaction changed, replayed from the beginning.

use std::collections::BTreeSet;

use super::fact::Item;

/// What one committed transaction changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transaction {
    /// When it was committed, in Unix milliseconds of the clock that the transaction was given.
    pub at_ms: i64,
    /// The facts that are no longer so.
    pub before: BTreeSet<Item>,
    /// The facts that are so instead, or for the first time.
    pub after: BTreeSet<Item>,
}

/// All transactions of one ledger, in the order of their commits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    transactions: Vec<Transaction>,
}

impl History {
    /// Notes a committed transaction by all facts before it and all facts after it. One that changed
    /// nothing leaves no entry.
    pub fn commit(&mut self, at_ms: i64, before: &BTreeSet<Item>, after: &BTreeSet<Item>) {
        if before != after {
            self.transactions.push(Transaction {
                at_ms,
                before: before.difference(after).copied().collect(),
                after: after.difference(before).copied().collect(),
            });
        }
    }

    /// The transactions, in the order of their commits.
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// All facts as of a time. A clock that was set back does not reorder commits: a transaction counts
    /// from the latest time that was noted up to it.
    pub fn as_of(&self, at_ms: i64) -> BTreeSet<Item> {
        let mut facts = BTreeSet::new();
        for transaction in &self.transactions {
            if transaction.at_ms > at_ms {
                break;
            }
            for fact in &transaction.before {
                facts.remove(fact);
            }
            facts.extend(transaction.after.iter().copied());
        }
        facts
    }

    /// Whether every transaction found what the ones before it had left: nothing is missing in between.
    pub fn is_whole(&self) -> bool {
        let mut facts = BTreeSet::new();
        for transaction in &self.transactions {
            if !transaction.before.is_subset(&facts) || !transaction.after.is_disjoint(&facts) {
                return false;
            }
            for fact in &transaction.before {
                facts.remove(fact);
            }
            facts.extend(transaction.after.iter().copied());
        }
        true
    }
}
