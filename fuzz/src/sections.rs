//! Untrusted sections in a valid frame: their values, the model, and a run that resumes from them.
//!
//! The input is a list of sections: an index into [`NAMES`], the length in two bytes (little-endian), and the bytes.

use std::path::Path;

use charlstm::checkpoint::format::{self, Section};
use charlstm::checkpoint::{Frame, model};
use charlstm::data::{ContextStart, Corpus, Dataset, Vocab};
use charlstm::kernels::Precision;
use charlstm::model::{CharLm, InferenceModel};
use charlstm::run::{Progress, RunMetadata, state_hash};
use charlstm::sample::{Generator, SamplingConfig};
use charlstm::score::SurprisalScorer;
use charlstm::train::{TrainConfig, Trainer};

use super::ok;

/// The names of all sections.
pub const NAMES: [&str; 8] = ["model", "weights", "progress", "run", "moments.0", "moments.1", "state", "records"];
/// Larger models are not run.
const MAX_WEIGHTS: usize = 1 << 14;
/// The length in characters of the text that a run resumes on.
const CHARS: usize = 100;

pub fn check(mut bytes: &[u8]) {
    let mut sections: Vec<Section<'_>> = Vec::new();
    while let Some((&[which, low, high], rest)) = bytes.split_first_chunk() {
        let (section, rest) = rest.split_at(rest.len().min(u16::from_le_bytes([low, high]).into()));
        let name = NAMES[usize::from(which) % NAMES.len()];
        if sections.iter().all(|(other, _)| *other != name) {
            sections.push((name, section.into()));
        }
        bytes = rest;
    }
    read_everything(&parse(&sections));
}

fn parse(sections: &[Section<'_>]) -> Frame {
    Frame::parse(Path::new("x.ckpt"), format::encode_checkpoint(sections)).expect("the frame is valid")
}

/// Reads everything that commands read from a checkpoint, and uses it as they do.
pub fn read_everything(frame: &Frame) {
    ok(Progress::read(frame));
    ok(state_hash(frame));
    ok(model::weights_hash(frame));
    let Some((model, vocab)) = ok(model::read(frame)) else { return };
    let (same, same_vocab) = model::read(&parse(&model::sections(&model, &vocab).expect("the model was read")))
        .expect("the sections are valid");
    assert!(same.weights == model.weights && same.config() == model.config() && same_vocab == vocab);
    if model.layout().len() <= MAX_WEIGHTS {
        predicts(&model, &vocab);
        resumes(frame, &vocab);
    }
}

/// Checks that a valid model computes finite losses for any text, unless its activations are unbounded.
fn predicts(model: &CharLm<f32>, vocab: &Vocab) {
    let text: Vec<u32> = (vocab.symbols().iter().cycle().take(9).copied()).chain([0, 0xfffd, 10]).collect();
    for precision in [Precision::F32, Precision::Int8] {
        let model = InferenceModel::new(model, precision);
        let mut scorer = SurprisalScorer::new(&model, vocab, ContextStart::Newline, 3);
        let of_text = scorer.score_text(&text);
        let of_lines = scorer.score_lines(&[text.clone(), text[..2].to_vec()]);
        for surprisal in of_text.iter().chain(of_lines.iter().flatten()) {
            assert!(surprisal.nats.is_none_or(f64::is_finite), "{surprisal:?}");
            let Some(prediction) = &surprisal.prediction else { continue };
            assert!(
                prediction.entropy.is_finite() && prediction.top.iter().all(|(_, probability)| probability.is_finite())
            );
        }
    }
    let model = InferenceModel::new(model, Precision::F32);
    let written: Vec<u32> = Generator::new(&model, vocab, &[], SamplingConfig::default(), 1).take(3).collect();
    assert!(written.iter().all(|id| (*id as usize) < vocab.len()));
}

/// Checks that a resumed run trains unless it diverges, and can be saved and resumed again.
fn resumes(frame: &Frame, vocab: &Vocab) {
    let Some(saved) = ok(RunMetadata::read(frame)) else { return };
    let config = TrainConfig { threads: Some(1), ..saved.train };
    let resume = |frame: &Frame| {
        let text = vocab.decode((0..vocab.len() as u32).cycle().take(CHARS));
        let corpus = Corpus::from_text("text", text, vocab.encoding())?;
        Trainer::resume(frame, Dataset::new(corpus, None, 0.1)?, config.clone(), true)
    };
    let Some(mut trainer) = ok(resume(frame)) else { return };
    for _ in 0..2 {
        if ok(trainer.step()).is_none() {
            return;
        }
    }
    let Some(sections) = ok(trainer.sections()) else { return };
    let written = parse(&sections);
    let again = resume(&written).expect("the run was saved");
    let rewritten = parse(&again.sections().expect("the run can be saved again"));
    assert_eq!(
        state_hash(&written).expect("the checkpoint is complete"),
        state_hash(&rewritten).expect("the checkpoint is complete")
    );
}
