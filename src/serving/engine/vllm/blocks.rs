use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

/// No node.
const NONE: u32 = u32::MAX;

/// The paged KV memory of an engine: who uses a block, what is in it, in which order free ones go.
///
/// vLLM keeps a queue of free blocks; new blocks are taken at its front, and a cached block that
/// is taken loses its content. Blocks whose content nobody can ask for are alike, wherever they
/// stand: a stretch of them is one node of the queue with a count. Only a block that a lookup could
/// find has a node of its own. So memory grows with shared content alone, and an idle pool is one
/// node of any size.
///
/// ```
/// use fleetsim::serving::vllm::Blocks;
/// let mut blocks = Blocks::new(4);
/// blocks.take(2);
/// let shared = blocks.register(7);
/// assert_eq!((blocks.free(), blocks.find(7)), (1, Some(shared)));
/// blocks.release(1, 0, &[shared]);
/// assert_eq!((blocks.free(), blocks.find(7)), (3, Some(shared)));
/// blocks.take(3);
/// assert_eq!(blocks.find(7), None);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Blocks {
    usable: u32,
    free: u32,
    nodes: Vec<Node>,
    /// The first of the places in `nodes` that are vacant, linked by `after`.
    vacant: u32,
    /// The ends of the queue of free blocks.
    front: u32,
    back: u32,
    /// For each content the blocks that have it, in the order in which they got it.
    found: HashMap<u128, Equals, BuildHasherDefault<Taken>>,
}

/// A block with content that can be found, by its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockId(u32);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Node {
    /// What is in the block and all before it.
    content: u128,
    /// Requests that use the block; it is in the queue if there are none.
    users: u32,
    /// Blocks of a stretch that nobody can find; 0 for a block with content.
    stretch: u32,
    /// Neighbours in the queue.
    before: u32,
    after: u32,
    /// Neighbours among the blocks of equal content.
    older: u32,
    newer: u32,
    /// The block that was found after this one last.
    next: u32,
}

/// Blocks of equal content: the one that got it first, and the last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Equals {
    oldest: u32,
    newest: u32,
}

/// A content is evenly spread already: half of its bits serve as the hash.
#[derive(Clone, Copy, Debug, Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, content: u128) {
        self.0 = content as u64;
    }
}

impl Blocks {
    /// A pool of `num_gpu_blocks` blocks, one of which, the null block, is never used.
    #[must_use]
    pub fn new(num_gpu_blocks: u32) -> Self {
        let usable = num_gpu_blocks.saturating_sub(1);
        let mut blocks = Self {
            usable,
            free: 0,
            nodes: Vec::new(),
            vacant: NONE,
            front: NONE,
            back: NONE,
            found: HashMap::default(),
        };
        blocks.push_back_stretch(usable);
        blocks
    }

    /// Blocks that can be used.
    #[must_use]
    pub const fn usable(&self) -> u32 {
        self.usable
    }

    /// Blocks that nobody uses, cached ones included.
    #[must_use]
    pub const fn free(&self) -> u32 {
        self.free
    }

    /// Blocks with a user.
    #[must_use]
    pub const fn used(&self) -> u32 {
        self.usable - self.free
    }

    /// Takes `count` blocks from the front of the queue, at most as many as are free; the content of
    /// those that had some is forgotten.
    #[inline]
    pub fn take(&mut self, count: u32) {
        debug_assert!(count <= self.free, "blocks are there before they are taken");
        let mut left = count;
        while left > 0 && self.front != NONE {
            let first = self.front;
            let stretch = self.nodes[first as usize].stretch;
            if stretch > left {
                self.nodes[first as usize].stretch = stretch - left;
                self.free -= left;
                return;
            }
            self.unlink(first);
            if stretch == 0 {
                self.forget(first);
            }
            self.vacate(first);
            let gone = stretch.max(1);
            left -= gone;
            self.free -= gone;
        }
    }

    /// The block that has this content, of several the one that got it first.
    #[must_use]
    pub fn find(&self, content: u128) -> Option<BlockId> {
        self.found
            .get(&content)
            .map(|equals| BlockId(equals.oldest))
    }

    /// The same for the content that follows that of `previous`: mostly the block that was found then last time.
    #[inline]
    pub(super) fn find_after(
        &mut self,
        previous: Option<BlockId>,
        content: u128,
    ) -> Option<BlockId> {
        let Some(BlockId(previous)) = previous else {
            return self.find(content);
        };
        let next = self.nodes[previous as usize].next;
        if let Some(node) = self.nodes.get(next as usize)
            && node.content == content
            && node.stretch == 0
            && node.older == NONE
        {
            return Some(BlockId(next));
        }
        let found = self.find(content)?;
        self.nodes[previous as usize].next = found.0;
        Some(found)
    }

    /// Whether nobody uses a block.
    #[must_use]
    pub fn is_unused(&self, block: BlockId) -> bool {
        self.nodes[block.0 as usize].users == 0
    }

    /// Gives a block one more user; it leaves the queue if it had none.
    #[inline]
    pub fn share(&mut self, block: BlockId) {
        if self.nodes[block.0 as usize].users == 0 {
            self.unlink(block.0);
            self.free -= 1;
        }
        self.nodes[block.0 as usize].users += 1;
    }

    /// Makes a block that the caller has taken one that can be found by its content.
    pub fn register(&mut self, content: u128) -> BlockId {
        let node = self.place(Node {
            content,
            users: 1,
            stretch: 0,
            before: NONE,
            after: NONE,
            older: NONE,
            newer: NONE,
            next: NONE,
        });
        match self.found.get_mut(&content) {
            Some(equals) => {
                let older = std::mem::replace(&mut equals.newest, node);
                self.nodes[older as usize].newer = node;
                self.nodes[node as usize].older = older;
            }
            None => {
                let (oldest, newest) = (node, node);
                self.found.insert(content, Equals { oldest, newest });
            }
        }
        BlockId(node)
    }

    /// Gives back the blocks of a request, from its last to its first.
    ///
    /// `plain` blocks without content go to the front of the queue; to the back go `spent` blocks
    /// whose content nobody can ask for any more, then those of `found`, last first, that have no other
    /// user.
    #[inline]
    pub fn release(&mut self, plain: u32, spent: u32, found: &[BlockId]) {
        self.push_front_stretch(plain);
        self.push_back_stretch(spent);
        for &block in found.iter().rev() {
            let node = &mut self.nodes[block.0 as usize];
            node.users -= 1;
            if node.users == 0 {
                self.free += 1;
                self.link_back(block.0);
            }
        }
    }

    /// The content of each free block, from the next to be taken to the last; `None` where nobody can
    /// ask for it.
    pub fn queue(&self) -> impl Iterator<Item = Option<u128>> + '_ {
        let mut next = self.front;
        std::iter::from_fn(move || {
            let node = self.nodes.get(next as usize)?;
            next = node.after;
            Some(node)
        })
        .flat_map(|node| {
            let content = (node.stretch == 0).then_some(node.content);
            std::iter::repeat_n(content, node.stretch.max(1) as usize)
        })
    }

    /// Counts everything anew: whether the queue, the contents and the counts agree, and how many
    /// blocks with content are in use.
    ///
    /// # Errors
    /// What does not agree, in words.
    pub fn recount(&self) -> Result<u32, String> {
        let mut free = 0;
        let (mut before, mut at) = (NONE, self.front);
        while at != NONE {
            let node = &self.nodes[at as usize];
            if node.before != before || node.users != 0 {
                return Err(format!(
                    "node {at} of the queue is linked wrongly or in use"
                ));
            }
            free += node.stretch.max(1);
            (before, at) = (at, node.after);
        }
        if before != self.back || free != self.free || free > self.usable {
            return Err(format!("{} free blocks counted as {}", free, self.free));
        }
        let mut used = 0;
        let mut known = 0;
        for (content, equals) in &self.found {
            let (mut before, mut at) = (NONE, equals.oldest);
            while at != NONE {
                let node = &self.nodes[at as usize];
                if node.content != *content || node.older != before || node.stretch != 0 {
                    return Err(format!("node {at} is listed under another content"));
                }
                known += 1;
                used += u32::from(node.users > 0);
                (before, at) = (at, node.newer);
            }
            if before != equals.newest {
                return Err("a list of equal blocks has another end".into());
            }
        }
        let mut vacant = 0;
        let mut at = self.vacant;
        while at != NONE {
            vacant += 1;
            at = self.nodes[at as usize].after;
        }
        let stretches = self.queue_stretches();
        if known + vacant + stretches != self.nodes.len() {
            return Err(format!("{} nodes are lost", self.nodes.len()));
        }
        if used > self.used() {
            return Err(format!("{used} blocks in use counted as {}", self.used()));
        }
        Ok(used)
    }

    fn queue_stretches(&self) -> usize {
        let mut count = 0;
        let mut at = self.front;
        while at != NONE {
            count += usize::from(self.nodes[at as usize].stretch > 0);
            at = self.nodes[at as usize].after;
        }
        count
    }

    fn push_front_stretch(&mut self, count: u32) {
        if count == 0 {
            return;
        }
        self.free += count;
        let first = self.front;
        if first != NONE && self.nodes[first as usize].stretch > 0 {
            self.nodes[first as usize].stretch += count;
            return;
        }
        let node = self.place(Node::stretch(count));
        self.nodes[node as usize].after = first;
        match first {
            NONE => self.back = node,
            _ => self.nodes[first as usize].before = node,
        }
        self.front = node;
    }

    #[inline]
    fn push_back_stretch(&mut self, count: u32) {
        if count == 0 {
            return;
        }
        self.free += count;
        let last = self.back;
        if last != NONE && self.nodes[last as usize].stretch > 0 {
            self.nodes[last as usize].stretch += count;
            return;
        }
        let node = self.place(Node::stretch(count));
        self.link_back(node);
    }

    fn link_back(&mut self, node: u32) {
        let last = std::mem::replace(&mut self.back, node);
        let links = &mut self.nodes[node as usize];
        (links.before, links.after) = (last, NONE);
        match last {
            NONE => self.front = node,
            _ => self.nodes[last as usize].after = node,
        }
    }

    /// Takes a node out of the queue; two stretches that then meet become one.
    fn unlink(&mut self, node: u32) {
        let Node { before, after, .. } = self.nodes[node as usize];
        match before {
            NONE => self.front = after,
            _ => self.nodes[before as usize].after = after,
        }
        match after {
            NONE => self.back = before,
            _ => self.nodes[after as usize].before = before,
        }
        if before != NONE && after != NONE {
            let second = self.nodes[after as usize].stretch;
            if second > 0 && self.nodes[before as usize].stretch > 0 {
                self.nodes[before as usize].stretch += second;
                self.unlink(after);
                self.vacate(after);
            }
        }
    }

    /// Takes a block off the list of its content.
    fn forget(&mut self, node: u32) {
        let Node {
            content,
            older,
            newer,
            ..
        } = self.nodes[node as usize];
        if older == NONE && newer == NONE {
            self.found.remove(&content);
            return;
        }
        if older != NONE {
            self.nodes[older as usize].newer = newer;
        }
        if newer != NONE {
            self.nodes[newer as usize].older = older;
        }
        if let Some(equals) = self.found.get_mut(&content) {
            if older == NONE {
                equals.oldest = newer;
            }
            if newer == NONE {
                equals.newest = older;
            }
        }
    }

    fn place(&mut self, node: Node) -> u32 {
        let place = self.vacant;
        if place == NONE {
            self.nodes.push(node);
            return (self.nodes.len() - 1) as u32;
        }
        self.vacant = self.nodes[place as usize].after;
        self.nodes[place as usize] = node;
        place
    }

    fn vacate(&mut self, node: u32) {
        let vacated = &mut self.nodes[node as usize];
        vacated.after = self.vacant;
        // It is no block with content any more.
        vacated.stretch = 1;
        self.vacant = node;
    }
}

impl Node {
    const fn stretch(count: u32) -> Self {
        Self {
            content: 0,
            users: 0,
            stretch: count,
            before: NONE,
            after: NONE,
            older: NONE,
            newer: NONE,
            next: NONE,
        }
    }
}
