use prefetch_index::prefetch_index;
use serde::{Deserialize, Serialize};

use super::task::{Phase, Task};

/// The tasks that run together on an engine, in the order in which they joined.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Batch {
    running: Vec<Running>,
    /// Prompts in it; they stand behind the token tasks that stayed.
    prompts: u32,
    /// Where the tasks of the last selection begin.
    joined: u32,
    /// Tokens of one iteration, as the last selection counted them.
    pub(crate) tokens: u64,
    /// Token iterations completed: the clock that `Running::finish` is read against. It wraps, which
    /// does no harm: no task asks for 2^32 iterations and no run goes beyond the next finish.
    clock: u32,
    /// The next `finish` of the token tasks, if there is one.
    next_finish: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Running {
    task: Task,
    /// The clock when it is done.
    finish: u32,
}

impl Batch {
    /// Asks for the lines of the cache that 32 tasks take.
    pub(crate) fn fetch_list(&self) {
        for place in (0..32).step_by(8) {
            prefetch_index(&self.running, place);
        }
    }

    pub(crate) fn reserve(&mut self, tasks: usize) {
        self.running.reserve(tasks);
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(crate) const fn prompts(&self) -> usize {
        self.prompts as usize
    }

    pub(crate) fn token_tasks(&self) -> usize {
        self.running.len() - self.prompts()
    }

    /// Those that the run under way finishes.
    pub(crate) fn finishing(&self) -> impl Iterator<Item = Task> + '_ {
        let prompts = self.prompts > 0;
        let from = if prompts { self.joined as usize } else { 0 };
        self.running[from..]
            .iter()
            .filter(move |it| prompts || it.finish == self.next_finish)
            .map(|it| it.task)
    }

    /// The tasks that the last selection added.
    pub(crate) fn joined(&self) -> impl Iterator<Item = Task> + '_ {
        self.running[self.joined as usize..]
            .iter()
            .map(|it| it.task)
    }

    /// All of them, each with the token iterations that it still needs if it is a token task.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = (Task, u32)> + '_ {
        self.running
            .iter()
            .map(|it| (it.task, self.left(it.finish)))
    }

    pub(crate) fn has(&self, task: Task) -> bool {
        self.running.iter().any(|it| it.task == task)
    }

    const fn left(&self, finish: u32) -> u32 {
        finish.wrapping_sub(self.clock)
    }

    /// Token iterations that a task still needs, if it is here.
    pub(crate) fn iterations_left(&self, task: Task) -> Option<u32> {
        let running = self.running.iter().find(|it| it.task == task)?;
        Some(self.left(running.finish))
    }

    /// How many iterations run as one: one when a prompt is in it, else as many as pass until the
    /// first task is done.
    pub(crate) const fn contiguous(&self) -> u32 {
        if self.prompts > 0 {
            1
        } else {
            self.left(self.next_finish)
        }
    }

    /// Keeps as many tasks from the front. Gives each of the others, with its iterations left.
    pub(crate) fn keep(&mut self, count: usize, mut falls_out: impl FnMut(Task, u32)) {
        if count < self.running.len() {
            for it in &self.running[count..] {
                falls_out(it.task, self.left(it.finish));
            }
            self.running.truncate(count);
            self.find_next_finish();
        }
        self.joined = self.running.len() as u32;
    }

    pub(crate) fn join(&mut self, task: Task, iterations: u32) {
        let finish = self.clock.wrapping_add(iterations);
        match task.phase() {
            Phase::Prompt => self.prompts += 1,
            Phase::Token => {
                if self.token_tasks() == 0 || iterations < self.left(self.next_finish) {
                    self.next_finish = finish;
                }
            }
        }
        self.running.push(Running { task, finish });
    }

    /// Lets as many iterations pass, at most as many as are contiguous. Takes out the tasks that are
    /// done and gives them in the order of the batch.
    pub(crate) fn advance(&mut self, iterations: u32, mut done: impl FnMut(Task)) {
        let tokens = self.token_tasks() > 0;
        self.clock = self.clock.wrapping_add(iterations);
        let tokens_finish = tokens && self.next_finish == self.clock;
        if !tokens_finish && self.prompts == 0 {
            return;
        }
        let from = if tokens_finish {
            0
        } else {
            self.joined as usize
        };
        let (clock, mut least) = (self.clock, u32::MAX);
        let is_done = |it: &mut Running| {
            let left = it.finish.wrapping_sub(clock);
            let is_done = left == 0;
            if !is_done {
                least = least.min(left);
            }
            is_done
        };
        self.running
            .extract_if(from.., is_done)
            .for_each(|it| done(it.task));
        self.prompts = 0;
        if tokens_finish {
            self.next_finish = clock.wrapping_add(least);
        }
    }

    /// Takes a task out, wherever it is. False when it is not here.
    pub(crate) fn remove(&mut self, task: Task) -> bool {
        let Some(place) = self.running.iter().position(|it| it.task == task) else {
            return false;
        };
        self.running.remove(place);
        if place < self.joined as usize {
            self.joined -= 1;
        }
        match task.phase() {
            Phase::Prompt => self.prompts -= 1,
            Phase::Token => self.find_next_finish(),
        }
        true
    }

    fn find_next_finish(&mut self) {
        let tokens = self.running.iter().filter(|it| !it.task.is_prompt());
        if let Some(least) = tokens.map(|it| self.left(it.finish)).min() {
            self.next_finish = self.clock.wrapping_add(least);
        }
    }
}
