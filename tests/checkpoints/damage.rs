//! Checkpoints that are damaged, hostile, or files of another format.

use std::ops::Range;
use std::path::Path;

use crate::harness::{Finished, TestDir};
use charlstm::checkpoint::{Frame, format, model};
use charlstm::data::{Encoding, Vocab};
use charlstm::error::{Error, Result};
use charlstm::model::{CharLm, ModelConfig};
use charlstm::train::{TrainConfig, Trainer};
use xxhash_rust::xxh3::xxh3_64;

/// The length of a section table entry: name, offset, length and checksum.
const ENTRY: usize = 40;

/// A checkpoint after one step.
fn small() -> Vec<u8> {
    let shape = ModelConfig { num_layers: 1, hidden_size: 4, embed_size: 3, ..ModelConfig::default() };
    let config = TrainConfig { batch_size: 2, threads: Some(1), ..crate::fixtures::config() };
    let mut trainer = Trainer::new(crate::fixtures::text(false), &shape, config).unwrap();
    trainer.step().unwrap();
    format::encode_checkpoint(&trainer.sections().unwrap())
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().unwrap())
}

/// The name and the byte range, with padding, of every section.
fn sections(bytes: &[u8]) -> Vec<(String, Range<usize>)> {
    let count = (number(bytes, 8) >> 32) as usize;
    let entry = |i: usize| &bytes[16 + i * ENTRY..][..ENTRY];
    let dir = |i: usize| {
        let name = String::from_utf8(entry(i)[..16].to_vec()).unwrap().trim_end_matches('\0').to_owned();
        let start = number(entry(i), 16) as usize;
        (name, start..start + (number(entry(i), 24) as usize).next_multiple_of(64))
    };
    (0..count).map(dir).collect()
}

/// The error from reading the whole checkpoint.
fn problem(bytes: Vec<u8>) -> String {
    let read = |bytes| -> Result<()> {
        let frame = Frame::parse(Path::new("x.ckpt"), bytes)?;
        frame.verify()?;
        model::read(&frame).map(drop)
    };
    match read(bytes) {
        Err(e @ Error::Checkpoint { .. }) => e.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rejects_checkpoint_truncated_at_any_byte() {
    let whole = small();
    let header = sections(&whole)[0].1.start;
    for n in 1..whole.len() {
        let message = problem(whole[..n].to_vec());
        let of = if n < header { "at least ".into() } else { format!("{} bytes, within section", whole.len()) };
        assert!(message.contains(&format!("truncated at {n} of {of}")), "{message}");
    }
    assert!(problem(Vec::new()).contains("it is empty"));
}

#[test]
fn rejects_checkpoint_with_any_byte_changed() {
    let whole = small();
    let sections = sections(&whole);
    for n in 0..whole.len() {
        for bit in [1, 0x80] {
            let mut flipped = whole.clone();
            flipped[n] ^= bit;
            let message = problem(flipped);
            let expected = match sections.iter().find(|(_, range)| range.contains(&n)) {
                Some((name, _)) => format!("section \"{name}\" is damaged"),
                None if n < 8 => "not a charlstm checkpoint".into(),
                // The error depends on the changed version or number of sections.
                None if n < 16 => "".into(),
                None => "the header is damaged".into(),
            };
            assert!(message.contains(&expected), "byte {n}: {message}");
        }
    }
}

/// The checkpoint with a changed table and a matching checksum.
fn with_table(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = small();
    let end = 16 + (number(&bytes, 8) >> 32) as usize * ENTRY;
    change(&mut bytes[16..end]);
    let checksum = xxh3_64(&bytes[..end]);
    bytes[end..end + 8].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The checkpoint with a changed offset (field 0) or length (field 1) of section `i`.
fn with_number(i: usize, field: usize, value: u64) -> Vec<u8> {
    with_table(|table| table[i * ENTRY + 16 + field * 8..][..8].copy_from_slice(&value.to_le_bytes()))
}

/// A checkpoint of a model of the given shape, with four weights.
fn with_shape(shape: ModelConfig) -> Vec<u8> {
    let vocab = Vocab::new(Encoding::Utf8, [97, 98]);
    format::encode_checkpoint(&[
        ("model", format::encode(&(1u32, shape, vocab)).unwrap().into()),
        ("weights", format::encode_floats(&[0.0; 4])),
    ])
}

#[cfg(target_os = "linux")]
#[test]
fn rejects_hostile_lengths_without_allocating() {
    let (dir, whole) = (TestDir::with_text(), small());
    let second = sections(&whole)[1].1.start as u64;
    let shape = ModelConfig { cell: "lstm".into(), num_layers: 1, hidden_size: 4, embed_size: 3, vocab_size: 2 };
    // A vocabulary that claims 2^60 characters but contains none.
    let mut claim = format::encode(&(1u32, shape.clone(), Encoding::Utf8)).unwrap();
    claim.push(253);
    claim.extend_from_slice(&(1u64 << 60).to_le_bytes());
    let claim = format::encode_checkpoint(&[("model", claim.into()), ("weights", format::encode_floats(&[0.0; 4]))]);
    let bytes = [
        ("length-max", with_number(0, 1, u64::MAX), "misplaced"),
        ("length-near-max", with_number(1, 1, u64::MAX - 63), "misplaced"),
        ("length-large", with_number(1, 1, 1 << 60), "misplaced"),
        ("offset-max", with_number(0, 0, u64::MAX), "misplaced"),
        ("overlap", with_number(1, 0, second - 64), "misplaced"),
        ("gap", with_number(1, 0, second + 64), "misplaced"),
        ("uncovered", [&whole[..], &[0; 64]].concat(), "64 bytes"),
        ("vocab", with_shape(ModelConfig { vocab_size: 1 << 60, ..shape.clone() }), "vocabulary"),
        ("product", with_shape(ModelConfig { hidden_size: 1 << 40, embed_size: 1 << 40, ..shape.clone() }), "hidden"),
        ("layers", with_shape(ModelConfig { num_layers: usize::MAX, ..shape.clone() }), "layers"),
        ("parameters", with_shape(ModelConfig { hidden_size: 1 << 13, num_layers: 9, ..shape }), "weights"),
        ("symbols", claim, "\"model\""),
    ];
    for (name, bytes, problem) in bytes {
        dir.write(name, bytes);
        let run = format!("run-{name}/latest.ckpt");
        dir.write(&run, dir.bytes(name));
        for command in ["info", "sample", "eval", "inspect", "train text.txt --name new --init-from", "train --resume"]
        {
            let which = if command == "train --resume" { &run } else { name };
            let ran = Finished::run(dir.command_in_shell("ulimit -v 1048576", &format!("{command} {which}")));
            // The training state is read before the model.
            let problem = if ran.err.contains("no section \"run\"") { "no section" } else { problem };
            ran.fails(65, &[which, problem]);
        }
    }
    // A valid checkpoint can be read within the same limit.
    dir.write("whole", &whole);
    Finished::run(dir.command_in_shell("ulimit -v 1048576", "sample whole --length 5")).succeeds();
}

#[test]
fn rejects_non_finite_weights_by_tensor_name() {
    let (dir, shape) = (
        TestDir::empty(),
        ModelConfig { num_layers: 1, hidden_size: 5, embed_size: 3, vocab_size: 2, ..ModelConfig::default() },
    );
    let vocab = Vocab::new(Encoding::Utf8, [97, 98]);
    let model = CharLm::<f32>::init(&shape, 1).unwrap();
    for span in model.layout().spans() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut model = model.clone();
            model.weights[span.range.end - 1] = bad;
            dir.write("bad.ckpt", format::encode_checkpoint(&model::sections(&model, &vocab).unwrap()));
            dir.run("sample bad.ckpt").fails(65, &["bad.ckpt", &span.name, "not finite"]);
        }
    }
}

#[test]
fn names_the_format_of_other_files() {
    let dir = TestDir::empty();
    let mut newer = small();
    newer[8] = 9;
    let stored = |name: &str| [&b"PK\x03\x04"[..], &[0; 26], name.as_bytes(), &[0; 60]].concat();
    let mut tensors = 70u64.to_le_bytes().to_vec();
    tensors.extend_from_slice(b"{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}");
    for (name, bytes, looks) in [
        ("newer", newer, "version 9"),
        ("nothing", Vec::new(), "empty"),
        ("letter.txt", b"Dear reader,\n".repeat(300), "not a charlstm checkpoint"),
        ("zip", stored("letter.txt"), "zip"),
        ("net.pt", stored("net/data.pkl"), "PyTorch"),
        ("old.pt", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(), "PyTorch"),
        ("cv.t7", b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1\x08\0\0\0".to_vec(), "Torch7"),
        ("ascii.t7", b"4\n1\n3\nV 1\n13\nnn.Sequential\n".to_vec(), "Torch7"),
        ("net.safetensors", tensors, "safetensors"),
    ] {
        dir.write(name, bytes);
        for command in ["sample", "eval", "info"] {
            dir.run(&format!("{command} {name}")).fails(65, &[name, looks]);
        }
    }
}

#[test]
fn damaged_checkpoint_error_names_the_sibling() {
    let dir = TestDir::with_run();
    let (latest, best) = ("checkpoints/run/latest.ckpt", "checkpoints/run/best.ckpt");
    let [whole_latest, whole_best] = [latest, best].map(|name| dir.bytes(name));
    dir.write(latest, &whole_latest[..5000]);
    let cut = format!("truncated at 5000 of {} bytes", whole_latest.len());
    dir.run("train --resume run --steps 30").fails(65, &[latest, &cut, best]);
    dir.write(latest, &whole_latest);
    dir.write(best, &whole_best[..5000]);
    dir.run("sample run").fails(65, &[best, "truncated", latest]);
}
