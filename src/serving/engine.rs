use smallvec::SmallVec;

use crate::time::{SimDuration, SimTime};

use super::batching::{BatchEngine, Batching, Selection, usable_memory};
use super::index::Key;
use super::request::{Phase, Request, RequestId, Requests, Stage, Task};
use super::{EngineSpec, Performance, Role};

/// A list of tasks; up to four take no more room than a vector would.
type Tasks = SmallVec<[Task; 4]>;

/// The state of one instance's batch engine.
///
/// Its *pool* is every request with a task here: those whose next task is in the batch, and those
/// that wait.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) instance: u64,
    pub(super) role: Role,
    pub(super) rule: BatchEngine,
    performance: Performance,
    kv_bytes_per_token: u64,
    used: u64,
    memory: u64,

    /// Queued and preempted tasks, token tasks that stand behind their prompts included.
    pending: Tasks,
    /// The prompts among `pending`, in the order of queueing.
    prompts: Tasks,
    /// The preempted tasks among `pending`, in the order of preemption.
    preempted: Tasks,
    /// The next tasks of requests that are not in the batch, in pool order.
    waiting: SmallVec<[Waiting; 2]>,
    /// Numbers the requests as they enter the pool.
    entered: u64,

    batch: SmallVec<[Running; 4]>,
    /// Prompts in the batch; they stand behind the token tasks that stayed.
    batch_prompts: usize,
    /// Where in the batch the tasks of the last selection begin.
    batch_joined: usize,
    batch_tokens: u64,
    pub(super) run: Option<Run>,
    /// Token iterations completed: the clock that `Running::finish` is read against.
    generated: u64,
    /// The least `finish` of the token tasks in the batch, or later.
    next_finish: u64,
    /// Selections made: the clock that `Request::passed_over` is read against.
    selections: u64,

    /// Requests assigned here that are not finished here.
    pub(super) assigned: u64,
    pub(super) outgoing: u32,
    pub(super) incoming: u32,
    /// Evicted from here, to begin again when a task completes.
    pub(super) parked: Vec<RequestId>,
    pub(super) admission: Admission,
    joined: SimTime,
    pub(super) removed: Option<SimTime>,
    pub(super) idle_since: SimTime,
    pub(super) totals: Totals,
}

/// Whether the scheduler may choose an engine. It goes one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Not yet.
    Joined,
    /// Yes.
    Open,
    /// Never again.
    Closed,
}

/// What an engine did so far, its run under way not included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) prompt_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) prompt_busy_s: f64,
    pub(super) token_busy_s: f64,
    /// Tokens still to be processed for the requests assigned here.
    pub(super) pending_tokens: u64,
}

/// Contiguous iterations of one batch, which end in one event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) ends: SimTime,
    /// Seconds of one iteration.
    pub(super) duration: f64,
    pub(super) iterations: u64,
    /// It was cut short; that happens once.
    pub(super) paused: bool,
    /// It began with a prompt in the batch.
    pub(super) prompts: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) task: Task,
    /// The token iteration after which it is done.
    finish: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// Arrival, then order of entering the pool, as one wide number that compares without a branch.
    rank: u128,
    task: Task,
}

fn pool_rank(request: &Request) -> u128 {
    u128::from(request.arrival.rank()) << 64 | u128::from(request.pool_order)
}

impl Engine {
    pub(super) fn new(
        spec: EngineSpec,
        weights_bytes: u64,
        kv_bytes_per_token: u64,
        now: SimTime,
    ) -> Self {
        Self {
            instance: spec.instance,
            role: spec.role,
            rule: BatchEngine::new(spec.batching),
            performance: spec.performance,
            kv_bytes_per_token,
            used: weights_bytes,
            memory: usable_memory(spec.batching, spec.memory_bytes),
            pending: Tasks::new(),
            prompts: Tasks::new(),
            preempted: Tasks::new(),
            waiting: SmallVec::new(),
            entered: 0,
            batch: SmallVec::new(),
            batch_prompts: 0,
            batch_joined: 0,
            batch_tokens: 0,
            run: None,
            generated: 0,
            next_finish: u64::MAX,
            selections: 0,
            assigned: 0,
            outgoing: 0,
            incoming: 0,
            parked: Vec::new(),
            admission: Admission::Joined,
            joined: now,
            removed: None,
            idle_since: now,
            totals: Totals::default(),
        }
    }

    pub(super) const fn used(&self) -> u64 {
        self.used
    }

    pub(super) const fn memory(&self) -> u64 {
        self.memory
    }

    pub(super) fn pending(&self) -> &[Task] {
        &self.pending
    }

    pub(super) fn prompts(&self) -> &[Task] {
        &self.prompts
    }

    pub(super) fn preempted(&self) -> &[Task] {
        &self.preempted
    }

    pub(super) fn batch(&self) -> &[Running] {
        &self.batch
    }

    pub(super) const fn batch_tokens(&self) -> u64 {
        self.batch_tokens
    }

    pub(super) const fn batch_prompts(&self) -> usize {
        self.batch_prompts
    }

    pub(super) fn token_tasks(&self) -> usize {
        self.batch.len() - self.batch_prompts
    }

    pub(super) fn waiting(&self) -> impl DoubleEndedIterator<Item = Task> + '_ {
        self.waiting.iter().map(|waiting| waiting.task)
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn pool_is_empty(&self) -> bool {
        self.waiting.is_empty() && self.batch.is_empty()
    }

    /// Bytes of KV cache of so many tokens.
    pub(super) const fn kv_bytes(&self, tokens: u64) -> u64 {
        self.kv_bytes_per_token * tokens
    }

    /// Bytes that `phase` takes when it first runs.
    pub(super) fn bytes(&self, request: &Request, phase: Phase) -> u64 {
        self.kv_bytes(request.tokens_held(phase))
    }

    /// Bytes that `phase` takes if it joins the batch now: none when it was preempted and kept them.
    pub(super) fn bytes_to_run(&self, request: &Request, phase: Phase) -> u64 {
        if request.preempted {
            0
        } else {
            self.bytes(request, phase)
        }
    }

    pub(super) fn fits(&self, bytes: u64) -> bool {
        bytes <= self.memory.saturating_sub(self.used)
    }

    pub(super) fn take(&mut self, bytes: u64) {
        self.used += bytes;
        debug_assert!(
            self.used <= self.memory,
            "memory used never exceeds memory present"
        );
    }

    pub(super) fn give_back(&mut self, bytes: u64) {
        self.used -= bytes;
    }

    /// How often a pending task was passed over; a token task behind its prompt never was.
    pub(super) fn passed_over(&self, request: &Request, task: Task) -> u64 {
        if request.is_first(task.phase()) {
            self.selections - request.passed_over
        } else {
            0
        }
    }

    /// Lets a request's next task into the pool, behind those that arrived no later.
    pub(super) fn enter_pool(&mut self, requests: &mut Requests, task: Task) {
        let request = &mut requests[task.request()];
        request.pool_order = self.entered;
        self.entered += 1;
        self.wait(request, task, 0);
    }

    /// Lets a request that stays in the pool wait with its token task, now that its prompt is done.
    pub(super) fn follow_up(&mut self, requests: &mut Requests, task: Task) {
        self.wait(&mut requests[task.request()], task, 0);
    }

    fn wait(&mut self, request: &mut Request, task: Task, passed_over: u64) {
        request.passed_over = self.selections - passed_over;
        let rank = pool_rank(request);
        let place = self.place(rank);
        self.waiting.insert(place, Waiting { rank, task });
    }

    /// Where in `waiting` a rank stands or belongs.
    fn place(&self, rank: u128) -> usize {
        match (self.waiting.first(), self.waiting.last()) {
            (Some(first), _) if rank <= first.rank => 0,
            (_, Some(last)) if rank <= last.rank => {
                self.waiting.partition_point(|other| other.rank < rank)
            }
            _ => self.waiting.len(),
        }
    }

    fn stop_waiting(&mut self, request: &Request, task: Task) {
        let place = self.place(pool_rank(request));
        debug_assert!(self.waiting[place].task == task);
        self.waiting.remove(place);
    }

    /// Puts a task into the pending list.
    pub(super) fn enqueue(&mut self, requests: &Requests, task: Task) {
        if self.rule.sorts_pending() {
            let place = self.pending_place(requests, task);
            self.pending.insert(place, task);
        } else {
            self.pending.push(task);
        }
        if task.is_prompt() {
            self.prompts.push(task);
        }
    }

    /// Binary search to the right of equals by (passed over, arrival) over the list as it stands. The
    /// list need not be sorted: counts change after insertion, and results depend on these very probes.
    fn pending_place(&self, requests: &Requests, task: Task) -> usize {
        let key = |task: Task| {
            let request = &requests[task.request()];
            u128::from(self.passed_over(request, task)) << 64 | u128::from(request.arrival.rank())
        };
        let wanted = key(task);
        let (mut low, mut high) = (0, self.pending.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if wanted < key(self.pending[middle]) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    fn dequeue(&mut self, task: Task, preempted: bool) {
        remove(&mut self.pending, task);
        if task.is_prompt() {
            remove(&mut self.prompts, task);
        }
        if preempted {
            remove(&mut self.preempted, task);
        }
    }

    /// Makes the selected batch the batch: preempts what fell out, lets in what was chosen, and takes
    /// the memory of what runs here for the first time.
    pub(super) fn rebatch(&mut self, requests: &mut Requests, selection: &Selection, now: SimTime) {
        for place in selection.kept..self.batch.len() {
            let Running { task, finish } = self.batch[place];
            self.leave_for_pending(requests, task, finish);
        }
        if selection.kept < self.batch.len() {
            self.batch.truncate(selection.kept);
            self.find_next_finish();
        }
        self.batch_joined = self.batch.len();
        for &task in &selection.joined {
            self.join(requests, task, now);
        }
        self.batch_tokens = selection.tokens;
        self.selections += 1;
    }

    fn leave_for_pending(&mut self, requests: &mut Requests, task: Task, finish: u64) {
        let request = &mut requests[task.request()];
        request.preempted = true;
        request.remaining = u32::try_from(finish - self.generated).expect("no more than asked for");
        let passed_over = request.passed_over;
        self.wait(request, task, passed_over);
        self.enqueue(requests, task);
        self.preempted.push(task);
    }

    fn join(&mut self, requests: &mut Requests, task: Task, now: SimTime) {
        let request = &mut requests[task.request()];
        request.selected = false;
        self.dequeue(task, request.preempted);
        self.stop_waiting(request, task);
        request.passed_over = self.selections - request.passed_over;
        let phase = task.phase();
        let iterations = if request.preempted {
            request.remaining
        } else {
            let bytes = self.bytes(request, phase);
            self.take(bytes);
            request.held += bytes;
            match phase {
                Phase::Prompt => {
                    request.prompt_start.get_or_insert(now);
                    1
                }
                Phase::Token => {
                    request.token_start.get_or_insert(now);
                    request.decode_tokens()
                }
            }
        };
        request.preempted = false;
        let finish = self.generated + u64::from(iterations);
        match phase {
            Phase::Prompt => self.batch_prompts += 1,
            Phase::Token => self.next_finish = self.next_finish.min(finish),
        }
        self.batch.push(Running { task, finish });
    }

    /// Starts the run of the batch: one iteration when a prompt is in it, else as many as pass until
    /// the first task is done.
    pub(super) fn start_run(&mut self, requests: &Requests, now: SimTime) -> SimTime {
        let prompt_tokens = if self.batch_prompts == 0 {
            0
        } else {
            self.batch[self.batch_joined..]
                .iter()
                .filter(|running| running.task.is_prompt())
                .map(|running| u64::from(requests[running.task.request()].prompt_tokens))
                .sum()
        };
        let duration = self
            .performance
            .iteration(prompt_tokens, self.token_tasks() as u64);
        let iterations = if self.batch_prompts > 0 {
            1
        } else {
            self.next_finish - self.generated
        };
        let ends = SimTime::saturating(now.seconds() + duration * iterations as f64);
        self.run = Some(Run {
            ends,
            duration,
            iterations,
            paused: false,
            prompts: self.batch_prompts > 0,
        });
        ends
    }

    /// Ends the run: puts the finished tasks into `finished` in batch order and takes them out of the
    /// batch.
    pub(super) fn finish_run(&mut self, requests: &Requests, finished: &mut Vec<Task>) {
        finished.clear();
        let Some(run) = self.run.take() else { return };
        self.generated += run.iterations;
        let seconds = run.duration * run.iterations as f64;
        let mut output_tokens = self.token_tasks() as u64 * run.iterations;
        let mut prompt_tokens = 0;
        let tokens_finish = self.next_finish <= self.generated;
        if run.prompts {
            self.totals.prompt_busy_s += seconds;
        } else {
            self.totals.token_busy_s += seconds;
        }
        if tokens_finish || self.batch_prompts > 0 {
            let from = if tokens_finish { 0 } else { self.batch_joined };
            let mut kept = from;
            for place in from..self.batch.len() {
                let running = self.batch[place];
                let task = running.task;
                if running.finish > self.generated {
                    self.batch[kept] = running;
                    kept += 1;
                    continue;
                }
                finished.push(task);
                if task.is_prompt() {
                    prompt_tokens += u64::from(requests[task.request()].prompt_tokens);
                    output_tokens += 1;
                }
            }
            self.batch.truncate(kept);
            self.batch_prompts = 0;
            if tokens_finish {
                self.find_next_finish();
            }
        }
        self.totals.prompt_tokens += prompt_tokens;
        self.totals.output_tokens += output_tokens;
        self.totals.pending_tokens -= prompt_tokens + output_tokens;
    }

    fn find_next_finish(&mut self) {
        self.next_finish = self
            .batch
            .iter()
            .map(|running| running.finish)
            .min()
            .unwrap_or(u64::MAX);
    }

    /// Of the run under way by `now`: the tokens generated, the seconds run with a prompt, and those
    /// run without.
    pub(super) fn progress(&self, now: SimTime) -> (u64, f64, f64) {
        let Some(run) = &self.run else {
            return (0, 0.0, 0.0);
        };
        let start = run.ends.seconds() - run.duration * run.iterations as f64;
        let elapsed = (now.seconds() - start).max(0.0);
        if run.prompts {
            return (0, elapsed, 0.0);
        }
        let iterations = ((elapsed / run.duration) as u64).min(run.iterations);
        (iterations * self.batch.len() as u64, 0.0, elapsed)
    }

    /// Ends the run under way where it is; what it did counts. Returns the tokens that it generated.
    pub(super) fn break_off(&mut self, now: SimTime) -> u64 {
        let (tokens, prompt_s, token_s) = self.progress(now);
        self.totals.output_tokens += tokens;
        self.totals.prompt_busy_s += prompt_s;
        self.totals.token_busy_s += token_s;
        self.run = None;
        tokens
    }

    /// Takes a request out of every list; a run under way goes on without it.
    pub(super) fn drop_request(&mut self, requests: &Requests, id: RequestId) {
        let request = &requests[id];
        let task = match request.stage {
            Stage::Prompt => Task::prompt(id),
            Stage::Token => Task::token(id),
            Stage::Ended | Stage::Waiting | Stage::Parked(_) | Stage::Blocked | Stage::Transfer => {
                return;
            }
        };
        if let Some(place) = self.batch.iter().position(|running| running.task == task) {
            self.batch.remove(place);
            if place < self.batch_joined {
                self.batch_joined -= 1;
            }
            match task.phase() {
                Phase::Prompt => self.batch_prompts -= 1,
                Phase::Token => self.find_next_finish(),
            }
        } else {
            self.dequeue(task, request.preempted);
            self.stop_waiting(request, task);
        }
        if task.is_prompt() {
            // A token task of the same engine stands behind the prompt.
            remove(&mut self.pending, Task::token(id));
        }
    }

    /// Token iterations that a task in the batch or in the pending list still needs.
    pub(super) fn iterations_left(&self, request: &Request, task: Task) -> u64 {
        match self.batch.iter().find(|running| running.task == task) {
            Some(running) => running.finish - self.generated,
            None if request.preempted => u64::from(request.remaining),
            None => u64::from(request.decode_tokens()),
        }
    }

    /// Requests assigned here, and those evicted that begin again once something completes here.
    pub(super) fn unfinished(&self) -> u64 {
        self.assigned + self.parked.len() as u64
    }

    /// How long it has been there, or was.
    pub(super) fn up(&self, now: SimTime) -> SimDuration {
        self.removed.unwrap_or(now) - self.joined
    }

    /// Lets go of all storage once the engine is taken out.
    pub(super) fn retire(&mut self, weights_bytes: u64, now: SimTime) {
        self.pending = Tasks::new();
        self.prompts = Tasks::new();
        self.preempted = Tasks::new();
        self.waiting = SmallVec::new();
        self.batch = SmallVec::new();
        self.parked = Vec::new();
        self.batch_prompts = 0;
        self.run = None;
        self.used = weights_bytes;
        self.assigned = 0;
        self.outgoing = 0;
        self.incoming = 0;
        self.totals.pending_tokens = 0;
        self.admission = Admission::Closed;
        self.removed = Some(now);
    }
}

fn remove(list: &mut Tasks, task: Task) {
    if let Some(place) = list.iter().position(|&other| other == task) {
        list.remove(place);
    }
}
