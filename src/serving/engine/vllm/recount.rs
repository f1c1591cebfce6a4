use super::engine::Vllm;
use super::request::Standing;

impl Vllm {
    /// Derives every count from the requests, and compares.
    ///
    /// # Errors
    /// What does not agree, in words.
    pub fn recount(&self) -> Result<(), String> {
        let found = self.blocks.recount()?;
        let mut held = found + self.reserved;
        let (mut running, mut waiting, mut tokens_left) = (0, 0, 0);
        for request in &self.requests {
            match request.standing {
                Standing::Gone => continue,
                Standing::Kept => {}
                Standing::Waiting => waiting += 1,
                Standing::Loose | Standing::Locked => running += 1,
            }
            if request.standing != Standing::Kept {
                tokens_left += request.tokens_left();
            }
            let blocks = if request.standing == Standing::Locked {
                let steps = self.scheduled.min(request.last_step) - request.joined;
                let processed = self.processed.min(request.last_step);
                tokens_left -= processed.saturating_sub(request.joined);
                self.config.blocks_of(request.computed + steps as u32)
            } else {
                request.blocks
            };
            if (request.found.len() as u32) > blocks {
                return Err(format!("request {} holds too few blocks", request.work.id));
            }
            held += blocks - request.found.len() as u32;
        }
        if held != self.blocks.used() {
            return Err(format!("{held} blocks held, {} in use", self.blocks.used()));
        }
        if tokens_left != self.tokens_left {
            let kept = self.tokens_left;
            return Err(format!(
                "{kept} tokens are left by count, {tokens_left} by request"
            ));
        }
        if running != self.running || waiting != self.waiting.len() {
            return Err(format!("{running} run and {waiting} wait"));
        }
        let members = self.lockstep.members().len();
        if members + self.loose.len() != self.running as usize {
            return Err(format!("{members} in lockstep of {running}"));
        }
        if !self.lockstep.recount(&self.requests, &self.config) {
            return Err("the sums of the lockstep are wrong".into());
        }
        Ok(())
    }
}
