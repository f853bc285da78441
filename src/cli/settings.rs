//! The settings of a run: flags take precedence over a configuration file, which takes precedence over a resumed run and the defaults.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use charlstm::cells;
use charlstm::data::{BUILT_IN_NAME, DatasetConfig, Encoding, RecordKind, ReplayConfig};
use charlstm::error::{Error, Result};
use charlstm::model::{Init, ModelConfig, Scheme};
use charlstm::optim::{Optimizer, Schedule};
use charlstm::run::{RunMetadata, TrainConfig};
use serde::{Deserialize, Serialize};

use super::values::{cell_names, name_in};

/// The settings that flags and configuration files have in common. `None` means the default or the value of a resumed run.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Text files or folders, concatenated [default: the built-in fables]
    #[arg(value_name = "TEXT")]
    pub texts: Vec<PathBuf>,

    /// Train on raw bytes instead of UTF-8 characters
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Corpus")]
    pub bytes: Option<bool>,
    /// Treatment of the line ends of Windows (CRLF) [default: keep]
    #[arg(long, value_name = "HOW", value_enum, conflicts_with = "bytes", help_heading = "Corpus")]
    pub newline: Option<Newline>,
    /// Read characters that occur less than N times in the training text as one unknown character, which is never generated
    #[arg(long, value_name = "N", conflicts_with = "bytes", help_heading = "Corpus")]
    pub min_count: Option<u64>,
    /// Train on the records of a list: lines, blocks between blank lines, or files
    ///
    /// Records are shuffled in every epoch, and each is read from a fresh state. The held-out part consists of random records.
    #[arg(long, value_parser = name_in::<RecordKind>(&RecordKind::NAMES), help_heading = "Corpus")]
    pub records: Option<RecordKind>,
    /// Fraction of the text to hold out, from its end, or of the records, at random [default: 0.1]
    #[arg(long, allow_negative_numbers = true, value_name = "FRACTION", help_heading = "Corpus")]
    pub val_frac: Option<f64>,
    /// Separate file to use as the held-out text
    #[arg(long, value_name = "FILE", conflicts_with = "val_frac", help_heading = "Corpus")]
    pub val_file: Option<PathBuf>,

    /// Recurrent cell [default: lstm]
    #[arg(long, value_parser = cell_names(), help_heading = "Model")]
    pub cell: Option<String>,
    /// Recurrent layers [default: 2]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub layers: Option<usize>,
    /// Units per layer [default: 256]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub hidden: Option<usize>,
    /// Size of the character embedding; 0: one-hot input [default: same as --hidden]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub embed: Option<usize>,
    /// Initialization of the recurrent layers [default: orthogonal]
    #[arg(long, value_parser = name_in::<Scheme>(&Scheme::NAMES), help_heading = "Model")]
    pub init: Option<Scheme>,
    /// Initial bias of the forget gate [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Model")]
    pub forget_bias: Option<f64>,

    /// Start from the weights of another run
    ///
    /// The new run has the same cell, layers and sizes; characters that are not in its vocabulary are added to it.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["resume", "init", "forget_bias"], help_heading = "Fine-tuning")]
    pub init_from: Option<PathBuf>,
    /// Mix in an old text, so that the model does not forget it (requires --init-from)
    ///
    /// The last tenth of the old text is not used for training.
    #[arg(long, value_name = "FILE", help_heading = "Fine-tuning")]
    pub replay: Option<PathBuf>,
    /// Fraction of the training text to take from --replay [default: 0.1]
    #[arg(long, allow_negative_numbers = true, value_name = "FRACTION", help_heading = "Fine-tuning")]
    pub replay_frac: Option<f64>,

    /// Streams per batch [default: 64; at most 16 for texts of less than 500,000 characters]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Characters per window of truncated backpropagation [default: 128; at most 64 for such short texts]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub seq_len: Option<usize>,
    /// Passes over the training text [default: 20; 15 for the built-in fables]
    #[arg(long, value_name = "N", conflicts_with = "steps", help_heading = "Training")]
    pub epochs: Option<u64>,
    /// Optimizer steps, instead of --epochs
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub steps: Option<u64>,
    /// Optimizer [default: adamw]
    #[arg(long, value_parser = name_in::<Optimizer>(&Optimizer::NAMES), help_heading = "Training")]
    pub optimizer: Option<Optimizer>,
    /// Peak learning rate [default: 0.003]
    #[arg(long, allow_negative_numbers = true, value_name = "RATE", help_heading = "Training")]
    pub lr: Option<f64>,
    /// Learning rate schedule after the warm-up [default: cosine]
    #[arg(long, value_parser = name_in::<Schedule>(&Schedule::NAMES), help_heading = "Training")]
    pub schedule: Option<Schedule>,
    /// Steps of learning rate warm-up, at most a tenth of the run [default: 100]
    #[arg(long, value_name = "STEPS", help_heading = "Training")]
    pub warmup: Option<u64>,
    /// Decoupled weight decay of the weight matrices [default: 0.01]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Training")]
    pub weight_decay: Option<f64>,
    /// Maximum gradient norm; 0: no clipping [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "NORM", help_heading = "Training")]
    pub clip: Option<f64>,
    /// Dropout rate between layers and before the output [default: 0.2]
    #[arg(long, allow_negative_numbers = true, value_name = "RATE", help_heading = "Training")]
    pub dropout: Option<f64>,
    /// Probability per window that the carried state of a stream is reset [default: 0.4]
    ///
    /// Generation starts from the zero state, so training must see it, too.
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "P",
        conflicts_with = "records",
        help_heading = "Training"
    )]
    pub reset_prob: Option<f64>,
    /// Random seed of the initial weights, of dropout and of resets [default: 1]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub seed: Option<u64>,
    /// Threads; the results do not depend on their number [default: one per core]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub threads: Option<usize>,

    /// Steps between evaluations on the held-out text; 0: never [default: one epoch]
    #[arg(long, value_name = "STEPS", help_heading = "Evaluation and checkpoints")]
    pub eval_every: Option<u64>,
    /// Stop after this many evaluations without a better held-out loss [default: never]
    #[arg(long, value_name = "N", help_heading = "Evaluation and checkpoints")]
    pub patience: Option<u64>,
    /// Steps between checkpoints; 0: only at the end [default: one epoch, at most ten minutes]
    ///
    /// A checkpoint is also saved whenever the held-out loss improves.
    #[arg(long, value_name = "STEPS", help_heading = "Evaluation and checkpoints")]
    pub save_every: Option<u64>,
    /// Steps between records in metrics.jsonl; 0: never [default: 10]
    #[arg(long, value_name = "STEPS", help_heading = "Evaluation and checkpoints")]
    pub log_every: Option<u64>,
}

/// The values of `--newline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Newline {
    /// Read CRLF as a line feed
    Lf,
    /// Keep carriage returns as characters
    Keep,
}

macro_rules! either {
    ($first:ident, $second:ident: $($field:ident)*) => {
        Settings { texts: if $first.texts.is_empty() { $second.texts } else { $first.texts }, $($field: $first.$field.or($second.$field)),* }
    };
}

impl Settings {
    pub fn or(self, mut base: Settings) -> Settings {
        if self.epochs.is_some() || self.steps.is_some() {
            (base.epochs, base.steps) = (None, None);
        }
        if self.val_frac.is_some() || self.val_file.is_some() {
            (base.val_frac, base.val_file) = (None, None);
        }
        either!(self, base: bytes newline min_count records val_frac val_file cell layers hidden embed init forget_bias init_from replay replay_frac batch seq_len
            epochs steps optimizer lr schedule warmup weight_decay clip dropout reset_prob seed threads eval_every patience save_every log_every)
    }

    pub fn from_model(model: &ModelConfig, init: Init) -> Self {
        Settings {
            cell: Some(model.cell.clone()),
            layers: Some(model.num_layers),
            hidden: Some(model.hidden_size),
            embed: Some(model.embed_size),
            init: Some(init.scheme),
            forget_bias: init.forget_bias,
            ..Settings::default()
        }
    }

    pub fn of_run(model: &ModelConfig, run: RunMetadata) -> Self {
        let (train, dataset) = (run.train, run.dataset.config);
        let (replay, replay_frac) =
            run.dataset.replay.map(|replay| (replay.config.file, replay.config.fraction)).unzip();
        Settings {
            texts: dataset.paths,
            bytes: Some(dataset.encoding == Encoding::Bytes),
            newline: (dataset.encoding != Encoding::Bytes).then_some(match dataset.encoding {
                Encoding::Utf8Lf => Newline::Lf,
                _ => Newline::Keep,
            }),
            min_count: Some(dataset.min_count).filter(|count| *count > 0),
            records: dataset.records,
            val_frac: Some(dataset.val_frac).filter(|_| dataset.val_file.is_none()),
            val_file: dataset.val_file,
            init_from: run.origin.map(|origin| origin.run),
            replay,
            replay_frac,
            batch: Some(train.batch_size),
            seq_len: Some(train.seq_len),
            epochs: Some(train.epochs).filter(|_| train.steps.is_none()),
            steps: train.steps,
            optimizer: Some(train.optimizer),
            lr: Some(train.lr),
            schedule: Some(train.schedule),
            warmup: Some(train.warmup),
            weight_decay: Some(train.weight_decay),
            clip: Some(train.clip),
            dropout: Some(train.dropout),
            reset_prob: Some(train.reset_prob),
            seed: Some(train.seed),
            threads: train.threads,
            eval_every: train.eval_every,
            patience: train.patience,
            save_every: train.save_every,
            log_every: Some(train.log_every),
            ..Settings::from_model(model, run.init)
        }
    }

    /// These settings with absolute paths and the canonical name of the cell.
    pub fn resolved(self) -> Result<Self> {
        let path = |path: Option<PathBuf>| path.map(|path| absolute(&path)).transpose();
        Ok(Settings {
            texts: self.texts.iter().map(|path| absolute(path)).collect::<Result<_>>()?,
            val_file: path(self.val_file)?,
            replay: path(self.replay)?,
            cell: self.cell.map(|name| cells::find(&name).map(|cell| cell.spec.name.into())).transpose()?,
            ..self
        })
    }

    pub fn train_config(&self) -> TrainConfig {
        let default = TrainConfig::default();
        TrainConfig {
            batch_size: self.batch.unwrap_or(default.batch_size),
            seq_len: self.seq_len.unwrap_or(default.seq_len),
            epochs: self.epochs.unwrap_or(default.epochs),
            steps: self.steps,
            optimizer: self.optimizer.unwrap_or(default.optimizer),
            lr: self.lr.unwrap_or(default.lr),
            schedule: self.schedule.unwrap_or(default.schedule),
            warmup: self.warmup.unwrap_or(default.warmup),
            weight_decay: self.weight_decay.unwrap_or(default.weight_decay),
            clip: self.clip.unwrap_or(default.clip),
            dropout: self.dropout.unwrap_or(default.dropout),
            reset_prob: self.reset_prob.unwrap_or(default.reset_prob),
            eval_every: self.eval_every,
            save_every: self.save_every,
            log_every: self.log_every.unwrap_or(default.log_every),
            patience: self.patience,
            seed: self.seed.unwrap_or(default.seed),
            threads: self.threads,
        }
    }

    pub fn dataset_config(&self) -> DatasetConfig {
        DatasetConfig {
            paths: self.texts.clone(),
            encoding: match self.newline {
                _ if self.bytes == Some(true) => Encoding::Bytes,
                Some(Newline::Lf) => Encoding::Utf8Lf,
                _ => Encoding::Utf8,
            },
            val_frac: self.val_frac.unwrap_or(DatasetConfig::default().val_frac),
            val_file: self.val_file.clone(),
            min_count: self.min_count.unwrap_or(0),
            records: self.records,
        }
    }

    /// The model configuration without the vocabulary, which comes from the texts.
    pub fn model_config(&self) -> ModelConfig {
        let default = ModelConfig::default();
        let hidden = self.hidden.unwrap_or(default.hidden_size);
        ModelConfig {
            cell: self.cell.clone().unwrap_or(default.cell),
            num_layers: self.layers.unwrap_or(default.num_layers),
            hidden_size: hidden,
            embed_size: self.embed.unwrap_or(hidden),
            vocab_size: 0,
        }
    }

    pub fn init(&self) -> Init {
        Init { scheme: self.init.unwrap_or_default(), forget_bias: self.forget_bias }
    }

    /// The default name of the run: the file name of its first text without the extension.
    pub fn name(&self) -> String {
        let Some(path) = self.texts.first() else { return BUILT_IN_NAME.into() };
        // A path such as `..` has no file name until it is resolved.
        let resolved = path.canonicalize().unwrap_or_else(|_| path.clone());
        let stem = path.file_stem().or_else(|| resolved.file_stem());
        stem.map_or("text".into(), |stem| stem.to_string_lossy().into_owned())
    }

    pub fn replay_config(&self) -> Result<Option<ReplayConfig>> {
        let fraction = self.replay_frac.unwrap_or(ReplayConfig::DEFAULT_FRACTION);
        match &self.replay {
            Some(_) if self.init_from.is_none() => Err(Error::Usage(
                "--replay mixes old text into fine-tuning; specify the run to start from with --init-from".into(),
            )),
            None if self.replay_frac.is_some() => Err(Error::Usage("--replay-frac needs --replay FILE".into())),
            file => Ok(file.clone().map(|file| ReplayConfig { file, fraction })),
        }
    }

    /// Rejects changes to settings that are fixed for the whole run. The trainer checks the settings of [`TrainConfig`].
    pub fn check_matches(&self, run: &Settings, path: &Path) -> Result<()> {
        self.check_same_model(run, path)?;
        let fixed = |settings: &Settings| {
            let dataset = settings.dataset_config();
            let fraction = settings.replay_frac.unwrap_or(ReplayConfig::DEFAULT_FRACTION);
            [
                ("val_frac", dataset.val_frac.to_string()),
                ("records", dataset.records.map_or("off", RecordKind::name).to_owned()),
                ("bytes", (dataset.encoding == Encoding::Bytes).to_string()),
                ("min_count", dataset.min_count.to_string()),
                ("newline", if dataset.encoding == Encoding::Utf8Lf { "lf" } else { "keep" }.to_owned()),
                ("replay_frac", fraction.to_string()),
            ]
        };
        check_equal(path, fixed(run), fixed(self))
    }

    pub fn check_same_model(&self, run: &Settings, path: &Path) -> Result<()> {
        let fixed = |settings: &Settings| {
            let (model, init) = (settings.model_config(), settings.init());
            [
                ("cell", model.cell),
                ("layers", model.num_layers.to_string()),
                ("hidden", model.hidden_size.to_string()),
                ("embed", model.embed_size.to_string()),
                ("init", format!("{:?}", init.scheme).to_lowercase()),
                ("forget_bias", init.forget_bias.unwrap_or(1.0).to_string()),
            ]
        };
        check_equal(path, fixed(run), fixed(self))
    }
}

type NamedValue = (&'static str, String);

fn check_equal<const N: usize>(path: &Path, run: [NamedValue; N], given: [NamedValue; N]) -> Result<()> {
    match run.into_iter().zip(given).find(|(run, given)| run != given) {
        None => Ok(()),
        Some(((setting, saved), (_, requested))) => {
            Err(Error::FixedSetting { run: path.into(), setting, saved, requested })
        }
    }
}

pub fn read_settings(path: &Path) -> Result<Settings> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse_settings(path, &text),
        Err(e) if e.kind() == ErrorKind::InvalidData => {
            Err(Error::Usage(format!("{}: not a configuration file (not valid UTF-8)", path.display())))
        }
        Err(e) => Err(Error::input(path, e)),
    }
}

const EXPECTED_INTEGER: &str = "expected a whole number, 0 or more";

/// Parses a configuration file; `path` is used in error messages.
pub fn parse_settings(path: &Path, text: &str) -> Result<Settings> {
    let settings: Settings = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let words = [
            ("\n", " "),
            ("expected u64", EXPECTED_INTEGER),
            ("expected usize", EXPECTED_INTEGER),
            ("expected f64", "expected a number"),
        ];
        let message =
            words.into_iter().fold(e.message().to_owned(), |message, (word, plain)| message.replace(word, plain));
        Error::Usage(format!("{}, line {line}: {message}", path.display()))
    })?;
    let both = [
        ("epochs and steps", settings.epochs.is_some() && settings.steps.is_some()),
        ("val-frac and val-file", settings.val_frac.is_some() && settings.val_file.is_some()),
    ];
    match both.into_iter().find(|(_, has_both)| *has_both) {
        Some((both, _)) => Err(Error::Usage(format!("{}: contains both {both}; remove one of them", path.display()))),
        None => Ok(settings),
    }
}

pub fn write_settings(settings: &Settings) -> Result<String> {
    let text = toml::to_string(settings).map_err(|e| Error::Internal(format!("config.toml cannot be encoded: {e}")))?;
    Ok(format!("# The settings of this run; start another one like it with: charlstm train --config FILE\n{text}"))
}

/// An absolute path, which stays valid when the current folder changes.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    if path.to_str().is_none() {
        return Err(Error::Usage(format!(
            "{}: the name is not valid UTF-8, so it cannot be stored; rename the file",
            path.display()
        )));
    }
    std::path::absolute(path).map_err(|e| Error::input(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use charlstm::model::Scheme;
    use charlstm::optim::{Optimizer, Schedule};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// A path with spaces, quotes and characters that TOML escapes.
    fn path() -> impl Strategy<Value = PathBuf> {
        "/[a-z \"'\\\\\\n\\t#=\\[\u{e9}\u{1f600}\u{7f}]{1,9}".prop_map(PathBuf::from)
    }

    fn cell() -> impl Strategy<Value = String> {
        let names = cells::CELLS.iter().flat_map(|cell| cell.spec.aliases.iter().chain([&cell.spec.name]));
        select(names.map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    prop_compose! {
        fn model_settings()(
            cell in option::of(cell()), layers: Option<usize>, hidden: Option<usize>, embed: Option<usize>,
            init in option::of(select(&[Scheme::Orthogonal, Scheme::Uniform, Scheme::Xavier])), forget_bias: Option<f64>,
            init_from in option::of(path()),
        ) -> Settings {
            Settings { cell, layers, hidden, embed, init, forget_bias, init_from, ..Settings::default() }
        }
    }

    prop_compose! {
        fn training_settings()(
            model in model_settings(), optimizer in option::of(select(&[Optimizer::Adamw, Optimizer::Sgd, Optimizer::Rmsprop])),
            schedule in option::of(select(&[Schedule::Cosine, Schedule::Linear, Schedule::Constant])),
            (batch, seq_len, threads) in any::<(Option<usize>, Option<usize>, Option<usize>)>(),
            total in any::<Option<Result<u64, u64>>>(), (warmup, seed) in any::<(Option<u64>, Option<u64>)>(),
            (lr, weight_decay, clip, dropout) in any::<(Option<f64>, Option<f64>, Option<f64>, Option<f64>)>(),
        ) -> Settings {
            let (epochs, steps) = total.map_or((None, None), |total| (total.ok(), total.err()));
            Settings {
                optimizer, schedule, batch, seq_len, threads, epochs, steps, lr, weight_decay, clip, dropout, warmup, seed, ..model
            }
        }
    }

    prop_compose! {
        fn settings()(
            training in training_settings(), texts in vec(path(), 0..4), bytes: Option<bool>, val_frac: Option<f64>, val_file in option::of(path()),
            replay in option::of(path()), replay_frac: Option<f64>, eval_every: Option<u64>, save_every: Option<u64>,
            log_every: Option<u64>, patience: Option<u64>,
        ) -> Settings {
            let val_frac = val_frac.filter(|_| val_file.is_none());
            Settings { texts, bytes, val_frac, val_file, replay, replay_frac, eval_every, save_every, log_every, patience, ..training }
        }
    }

    proptest! {
        #[test]
        fn a_configuration_file_is_read_back_unchanged(settings in settings()) {
            let read = |settings: &Settings| parse_settings(Path::new("c.toml"), &write_settings(settings).unwrap()).unwrap();
            prop_assert_eq!(read(&settings), settings);
        }
    }

    #[test]
    fn flags_take_precedence_over_a_file() {
        let file = Settings { layers: Some(3), steps: Some(50), ..Settings::default() };
        let flags = Settings { layers: Some(4), epochs: Some(7), ..Settings::default() };
        let settings = flags.or(file);
        assert_eq!((settings.model_config().num_layers, settings.model_config().hidden_size), (4, 256));
        assert_eq!((settings.train_config().epochs, settings.train_config().steps), (7, None));
    }

    #[test]
    fn reports_the_line_of_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "layers = 2\nhiden = 5\n").unwrap();
        let message = read_settings(&path).unwrap_err().to_string();
        assert!(message.contains("line 2") && message.contains("hiden"), "{message}");
    }

    #[test]
    fn rejects_conflicting_settings_in_a_file() {
        for (text, both) in [
            ("epochs = 1\nsteps = 2", "epochs and steps"),
            ("val-frac = 0.1\nval-file = \"v\"", "val-frac and val-file"),
        ] {
            let message = parse_settings(Path::new("c.toml"), text).unwrap_err().to_string();
            assert!(message.contains("c.toml") && message.contains(both), "{message}");
        }
    }

    #[test]
    fn rejects_a_changed_model_with_both_values() {
        let run = Settings::default();
        let other = Settings { hidden: Some(300), ..run.clone() };
        let message = other.check_matches(&run, Path::new("x")).unwrap_err().to_string();
        assert!(message.contains("256") && message.contains("300"), "{message}");
    }
}
