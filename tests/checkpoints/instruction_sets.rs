//! A checkpoint means the same wherever it was made.

/// Trains by every instruction set that this machine has, with one thread and with two, and evaluates each net by every other.
#[test]
fn checkpoint_has_the_same_loss_on_every_instruction_set_and_thread_count() {
    let dir = crate::harness::TestDir::with_run();
    let with = |simd: &str, threads: &str, args: &str| {
        let mut command = dir.command(args);
        command.env("CHARLSTM_SIMD", simd).env("RAYON_NUM_THREADS", threads);
        crate::harness::Finished::run(command)
    };
    let shape = "--layers 2 --hidden 24 --batch 4 --seq-len 16 --steps 40 --eval-every 0 -q";
    let all = ["portable", "avx2", "avx512"];
    let is_here = |simd: &&str| {
        let ran = with(simd, "1", "sample run --length 1");
        assert!(ran.code == Some(0) || ran.err.contains("this machine does not have it"), "{simd}: {}", ran.err);
        ran.code == Some(0)
    };
    let here = || all.into_iter().filter(is_here);
    println!("{:?}", here().collect::<Vec<_>>());
    for (made_by, threads) in here().flat_map(|simd| [(simd, "1"), (simd, "2")]) {
        let run = format!("{made_by}-{threads}");
        with(made_by, threads, &format!("train text.txt --name {run} {shape} --threads {threads}")).succeeds();
        let loss = |simd: &str, threads: &str| {
            let ran = with(simd, threads, &format!("eval {run} --json"));
            ran.json()["loss"].as_f64().unwrap()
        };
        let at_home = loss(made_by, threads);
        for (simd, threads) in here().flat_map(|simd| [(simd, "1"), (simd, "2")]) {
            let there = loss(simd, threads);
            assert!(
                (there - at_home).abs() < 1e-5,
                "made by {run}: {at_home}; by {simd} and {threads} threads: {there}"
            );
        }
    }
}
