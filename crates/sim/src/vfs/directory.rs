//! The names of a disk: as the running machine sees them, and as the medium has them.
//!
//! Changes of names are a journal that keeps its order, as in the file systems of phones: to flush a new
//! file makes its name durable and every earlier change with it; a power loss keeps a first part.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::node::Node;

/// A file that names and open files share.
pub(super) type NodeRef = Rc<RefCell<Node>>;

/// A change of names that the medium may not have.
#[derive(Debug, Clone)]
enum Change {
    Created(String, NodeRef),
    Deleted(String),
}

/// The names of a disk.
#[derive(Debug, Default)]
pub(super) struct Directory {
    names: BTreeMap<String, NodeRef>,
    durable: BTreeMap<String, NodeRef>,
    waiting: Vec<Change>,
}

impl Directory {
    pub(super) fn get(&self, name: &str) -> Option<&NodeRef> {
        self.names.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &NodeRef)> {
        self.names.iter()
    }

    pub(super) fn create(&mut self, name: &str, tracked: bool) -> NodeRef {
        let node = NodeRef::default();
        self.names.insert(name.to_owned(), Rc::clone(&node));
        if tracked {
            self.waiting.push(Change::Created(name.to_owned(), Rc::clone(&node)));
        }
        node
    }

    /// Puts a file there that the medium has.
    pub(super) fn put(&mut self, name: &str, node: Node) {
        let node = Rc::new(RefCell::new(node));
        self.commit(self.waiting.len());
        self.names.insert(name.to_owned(), Rc::clone(&node));
        self.durable.insert(name.to_owned(), node);
    }

    /// Whether there was such a file.
    pub(super) fn delete(&mut self, name: &str, tracked: bool, sync: bool) -> bool {
        let existed = self.names.remove(name).is_some();
        if existed && tracked {
            self.waiting.push(Change::Deleted(name.to_owned()));
            if sync {
                self.commit(self.waiting.len());
            }
        }
        existed
    }

    /// A flush of a file makes its name durable.
    pub(super) fn synced(&mut self, node: &NodeRef) {
        let created = |change: &Change| matches!(change, Change::Created(_, new) if Rc::ptr_eq(new, node));
        if let Some(at) = self.waiting.iter().rposition(created) {
            self.commit(at + 1);
        }
    }

    /// How many changes the medium may not have.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn commit(&mut self, count: usize) {
        for change in self.waiting.drain(..count) {
            match change {
                Change::Created(name, node) => drop(self.durable.insert(name, node)),
                Change::Deleted(name) => drop(self.durable.remove(&name)),
            }
        }
    }

    /// The names and files after a power loss that left `kept` of the waiting changes.
    pub(super) fn after_power_loss(&self, kept: usize, mut file: impl FnMut(&Node) -> Node) -> Directory {
        let mut medium = self.copy();
        medium.commit(kept.min(medium.waiting.len()));
        let mut after = Directory::default();
        for (name, node) in &medium.durable {
            after.put(name, file(&node.borrow()));
        }
        after
    }

    /// The same with files of its own, so that no open file reaches them.
    pub(super) fn copy(&self) -> Directory {
        let mut copies: Vec<(NodeRef, NodeRef)> = Vec::new();
        let mut copy = |node: &NodeRef| {
            if let Some((_, copy)) = copies.iter().find(|(known, _)| Rc::ptr_eq(known, node)) {
                return Rc::clone(copy);
            }
            let copy = Rc::new(RefCell::new(node.borrow().copy()));
            copies.push((Rc::clone(node), Rc::clone(&copy)));
            copy
        };
        Directory {
            names: self.names.iter().map(|(name, node)| (name.clone(), copy(node))).collect(),
            durable: self.durable.iter().map(|(name, node)| (name.clone(), copy(node))).collect(),
            waiting: self
                .waiting
                .iter()
                .map(|change| match change {
                    Change::Created(name, node) => Change::Created(name.clone(), copy(node)),
                    Change::Deleted(name) => Change::Deleted(name.clone()),
                })
                .collect(),
        }
    }

    /// The same names and contents, all of it durable.
    pub(super) fn settled(&self) -> Directory {
        let mut settled = Directory::default();
        for (name, node) in &self.names {
            settled.put(name, Node::settled(Rc::clone(node.borrow().bytes())));
        }
        settled
    }
}
