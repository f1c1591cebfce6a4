//! Runs of steps in one event against steps one by one, on random cases.

use fleetsim::serving::Linear;
use fleetsim::serving::vllm::{Part, Prefix, Progress, SchedulingPolicy, VllmConfig, Work};
use fleetsim::time::SimTime;
use proptest::prelude::*;

use crate::case::{Case, Plan};

/// Seconds by which a time in a run of steps may differ from its step by step sum.
const TOLERANCE: f64 = 1e-9;

fn config() -> impl Strategy<Value = VllmConfig> {
    let limits = (
        prop::sample::select(vec![1_u32, 2, 4, 8, 16, 64]),
        prop::sample::select(vec![8_u32, 16, 33, 64, 128, 512]),
        prop::sample::select(vec![60_u32, 120, 250, 500]),
        prop::sample::select(vec![1_u32, 4, 8, 16, 16, 32]),
        prop::sample::select(vec![5_u32, 12, 15, 20, 30, 60, 200]),
    );
    let flags = (
        prop::bool::weighted(0.75),
        prop::bool::weighted(0.85),
        any::<bool>(),
        prop::bool::weighted(0.4),
        any::<bool>(),
        prop::bool::weighted(0.3),
    );
    let rare = (
        prop::sample::select(vec![0_u32, 0, 0, 1, 7, 16, 50]),
        prop::sample::select(vec![0.0, 0.0, 0.0, 0.05, 0.2]),
        prop::option::weighted(0.1, 1..8_u32),
        prop::sample::select(vec![1_u32, 1, 1, 1, 1, 2, 4]),
    );
    (limits, flags, rare).prop_map(|(limits, flags, rare)| {
        let (seqs, mut tokens, length, size, tenths) = limits;
        let (caching, chunked, pipelined, priority, reserve, adaptive) = flags;
        let (threshold, watermark, active, interval) = rare;
        if !chunked {
            tokens = tokens.max(length);
        }
        let mut blocks = 2 + length / size * tenths / 10;
        if !reserve {
            // Else a request that never fits is tried without end.
            blocks = blocks.max(2 + length.div_ceil(size));
        }
        VllmConfig {
            max_num_seqs: seqs.min(tokens),
            max_num_batched_tokens: tokens,
            max_model_len: length,
            block_size: size,
            num_gpu_blocks: blocks,
            enable_prefix_caching: caching,
            enable_chunked_prefill: chunked,
            long_prefill_token_threshold: threshold,
            long_prefill_token_threshold_adaptive: adaptive,
            scheduling_policy: if priority {
                SchedulingPolicy::Priority
            } else {
                SchedulingPolicy::Fcfs
            },
            watermark,
            scheduler_reserve_full_isl: reserve,
            max_num_active_seqs: active.map(|most| most.min(seqs)),
            prefill_schedule_interval: interval,
            async_scheduling: pipelined,
        }
    })
}

/// Gap to the one before, prompt, outputs, priority, which prefix, how many ids of it.
type Draw = (f64, u32, u32, i64, u64, usize);

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let draw = (
        prop_oneof![Just(0.0), 0.0..0.3, 0.0..3.0],
        prop_oneof![1..60_u32, 1..300_u32],
        prop_oneof![Just(1_u32), 1..10_u32, 1..200_u32],
        -1..3_i64,
        0..4_u64,
        prop_oneof![Just(0_usize), 0..40_usize],
    );
    prop::collection::vec(draw, 1..50)
}

fn case() -> impl Strategy<Value = Case> {
    let time = (
        prop_oneof![Just(0.007_812_5), 0.001..0.02],
        prop_oneof![Just(0.0), 0.0..1e-4],
        prop_oneof![Just(0.0), 0.0..1e-3],
        prop_oneof![Just(0.0), 0.0..1e-5],
    );
    (
        config(),
        draws(),
        time,
        prop::sample::select(vec![4_u32, 8, 16, 24]),
    )
        .prop_map(|(config, draws, time, tokens)| {
            let mut now = 0.0;
            let requests = draws.into_iter().zip(0..).map(|(draw, owner)| {
                let (gap, prompt, outputs, priority, prefix, ids) = draw;
                now += gap;
                Work {
                    owner,
                    id: owner.into(),
                    name: None,
                    part: Part::Whole,
                    arrival: SimTime::saturating(now),
                    priority,
                    prompt_tokens: prompt,
                    output_tokens: outputs,
                    prefix: Prefix {
                        ids: (0..ids as u64).map(|id| prefix * 1_000 + id).collect(),
                        tokens,
                    },
                }
            });
            Case {
                requests: requests.collect(),
                config,
                model: Linear {
                    base: time.0,
                    prefill_token: time.1,
                    decode_request: time.2,
                    context_token: time.3,
                },
                max_steps: 20_000,
            }
        })
}

fn near(ours: Option<f64>, theirs: Option<f64>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= TOLERANCE,
        (None, None) => true,
        _ => false,
    }
}

fn near_progress(ours: &Progress, theirs: &Progress) -> bool {
    let seconds = |time: Option<SimTime>| time.map(SimTime::seconds);
    let alike = |progress: &Progress| Progress {
        first_scheduled: None,
        first_token: None,
        last_token: None,
        max_gap: None,
        ..*progress
    };
    alike(ours) == alike(theirs)
        && near(
            seconds(ours.first_scheduled),
            seconds(theirs.first_scheduled),
        )
        && near(seconds(ours.first_token), seconds(theirs.first_token))
        && near(seconds(ours.last_token), seconds(theirs.last_token))
        && near(ours.max_gap, theirs.max_gap)
}

proptest! {
    #[test]
    fn runs_of_steps_are_the_steps_one_by_one(
        case in case(),
        withdrawals in prop::collection::vec((0..50_usize, 0.0..20.0), 0..6),
    ) {
        let mut withdrawals: Vec<_> = withdrawals
            .into_iter()
            .map(|(place, time)| (place, SimTime::saturating(time)))
            .collect();
        withdrawals.sort_by_key(|&(_, time)| time);
        let plan = Plan { record: true, withdrawals: &withdrawals, save_every: None };
        let slow_run = case.run_with(case.engine(true), &plan);
        let fast_run = case.run_with(case.engine(false), &plan);
        let (slow_gaps, fast_gaps) = (slow_run.every_gap(), fast_run.every_gap());
        prop_assert_eq!(slow_gaps.len(), fast_gaps.len());
        for (ours, theirs) in fast_gaps.iter().zip(&slow_gaps) {
            prop_assert!(near(Some(*ours), Some(*theirs)), "{ours} {theirs}");
        }
        let tokens = slow_run.fates.iter().map(|fate| u64::from(fate.progress.outputs.max(1)) - 1);
        prop_assert_eq!(tokens.sum::<u64>(), slow_gaps.len() as u64);
        let (slow_steps, slow) = (slow_run.steps, slow_run.fates);
        let (fast_steps, fast) = (fast_run.steps, fast_run.fates);
        for (ours, theirs) in fast_steps.iter().zip(&slow_steps) {
            prop_assert!(near(Some(ours.start_s), Some(theirs.start_s)), "{ours:?}\n{theirs:?}");
            prop_assert!(near(Some(ours.duration_s), Some(theirs.duration_s)), "{ours:?}\n{theirs:?}");
            let mut alike = ours.clone();
            (alike.start_s, alike.duration_s) = (theirs.start_s, theirs.duration_s);
            prop_assert_eq!(&alike, theirs);
        }
        prop_assert_eq!(fast_steps.len(), slow_steps.len());
        // Without a record, more arrivals leave a run alone.
        let (_, bare) = case.run_on(case.engine(false), false, &withdrawals);
        for ((ours, bare), theirs) in fast.iter().zip(&bare).zip(&slow) {
            prop_assert_eq!(ours.end, theirs.end);
            prop_assert!(near_progress(&ours.progress, &theirs.progress), "{ours:?}\n{theirs:?}");
            prop_assert_eq!(bare.end, theirs.end);
            prop_assert!(near_progress(&bare.progress, &theirs.progress), "{bare:?}\n{theirs:?}");
        }
    }

    #[test]
    fn an_engine_goes_on_from_what_was_written_down(
        case in case(),
        stepwise in any::<bool>(),
        record in any::<bool>(),
        every in 1..9_u64,
        withdrawals in prop::collection::vec((0..50_usize, 0.0..20.0), 0..3),
    ) {
        let mut withdrawals: Vec<_> = withdrawals
            .into_iter()
            .map(|(place, time)| (place, SimTime::saturating(time)))
            .collect();
        withdrawals.sort_by_key(|&(_, time)| time);
        let plan = Plan { record, withdrawals: &withdrawals, save_every: None };
        let whole = case.run_with(case.engine(stepwise), &plan);
        let saved = Plan { save_every: Some(every), ..plan };
        let pieces = case.run_with(case.engine(stepwise), &saved);
        prop_assert_eq!(pieces.steps, whole.steps);
        prop_assert_eq!(pieces.fates, whole.fates);
        prop_assert_eq!(pieces.gaps, whole.gaps);
    }
}
