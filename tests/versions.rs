//! Checkpoints of every format version keep loading. `tests/golden/v1.ckpt` was made, on the built-in text, by
//! `charlstm train --layers 1 --hidden 4 --embed 3 --batch 2 --seq-len 8 --steps 5 --dropout 0.1 --eval-every 5`.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use charlstm::checkpoint::{Frame, model};
use charlstm::data::{Corpus, Encoding};
use charlstm::kernels::Precision;
use charlstm::model::Ready;
use charlstm::score;
use charlstm::train::{Progress, Saved, state_hash};

#[test]
fn version_1_loads_and_means_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1.ckpt");
    let frame = Frame::read(&path).unwrap();
    let (model, vocab) = model::read(&frame).unwrap();
    assert_eq!((model.config().hidden, model.config().embed, vocab.len()), (4, 3, 63));
    assert_eq!(Progress::read(&frame).unwrap().step, 5);
    assert_eq!(Saved::read(&frame).unwrap().train.dropout, 0.1);
    assert_eq!(format!("{:032x}", model::weights_hash(&frame).unwrap()), "9d07095e055e0de95edf2fc4217a03b0");
    assert_eq!(format!("{:032x}", state_hash(&frame).unwrap()), "1aa2b3074f9e401494cc6e3a1f10f8b4");
    let text = "THE FOX AND THE WELL\n\nA fox came to a well.\n";
    let corpus = Corpus::from_text("text", text.as_bytes(), Encoding::Utf8).unwrap();
    let loss = score::carried(&Ready::new(&model, Precision::F32), &corpus, &vocab, 0..corpus.chars()).unwrap();
    assert!((loss.nats() - 4.167986751692166).abs() < 1e-5, "{}", loss.nats());
}
