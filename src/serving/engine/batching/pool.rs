use prefetch_index::prefetch_index;
use serde::{Deserialize, Serialize};

use super::pending::{Bounds, Pending};
use super::task::{Phase, Slot, Task};
use crate::serving::engine::{Phases, RequestId, Work};
use crate::serving::queue::{Queue, fetch};
use crate::time::SimTime;

/// Every request with a task on an engine: those whose next task is in the batch, and those that wait.
///
/// What batching asks of a request stands here, side by side with its fellows; the request itself is
/// elsewhere in memory and is left alone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[repr(C)]
pub(crate) struct Pool {
    members: Vec<Member>,
    /// A chain of places in `members` to be used again, through `Member::left`.
    free: Option<Slot>,
    /// Numbers the requests as they enter. It wraps, which could only matter to requests that arrive in
    /// one instant.
    entered: u32,
    /// Selections made: the clock that `Member::passed_over` is read against. It wraps; differences
    /// do not.
    selections: u32,

    /// Queued and preempted tasks, token tasks that stand behind their prompts included.
    pending: Pending,
    /// The prompts among `pending`, in the order of queueing.
    prompts: Queue<Task>,
    /// The preempted tasks among `pending`, in the order of preemption.
    preempted: Queue<Task>,
    /// The next tasks of requests that are not in the batch, in the order of `Member::rank`.
    waiting: Queue<Task>,
}

/// What a pool knows of one of its requests: half a line of the cache.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[repr(align(32))]
pub(crate) struct Member {
    arrival: SimTime,
    /// Of requests that arrive together, who entered first.
    entered: u32,
    /// In the batch: how often its next task was passed over. Waiting: the selections made less that
    /// number, so that it grows by itself.
    passed_over: u32,
    pub(crate) request: RequestId,
    pub(crate) prompt_tokens: u32,
    /// Token iterations that it needs when it does not run: all of them, or those left when it was
    /// preempted. Of a free place: the next one.
    iterations: u32,
    /// The phase to be served next or being served.
    pub(crate) next: Phase,
    /// What it holds for that phase.
    pub(crate) memory: Memory,
    /// Its tokens are served elsewhere.
    pub(crate) leaves: bool,
    /// Taken in the selection under way.
    pub(crate) selected: bool,
}

/// The KV memory that the next phase of a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Memory {
    /// None of its own: what is held is of the phase before.
    Untaken,
    /// All of it.
    Taken,
    /// All of it, though the phase was preempted.
    Kept,
}

impl Member {
    /// Tokens that `phase` adds to the batch of one iteration.
    pub(crate) fn tokens_per_iteration(&self, phase: Phase) -> u64 {
        match phase {
            Phase::Prompt => u64::from(self.prompt_tokens),
            Phase::Token => 1,
        }
    }

    /// Arrival, then order of entering the pool, as one wide number that compares without a branch.
    fn rank(&self) -> u128 {
        u128::from(self.arrival.rank()) << 32 | u128::from(self.entered)
    }

    /// Tokens whose KV cache takes room when `phase` joins the batch: none when it kept it.
    pub(crate) fn tokens_to_hold(&self, phase: Phase) -> u64 {
        match phase {
            _ if self.is_preempted() => 0,
            Phase::Prompt => u64::from(self.prompt_tokens) + 1,
            Phase::Token => u64::from(self.iterations),
        }
    }

    pub(crate) const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Its token task was preempted: it keeps its memory.
    pub(crate) const fn is_preempted(&self) -> bool {
        matches!(self.memory, Memory::Kept)
    }

    /// Tokens whose KV cache it holds, if it asks for `output_tokens`.
    pub(crate) fn tokens_held(&self, output_tokens: u32) -> u64 {
        let prompt = u64::from(self.prompt_tokens) + 1;
        match (self.next, self.memory) {
            (Phase::Prompt, Memory::Untaken) => 0,
            (Phase::Prompt, _) | (Phase::Token, Memory::Untaken) => prompt,
            (Phase::Token, _) => prompt + u64::from(output_tokens - 1),
        }
    }

    /// Tokens still to be processed here, with `iterations` token iterations to go.
    pub(crate) fn tokens_left(&self, iterations: u32) -> u64 {
        let tokens = u64::from(iterations);
        match self.next {
            Phase::Token => tokens,
            Phase::Prompt if self.leaves => u64::from(self.prompt_tokens) + 1,
            Phase::Prompt => u64::from(self.prompt_tokens) + 1 + tokens,
        }
    }
}

impl Pool {
    pub(crate) const fn has_no_room(&self) -> bool {
        self.members.capacity() == 0
    }

    /// Makes room for `requests`, half of them waiting.
    pub(crate) fn reserve(&mut self, requests: usize) {
        self.members.reserve(requests);
        self.pending.reserve(requests / 2);
        for list in [&mut self.prompts, &mut self.preempted, &mut self.waiting] {
            list.reserve(requests / 2);
        }
    }

    pub(crate) fn fetch(&self) {
        fetch(&self.members);
        fetch(&self.prompts);
        fetch(&self.waiting);
    }

    pub(crate) fn fetch_lists(&self) {
        prefetch_index(&*self.waiting, 0);
        self.pending.fetch_list();
        prefetch_index(&*self.prompts, 0);
    }

    /// Asks for the place that the next request gets.
    pub(crate) fn fetch_free(&self) {
        if let Some(slot) = self.free {
            prefetch_index(&self.members, slot.index());
        }
    }

    pub(crate) fn fetch_member(&self, task: Task) {
        prefetch_index(&self.members, task.slot().index());
    }

    pub(crate) const fn pending(&self) -> &Pending {
        &self.pending
    }

    /// What is known of a pending task as it stands.
    pub(crate) fn bounds(&self, task: Task) -> Bounds {
        let (member, phase) = (self.member(task), task.phase());
        Bounds {
            held: member.tokens_to_hold(phase),
            step: member.tokens_per_iteration(phase),
            since: (member.next == phase).then_some(member.passed_over),
        }
    }

    /// Sets what holds for all tasks of a part of the pending list.
    pub(crate) fn tighten(&mut self, part: usize, bounds: Bounds) {
        self.pending.tighten(part, bounds);
    }

    /// Leaves nothing known of the parts of the pending list.
    #[cfg(test)]
    pub(crate) fn forget_bounds(&mut self) {
        (0..self.pending.parts()).for_each(|part| self.pending.tighten(part, Bounds::NONE));
    }

    /// Selections made. It wraps.
    pub(crate) const fn selections(&self) -> u32 {
        self.selections
    }

    pub(crate) fn prompts(&self) -> &[Task] {
        &self.prompts
    }

    pub(crate) fn preempted(&self) -> &[Task] {
        &self.preempted
    }

    pub(crate) fn waiting(&self) -> &[Task] {
        &self.waiting
    }

    /// The front of `waiting`, up to and with its last token task. What is behind, which can be
    /// thousands long, is not looked at: token tasks mostly arrived before the prompts that wait.
    pub(crate) fn tokens_waiting(&self) -> &[Task] {
        let mut left = self.waiting.len() - self.prompts.len();
        let tokens = self.waiting.iter().take_while(|task| {
            let more = left > 0;
            left -= usize::from(more && !task.is_prompt());
            more
        });
        &self.waiting[..tokens.count()]
    }

    pub(crate) fn member(&self, task: Task) -> &Member {
        &self.members[task.slot().index()]
    }

    pub(crate) fn member_mut(&mut self, task: Task) -> &mut Member {
        &mut self.members[task.slot().index()]
    }

    /// Whether a task is the one of its request to be served next or being served.
    pub(crate) fn is_next(&self, task: Task) -> bool {
        self.member(task).next == task.phase()
    }

    /// How often a pending task was passed over; a token task behind its prompt never was.
    pub(crate) fn passed_over(&self, task: Task) -> u32 {
        let member = self.member(task);
        if member.next == task.phase() {
            self.selections.wrapping_sub(member.passed_over)
        } else {
            0
        }
    }

    /// Lets a request in that waits for this phase, behind those that arrived no later.
    #[inline]
    pub(crate) fn enter(&mut self, work: &Work, phase: Phase) -> Slot {
        let member = Member {
            arrival: work.arrival,
            entered: self.entered,
            passed_over: self.selections,
            request: work.request,
            prompt_tokens: work.prompt_tokens,
            iterations: work.decode_tokens(),
            next: phase,
            memory: Memory::Untaken,
            leaves: work.phases == Phases::Prompt,
            selected: false,
        };
        self.entered = self.entered.wrapping_add(1);
        let slot = if let Some(slot) = self.free {
            let place = &mut self.members[slot.index()];
            let next = place.iterations;
            self.free = (next != NO_SLOT).then(|| Slot::at(next as usize));
            *place = member;
            slot
        } else {
            self.members.push(member);
            Slot::at(self.members.len() - 1)
        };
        self.wait(Task::new(slot, phase));
        slot
    }

    /// Lets a request go that neither waits nor is in the batch.
    pub(crate) fn leave(&mut self, slot: Slot) {
        let next = self.free.map_or(NO_SLOT, |slot| slot.index() as u32);
        self.members[slot.index()].iterations = next;
        self.free = Some(slot);
    }

    /// Lets a request that stays wait with its token task, now that its prompt is done.
    pub(crate) fn follow_up(&mut self, slot: Slot) {
        let member = &mut self.members[slot.index()];
        member.next = Phase::Token;
        member.memory = Memory::Untaken;
        member.passed_over = self.selections;
        self.wait(Task::token(slot));
    }

    #[inline]
    fn wait(&mut self, task: Task) {
        let place = self.place(self.member(task).rank());
        self.waiting.insert(place, task);
    }

    /// Takes a task off `waiting`: a long list is searched by rank.
    fn stop_waiting(&mut self, task: Task) {
        if self.waiting.len() > LONG {
            let place = self.place(self.member(task).rank());
            if self.waiting.get(place) == Some(&task) {
                self.waiting.remove_at(place);
                return;
            }
        }
        self.waiting.remove(task);
    }

    /// Where in `waiting` a rank belongs: at the end, or near the front, where who was served before
    /// stands, so that it is looked for in twice as many places each time.
    fn place(&self, rank: u128) -> usize {
        let waiting = &*self.waiting;
        let is_before = |task: &Task| self.member(*task).rank() < rank;
        if waiting.last().is_none_or(is_before) {
            return waiting.len();
        }
        let mut end = 1;
        while end < waiting.len() && is_before(&waiting[end]) {
            end *= 2;
        }
        let start = end / 2;
        let end = end.min(waiting.len());
        start + waiting[start..end].partition_point(is_before)
    }

    /// Puts a task into the pending list: at its end, or where its rank is looked for.
    pub(crate) fn enqueue(&mut self, task: Task, sorted: bool) {
        let place = match sorted {
            true => self.pending_place(task),
            false => self.pending.len(),
        };
        let bounds = self.bounds(task);
        self.pending.insert(place, task, bounds, self.selections);
        if task.is_prompt() {
            self.prompts.push(task);
        }
    }

    /// Binary search to the right of equals by (passed over, arrival) over the list as it stands. The
    /// list need not be sorted: counts change after insertion, and results depend on these very probes.
    fn pending_place(&self, task: Task) -> usize {
        let key = |task: Task| {
            let arrival = self.member(task).arrival.rank();
            u128::from(self.passed_over(task)) << 64 | u128::from(arrival)
        };
        let wanted = key(task);
        self.pending.search(|other| wanted < key(other))
    }

    /// Takes a task back from the batch with the token iterations that it has left.
    pub(crate) fn preempt(&mut self, task: Task, left: u32, sorted: bool) {
        let selections = self.selections;
        let member = self.member_mut(task);
        member.memory = Memory::Kept;
        member.iterations = left;
        member.passed_over = selections.wrapping_sub(member.passed_over);
        self.wait(task);
        self.enqueue(task, sorted);
        self.preempted.push(task);
    }

    /// Takes the selected tasks, which are these, off `waiting`: a few one by one, many in one pass.
    #[inline]
    pub(crate) fn end_wait(&mut self, tasks: &[Task]) {
        if tasks.len() <= few_of(self.waiting.len()) {
            tasks.iter().for_each(|&task| self.stop_waiting(task));
        } else {
            let members = &self.members;
            let selected = |task: Task| members[task.slot().index()].selected;
            self.waiting.take_out(tasks.len(), selected);
        }
    }

    /// Takes the selected tasks, which are these, off the other lists.
    #[inline]
    pub(crate) fn take_selected(&mut self, tasks: &[Task]) {
        if tasks.len() <= few_of(self.pending.len()) {
            tasks.iter().for_each(|&task| self.take_pending(task));
            return;
        }
        let (mut prompts, mut preempted) = (0, 0);
        for &task in tasks {
            prompts += usize::from(task.is_prompt());
            preempted += usize::from(self.member(task).is_preempted());
        }
        let members = &self.members;
        let selected = |task: Task| {
            let member = &members[task.slot().index()];
            member.selected && member.next == task.phase()
        };
        self.pending.take_out(tasks, selected);
        self.prompts.take_out(prompts, selected);
        self.preempted.take_out(preempted, selected);
    }

    /// Marks a task, which is off the lists, as one of the batch. Gives what it was.
    pub(crate) fn start(&mut self, task: Task) -> Member {
        let selections = self.selections;
        let member = self.member_mut(task);
        let before = *member;
        member.selected = false;
        member.memory = Memory::Taken;
        member.passed_over = selections.wrapping_sub(member.passed_over);
        before
    }

    /// Ends a selection: every waiting task was passed over once more.
    pub(crate) fn count_selection(&mut self) {
        self.selections = self.selections.wrapping_add(1);
    }

    /// Takes a waiting task off every list.
    pub(crate) fn drop_waiting(&mut self, task: Task) {
        self.stop_waiting(task);
        self.take_pending(task);
    }

    fn take_pending(&mut self, task: Task) {
        self.pending.remove(task);
        if task.is_prompt() {
            self.prompts.remove(task);
        } else if self.member(task).is_preempted() {
            self.preempted.remove(task);
        }
    }

    /// Takes a token task out that stands behind its prompt, if it does.
    pub(crate) fn drop_behind_prompt(&mut self, slot: Slot) {
        self.pending.remove(Task::token(slot));
    }
}

/// Up to this number, taking tasks out of a list one by one beats one pass.
fn few_of(len: usize) -> usize {
    (len / 64).max(4)
}

/// Up to this length, comparing all tasks of a list beats a search that reads a member at each step.
const LONG: usize = if cfg!(test) { 8 } else { 512 };

/// Ends the chain of free places.
const NO_SLOT: u32 = u32::MAX;
