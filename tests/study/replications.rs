use crate::desk::{BASE, Desk, column};

#[test]
fn the_mean_and_the_interval_are_those_of_the_runs_one_by_one() {
    let desk = Desk::with(&[("base.ron", BASE)]);
    desk.done(&["run", "base.ron", "--replications", "3", "--out", "three"]);
    let ttft = ["7", "8", "9"].map(|seed| {
        desk.done(&["run", "base.ron", "--seed", seed, "--out", seed, "-q"]);
        let summary = desk.json(&format!("{seed}/summary.json"));
        let ttft = &summary["applications"][0]["metrics"]["ttft_s"]["p99"];
        ttft.as_f64().unwrap()
    });
    let rows = column(
        &desk.read("three/replications.csv"),
        "chat.metrics.ttft_s.p99",
    );
    let rows: Vec<f64> = rows.iter().map(|it| it.parse().unwrap()).collect();
    assert_eq!(rows, ttft);
    let mean = ttft.iter().sum::<f64>() / 3.0;
    let squares: f64 = ttft.iter().map(|it| (it - mean) * (it - mean)).sum();
    // The quantile 0.975 of t with 2 degrees of freedom is 4.303.
    let half_width = 4.303 * (squares / 2.0 / 3.0).sqrt();
    let json = desk.json("three/replications.json");
    assert_eq!(json["seeds"], serde_json::json!([7, 8, 9]));
    let figure = |name: &str| json["figures"]["ttft_s.p99"][name].as_f64().unwrap();
    assert!((figure("mean") - mean).abs() < 1e-12);
    assert!((figure("half_width") / half_width - 1.0).abs() < 1e-3);
}

#[test]
fn it_stops_as_soon_as_the_intervals_are_narrow_enough_with_any_number_of_threads() {
    let desk = Desk::with(&[("base.ron", BASE)]);
    let options = [
        "run",
        "base.ron",
        "--replications",
        "60",
        "--out",
        "out",
        "--overwrite",
    ];
    let seeds = |precision: &str| {
        desk.done(&[&options[..], &["--precision", precision]].concat());
        let csv = desk.read("out/replications.csv");
        (column(&csv, "seed").len(), csv)
    };
    let (wide, csv) = seeds("30%");
    let (narrow, _) = seeds("12%");
    assert!(
        (5..narrow).contains(&wide) && narrow < 60,
        "{wide} {narrow}"
    );
    assert_eq!(seeds("30%").1, csv);
    let json = desk.json("out/replications.json");
    let ttft = &json["figures"]["ttft_s.p99"];
    let share = ttft["half_width"].as_f64().unwrap() / ttft["mean"].as_f64().unwrap();
    assert!(share <= 0.30, "{share}");
}

#[test]
fn contenders_get_the_same_seeds_and_their_differences_are_paired() {
    // The second one never does anything, so it differs from the first by nothing at all.
    let desk = Desk::with(&[("base.ron", BASE)]);
    let policies = "None, Threshold(up: 1.0, down: 0.0), Threshold(up: 0.05, down: 0.0)";
    let printed = desk.done(&[
        "compare",
        "base.ron",
        "--policies",
        policies,
        "--replications",
        "6",
        "--out",
        "out",
    ]);
    assert!(printed.contains("over 6 seeds"), "{printed}");
    let json = desk.json("out/comparison.json");
    let replicated = &json["replicated"];
    assert_eq!(
        replicated["seeds"],
        serde_json::json!([7, 8, 9, 10, 11, 12])
    );
    assert_eq!(replicated["reference"], "None");
    let cost = |contender: usize, what: &str, part: &str| {
        let contender = &replicated["contenders"][contender];
        contender[what]["gpu_hours"][part].as_f64().unwrap()
    };
    assert_eq!(cost(1, "differences", "mean"), 0.0);
    assert_eq!(cost(1, "differences", "half_width"), 0.0);
    let difference = cost(2, "figures", "mean") - cost(0, "figures", "mean");
    assert!((cost(2, "differences", "mean") - difference).abs() < 1e-9);
    let page = desk.read("out/comparison.html");
    assert!(
        page.contains("How sure: 6 seeds") && page.contains(" =<"),
        "no intervals"
    );
    assert!(page.contains("--replications 6"), "it cannot be made again");
}

#[test]
fn what_has_no_effect_with_replications_is_refused() {
    let desk = Desk::with(&[("base.ron", BASE)]);
    for option in ["--perfetto", "--steps", "--also=jsonl"] {
        let told = desk.refused(2, &["run", "base.ron", "--replications", "3", option]);
        assert!(told.contains("cannot be used with"), "{told}");
    }
    let told = desk.refused(2, &["run", "base.ron", "--precision", "5%"]);
    assert!(told.contains("--replications"), "{told}");
    let told = desk.refused(
        2,
        &["run", "base.ron", "--replications", "9", "--precision", "0"],
    );
    assert!(told.contains("such as 5%"), "{told}");
}
