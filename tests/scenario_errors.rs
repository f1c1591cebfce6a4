//! What is wrong with a scenario is said, all of it, where it is and with what to do.

use std::path::Path;

use fleetsim::scenario::{CheckedScenario, Diagnostics};

/// A valid scenario: each case spoils it somewhere.
const GOOD: &str = r#"(
    name: "good",
    seed: 42,
    end: 100.0,
    fleet: [
        (sku: "dgx-h100", count: 3, limit: 8),
        (sku: "dgx-a100", count: 1, provision_delay: Uniform(min: 1.0, max: 2.0)),
    ],
    applications: [
        (
            name: "chat",
            model: "llama2-70b",
            performance: Profile,
            scheduler: MixedPool(transfer_gib_per_s: 200.0),
            instances: [
                (role: Prompt, engine: Splitwise(max_batch_size: 512), start: Servers(2)),
                (role: Token, engine: Splitwise, tensor_parallelism: 4, start: Servers(1)),
            ],
            scaling: (drain: Poll(1.0), drain_timeout: None),
            slo: (ttft: 2.0),
            workload: Synthetic(
                arrivals: Poisson(rate: 4.0),
                shape: Piecewise([(0, 1.0), (50, 2.0)]),
                prompt_tokens: LogNormal(median: 1000, sigma: 0.5),
                output_tokens: Empirical([(10, 1.0), (100, 3.0)]),
            ),
        ),
    ],
    actions: [
        (at: 10, action: ScaleUpFull(application: "chat", role: Token, sku: "dgx-a100")),
        (at: 20, action: ScaleUpInstance(application: "chat", role: Token, server: 3)),
    ],
    faults: [(at: 5, fault: NoNewServers(sku: "dgx-a100", duration: 3))],
)"#;

fn check(text: &str) -> Result<CheckedScenario, Diagnostics> {
    CheckedScenario::from_ron(text, Path::new("."))
}

/// A case: what to replace in [`GOOD`] with what, and what is then said at `^` in the new text.
struct Case(&'static str, &'static str, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Syntax.
    Case("seed: 42,", "seed: 42 ^none: 2,", "expected `,` or `)`, found `none`"),
    Case("seed: 42,", "seed ^42,", "expected `:` behind the field name `seed`, found `42`"),
    Case("name: \"good\",", "name: ^\"good,", "this text is never closed"),
    Case("seed: 42,", "^/* seed: 42,", "this comment is never closed"),
    Case("fleet: [", "fleet: ^(", "this `(` is not closed: expected `)`, found `]`"),
    Case("seed: 42,", "seed: ^42s,", "`42s` is not a number"),
    Case("seed: 42,", "seed: ^,", "expected a value, found `,`"),
    Case("seed: 42,", "seed ^= 42,", "expected `:` behind the field name `seed`, found `=`"),
    Case("seed: 42,", "^\"seed\": 42,", "a field name stands without quotes"),
    Case("name: \"good\",", "name: \"go^\\qod\",", "this is not an escape"),
    Case("seed: 42,", "seed: ^',", "this is not a character"),
    Case("duration: 3))],\n)", "duration: 3))],\n) ^x", "expected the end of the text, found `x`"),
    Case("(\n    name", "#![enable(^nonsense)](\n    name", "nonsense"),
    Case("(\n    name", "#![^enabled(implicit_some)](\n    name", "expected an attribute"),
    // Names and shapes.
    Case("seed: 42,", "^sead: 42,", "unknown field `sead`"),
    Case("seed: 42,", "seed: 42, ^seed: 43,", "the field `seed` is given twice"),
    Case("slo: (ttft: 2.0)", "slo: (^tfft: 2.0)", "unknown field `tfft`"),
    Case("max_batch_size: 512", "^max_batches: 512", "unknown field `max_batches`"),
    Case("max_batch_size: 512", "^zzz: 512", "the fields are max_batch_size, max_batch_tokens, max_preemptions"),
    Case("(sku: \"dgx-h100\", count: 3, limit: 8)", "^(count: 3, limit: 8)", "the field `sku` is missing"),
    Case("Poisson(rate: 4.0)", "Poisson(^rat: 4.0)", "did you mean `rate`?"),
    Case("Poisson(rate: 4.0)", "^Poisson()", "the field `rate` is missing"),
    Case("Poisson(rate: 4.0)", "^Poisson", "the field `rate` is missing"),
    Case("Poisson(rate: 4.0)", "Poisson(^4.0)", "the fields need their names"),
    Case("Poisson(rate: 4.0)", "^Poison(rate: 4.0)", "did you mean `Poisson`?"),
    Case("Poisson(rate: 4.0)", "^(rate: 4.0)", "expected one of Constant, Gamma, Poisson, found a struct"),
    Case("role: Prompt", "role: ^\"Prompt\"", "write Prompt without quotes"),
    Case("role: Prompt", "role: ^Prompt()", "`Prompt` takes nothing in parentheses"),
    Case("role: Prompt", "role: ^Promt", "did you mean `Prompt`?"),
    Case("Poll(1.0)", "^Poll", "`Poll` takes one value in parentheses"),
    Case("Poll(1.0)", "^Poll(1.0, 2.0)", "`Poll` takes one value in parentheses"),
    Case("name: \"good\"", "name: ^good", "put it into quotes: \"good\""),
    Case("name: \"good\"", "name: ^3", "expected a text in quotes, found `3`"),
    Case("name: \"good\"", "name: ^\"\"", "the text is empty"),
    Case("name: \"good\"", "name: ^\"../good\"", "cannot name a results directory"),
    Case("instances: [
                (role: Prompt, engine: Splitwise(max_batch_size: 512), start: Servers(2)),
                (role: Token, engine: Splitwise, tensor_parallelism: 4, start: Servers(1)),
            ]", "instances: ^3", "expected a list, found `3`"),
    Case("scaling: (drain: Poll(1.0), drain_timeout: None)", "scaling: ^[]", "write (drain: .., drain_timeout: ..)"),
    Case("scaling: (", "scaling: ^Scalling(", "expected a struct, found `Scalling(..)`"),
    Case("(50, 2.0)", "^(50, 2.0, 3.0)", "expected 2 values, found 3"),
    Case("(50, 2.0)", "^[50, 2.0]", "write (.., ..), in parentheses"),
    Case("Piecewise([(0, 1.0), (50, 2.0)])", "Piecewise(^[])", "expected at least 1 in this list, found 0"),
    // Numbers.
    Case("seed: 42", "seed: ^4.0", "expected a whole number, found `4.0`"),
    Case("seed: 42", "seed: ^-1", "expected at least 0, found `-1`"),
    Case("seed: 42", "seed: ^18446744073709551616", "expected at most 18446744073709551615"),
    Case("count: 3", "count: ^4294967296", "expected at most 4294967295"),
    Case("end: 100.0", "end: ^inf", "expected a finite number, found `inf`"),
    Case("end: 100.0", "end: ^NaN", "expected a finite number, found `NaN`"),
    Case("end: 100.0", "end: ^1e400", "expected a finite number, found `1e400`"),
    Case("end: 100.0", "end: ^-1", "expected at least 0, found `-1`"),
    Case("end: 100.0", "end: ^0x64", "write 100"),
    Case("end: 100.0", "end: ^true", "expected a number, found `true`"),
    Case("end: 100.0", "end: 100.0, max_tick: ^0", "expected more than 0, found `0`"),
    Case("end: 100.0", "end: 100.0, sample_interval: ^0.0", "expected at least 0.001"),
    Case("Poll(1.0)", "Poll(^0)", "expected at least 0.001, found `0`"),
    Case("tensor_parallelism: 4", "tensor_parallelism: ^0", "expected at least 1, found `0`"),
    Case("performance: Profile", "performance: Constant(prompt_time: ^0, token_time: 0.1)", "expected more than 0"),
    // Names that the catalog or the scenario lacks.
    Case("(sku: \"dgx-a100\"", "(sku: ^\"dgx-a10\"", "did you mean `dgx-a100`?"),
    Case("\"llama2-70b\"", "^\"llama-70b\"", "did you mean `llama2-70b`?"),
    Case("limit: 8)", "limit: 8), (sku: ^\"dgx-h100\")", "`dgx-h100` is in the fleet already"),
    Case("limit: 8", "limit: 8), (sku: \"dgx-h100-pcap\", count: ^5, limit: 4", "5 servers are more than the limit of 4"),
    Case("max: 2.0", "max: ^0.5", "the longest delay, 0.5 s, is shorter than the shortest"),
    Case("application: \"chat\", role: Token, sku", "application: ^\"chad\", role: Token, sku", "unknown application `chad`"),
    Case("role: Token, sku", "role: ^Mixed, sku", "`chat` has no template with the role `Mixed`"),
    Case("sku: \"dgx-a100\"))", "sku: ^\"dgx-h100-pcap\"))", "unknown SKU of the fleet `dgx-h100-pcap`"),
    Case("NoNewServers(sku: \"dgx-a100\"", "NoNewServers(sku: ^\"a100\"", "unknown SKU of the fleet `a100`"),
    Case("server: 3)", "server: 3, processors: ^[0, 1])", "2 processors for an instance that takes 4"),
    Case("server: 3)", "server: 3, processors: [0, 1, 2, ^8])", "the server has no processor 8"),
    Case("server: 3)", "server: 3, processors: [0, 1, 2, ^2])", "processor 2 is named twice"),
    // What fits on what.
    Case("start: Servers(1)", "start: ^Servers(3)", "servers with 4 free processors, and only 2 of 3 are left"),
    Case("start: Servers(1)", "start: ^AllServers", "server 0 (`dgx-h100`) has 0 free"),
    Case("start: Servers(1)", "start: Sku(^\"dgx-h10\")", "unknown SKU of the fleet `dgx-h10`"),
    Case("start: Servers(1)", "start: ^Sku(\"dgx-h100\")", "this start cannot be met"),
    Case("tensor_parallelism: 4", "tensor_parallelism: ^16", "takes 16 processors, and a `dgx-h100` has 8"),
    Case("tensor_parallelism: 4", "tensor_parallelism: 4, pipeline_parallelism: ^2", "no measured profiles of pipelines"),
    Case("tensor_parallelism: 4", "tensor_parallelism: ^1", "the weights of `llama2-70b` are 135 GB"),
    Case("tensor_parallelism: 4", "tensor_parallelism: ^3", "no measured profile of `llama2-70b` on `h100-80gb` with tensor_parallelism 3"),
    // Schedulers and roles.
    Case("MixedPool(transfer_gib_per_s: 200.0),
            instances: [
                (role: Prompt, engine: Splitwise(max_batch_size: 512), start: Servers(2)),",
         "^KvJsq,
            instances: [", "KvJsq needs `Prompt` instances, and there is no template of that role"),
    Case("MixedPool(transfer_gib_per_s: 200.0),
            instances: [
                (role: Prompt, engine: Splitwise(max_batch_size: 512), start: Servers(2)),
                (role: Token", "Jsq,
            instances: [
                (role: ^Prompt, engine: Splitwise(max_batch_size: 512), start: Servers(2)),
                (role: ^Token", "the scheduler Jsq has no use for `Prompt` instances"),
    Case("MixedPool(transfer_gib_per_s: 200.0),
            instances: [
                (role: Prompt, engine: Splitwise(max_batch_size: 512), start: Servers(2)),",
         "KvJsq,
            instances: ^[
                (role: Prompt),", "`chat` has no `Prompt` instance at time zero"),
    // Workloads.
    Case("(50, 2.0)", "(^0, 2.0)", "0 s does not follow 0 s"),
    Case("(50, 2.0)", "(50, ^-2.0)", "a rate cannot be multiplied by -2"),
    Case("[(0, 1.0), (50, 2.0)]", "^[(0, 0)]", "with every factor zero"),
    Case("sigma: 0.5", "sigma: 0.5, min: 9, max: ^8", "the longest, 8, is shorter than the shortest, 9"),
    Case("(10, 1.0)", "(^0, 1.0)", "a length of 0 tokens"),
    Case("(10, 1.0)", "(10, ^0.0)", "0 is not a weight"),
    Case("arrivals: Poisson", "window: ^(5, 5), arrivals: Poisson", "the window from 5 to 5 is empty"),
];

#[test]
fn the_good_one_is_good() {
    let checked = check(GOOD).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(checked.scenario().name, "good");
    assert!(checked.catalog().models.contains_key("llama2-70b"));
}

#[test]
fn every_mistake_is_found_where_it_is() {
    for Case(old, new, said) in CASES {
        assert!(GOOD.contains(old), "{old}");
        let (text, places) = unmark(&GOOD.replacen(old, new, 1));
        let errors = rejected(check(&text));
        assert_eq!(places_of(&errors), places, "{errors}");
        let first = errors.problems()[0].to_string();
        assert!(first.contains(said), "{first}");
    }
}

#[test]
fn several_mistakes_are_found_at_once() {
    let (text, places) = unmark(
        r#"(
    name: "many",
    ^sead: 1,
    fleet: [(sku: ^"dgx-h10", count: ^-1), (sku: "dgx-h100", ^cuont: 1)],
    applications: [
        (name: "chat", model: "llama2-70b", scheduler: ^Jqs, instances: [(role: Mixed)],
         workload: Trace(path: "trace.csv", format: Splitwise, rate_scale: ^inf)),
    ],
)"#,
    );
    let errors = rejected(check(&text));
    // Names are compared with the catalog once the rest makes sense.
    let places: Vec<_> = places
        .into_iter()
        .filter(|place| *place != (4, 19))
        .collect();
    assert_eq!(places_of(&errors), places, "{errors}");

    let text = text
        .replace("count: -1", "count: 1")
        .replace("Jqs", "Jsq")
        .replace("inf", "2");
    let errors = rejected(check(&text));
    let said = errors.to_string();
    for part in ["`sead`", "`dgx-h10`", "`cuont`", "cannot read ./trace.csv"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert_eq!(errors.problems().len(), 4, "{said}");
}

#[test]
fn a_file_of_another_kind_is_refused_without_reading_all_of_it_aloud() {
    let fields: String = (0..200_000).map(|i| format!("field{i}: 0, ")).collect();
    let errors = rejected(check(&format!("({fields})")));
    assert_eq!(errors.problems()[0].position.as_ref().unwrap().column, 2);
    assert!(errors.problems().len() < 2_000);
    let said = errors.to_string();
    assert!(said.contains("unknown field `field49`"), "{said}");
    assert!(said.contains("more are not shown"), "{said}");
    let last = errors.problems().last().unwrap();
    assert!(last.message.contains("from here on is not listed"));
}

#[test]
fn a_problem_shows_its_line() {
    let errors = rejected(check(
        &GOOD.replace("\"llama2-70b\"", "\"llama\u{e9}-70b\""),
    ));
    let want = "<scenario>:12:20: error: unknown model `llama\u{e9}-70b`\n\
                12 |             model: \"llama\u{e9}-70b\",\n\
                \u{20}  |                    ^^^^^^^^^^^^\n\
                help: did you mean `llama2-70b`?";
    assert_eq!(errors.to_string(), want);
}

#[test]
fn a_missing_quote_is_one_problem() {
    for name in ["\"good,", "r#\"good\","] {
        let errors = rejected(check(&GOOD.replacen("\"good\",", name, 1)));
        assert_eq!(places_of(&errors), [(2, 11)], "{errors}");
    }
}

#[test]
fn what_ron_allows_is_allowed() {
    let text = GOOD
        .replace("seed: 42", "seed: 0x2a")
        .replace(
            "name: \"good\"",
            "name: r#\"good\"# /* nested /* comment */ */",
        )
        .replace("end: 100.0", "r#end: Some(1_00.0) // and so on\n")
        .replace("drain_timeout: None", "drain_timeout: Some(5e1),")
        .replace("scaling: (", "scaling: Scaling(");
    let checked = check(&format!("#![enable(implicit_some)]\n{text}"))
        .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(checked.scenario().seed, 42);
    assert_eq!(checked.scenario().end.unwrap().seconds(), 100.0);
}

#[test]
fn work_that_never_ends_needs_a_limit() {
    let text = GOOD.replace("end: 100.0,", "");
    let errors = rejected(check(&text));
    assert!(
        errors
            .to_string()
            .contains(":21:23: error: this workload never ends"),
        "{errors}"
    );
    for limit in ["requests: 10", "window: (0, 10)"] {
        let limited = text.replace("Synthetic(", &format!("Synthetic({limit}, "));
        check(&limited).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn an_unknown_sku_is_one_error() {
    let text = GOOD.replace("sku: \"dgx-h100\", count", "sku: \"dgx-h10\", count");
    let wrong = rejected(check(&text));
    let said: Vec<_> = wrong.problems().iter().map(|it| &it.message).collect();
    assert_eq!(said, ["unknown SKU `dgx-h10`"]);
}

#[test]
fn a_model_that_is_not_there_is_taken_for_one_of_its_family_or_for_none() {
    let help = |name: &str| {
        let text = GOOD.replace("llama2-70b", name);
        let wrong = rejected(check(&text));
        assert_eq!(wrong.problems().len(), 1, "{wrong}");
        wrong.problems()[0].help.clone().unwrap()
    };
    for (name, meant) in [
        ("llama2-70", "llama2-70b"),
        ("Qwen/Qwen2.5-7B", "qwen2.5-7b"),
        ("mixtral-8x7", "mixtral-8x7b"),
        // One letter away from `mistral-7b`, which is of another family.
        ("mixtral-7b", "mixtral-8x7b"),
        ("mistal-7b", "mistral-7b"),
    ] {
        assert_eq!(help(name), format!("did you mean `{meant}`?"));
    }
    // Near in length alone.
    for name in ["gemma-7b", "phi-70b-instruct", "opt-30b"] {
        let help = help(name);
        assert!(
            !help.contains("mistral") && !help.contains("did you mean"),
            "{name}: {help}"
        );
    }
}

#[test]
fn percentiles_rise_and_there_are_five_at_most() {
    let of = |list: &str| check(&GOOD.replace("seed: 42,", &format!("percentiles: {list},")));
    assert!(of("[0, 12.5, 99.9, 100]").is_ok());
    for (list, said) in [
        ("[50, 150]", "there is no 150th percentile"),
        ("[95, 50]", "50 does not follow 95"),
        (
            "[10, 20, 30, 40, 50, 60]",
            "there is room for 5 percentiles",
        ),
        ("[]", "expected at least 1"),
    ] {
        let wrong = rejected(of(list)).to_string();
        assert!(wrong.contains(said), "{wrong}");
    }
}

#[test]
fn an_objective_has_numbers_and_percentiles() {
    let of = |slo: &str| check(&GOOD.replace("slo: (ttft: 2.0)", &format!("slo: ({slo})")));
    let good = of("ttft: P95(1.5), tbt: 0.06, e2e: Each(9)").unwrap();
    let slo = good.scenario().applications[0].slo;
    let seconds = |limit: Option<fleetsim::scenario::Limit>| {
        let limit = limit.unwrap();
        (limit.percentile(), limit.duration().seconds())
    };
    assert_eq!(seconds(slo.ttft), (Some(95.0), 1.5));
    assert_eq!(seconds(slo.tbt), (None, 0.06));
    assert_eq!(seconds(slo.e2e), (None, 9.0));
    for (slo, said) in [
        ("ttft: P85(1.5)", "unknown variant `P85`"),
        ("ttft: P95(-1)", "expected at least 0, found `-1`"),
        ("ttft: -1", "expected at least 0, found `-1`"),
        ("ttft: \"P95\"", "expected a name"),
        ("ttft: (1.5)", "expected one of"),
    ] {
        let wrong = rejected(of(slo)).to_string();
        assert!(wrong.contains(said), "{slo}: {wrong}");
    }
}

#[test]
fn applications_have_names_of_their_own() {
    let start = GOOD.find("        (\n            name: \"chat\"").unwrap();
    let end = GOOD.find("    ],\n    actions").unwrap();
    let second = GOOD[start..end]
        .replace("Servers(2)", "None")
        .replace("Servers(1)", "None");
    let second = second.replace("model", "autoscaler: Any, model");
    let text = format!("{}{second}{}", &GOOD[..end], &GOOD[end..]);
    let errors = rejected(check(&text));
    assert!(
        errors
            .to_string()
            .contains("there is another application `chat`"),
        "{errors}"
    );
    assert_eq!(errors.problems().len(), 1);
    let named = format!(
        "{}{}{}",
        &GOOD[..end],
        second.replace("chat", "code"),
        &GOOD[end..]
    );
    check(&named).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn nesting_has_a_limit() {
    for open in ["(", "[", "A(", "{", "(a:"] {
        let errors = rejected(check(&open.repeat(100_000)));
        assert!(
            errors.to_string().contains("nested more than 64 deep"),
            "{errors}"
        );
    }
}

#[test]
fn a_number_of_a_thousand_digits_is_not_finite() {
    let text = GOOD.replace("rate: 4.0", &format!("rate: {}", "9".repeat(1000)));
    let errors = rejected(check(&text));
    assert!(
        errors.to_string().contains("expected a finite number"),
        "{errors}"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let errors = rejected(CheckedScenario::load("no/such.ron".as_ref(), &[]));
    let said = errors.to_string();
    assert!(
        said.starts_with("error: cannot read no/such.ron: "),
        "{said}"
    );
}

fn rejected(result: Result<CheckedScenario, Diagnostics>) -> Diagnostics {
    match result {
        Ok(checked) => panic!("{} is accepted", checked.scenario().name),
        Err(errors) => errors,
    }
}

fn places_of(errors: &Diagnostics) -> Vec<(usize, usize)> {
    let positions = errors
        .problems()
        .iter()
        .map(|problem| problem.position.as_ref());
    positions
        .map(|at| at.map_or((0, 0), |at| (at.line, at.column)))
        .collect()
}

/// Takes the marks `^` out of a text: where they were, as line and column.
fn unmark(marked: &str) -> (String, Vec<(usize, usize)>) {
    let mut text = String::new();
    let mut places = Vec::new();
    for (index, part) in marked.split('^').enumerate() {
        if index > 0 {
            let line = text.rsplit('\n').next().unwrap_or_default();
            places.push((text.matches('\n').count() + 1, line.chars().count() + 1));
        }
        text.push_str(part);
    }
    (text, places)
}
