//! The settings of a run: defaults, overridden by the resumed run, then by a configuration file, then by flags.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use charlstm::cells;
use charlstm::checkpoint::{Frame, model};
use charlstm::data::{BUILT_IN_NAME, DatasetConfig, DatasetProvenance, Encoding, ReplayConfig};
use charlstm::error::{Error, Result};
use charlstm::model::{Init, ModelConfig};
use charlstm::run::{RunMetadata, TrainConfig};

use super::args::Choices;

/// All settings of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub cell: String,
    pub layers: usize,
    pub hidden: usize,
    /// `None` means the hidden size.
    pub embed: Option<usize>,
    pub init: Init,
    /// The run to start from, for fine-tuning.
    pub init_from: Option<PathBuf>,
    pub dataset: DatasetConfig,
    /// A file of old text to mix in.
    pub replay: Option<PathBuf>,
    /// `None` means [`ReplayConfig::DEFAULT_FRACTION`].
    pub replay_frac: Option<f64>,
    pub train: TrainConfig,
}

impl Default for Settings {
    fn default() -> Self {
        let ModelConfig { cell, layers, hidden, .. } = ModelConfig::default();
        let (init, dataset, train) = (Init::default(), DatasetConfig::default(), TrainConfig::default());
        let (embed, init_from, replay, replay_frac) = (None, None, None, None);
        Settings { cell, layers, hidden, embed, init, init_from, dataset, replay, replay_frac, train }
    }
}

impl Settings {
    /// The defaults for the built-in text, which is short: fewer streams and shorter windows give more steps per epoch.
    pub fn for_built_in() -> Self {
        let mut settings = Settings::default();
        (settings.train.batch, settings.train.seq_len, settings.train.epochs) = (16, 64, 15);
        settings
    }

    /// The settings of an existing run.
    pub fn of_run(frame: &Frame) -> Result<Self> {
        let RunMetadata { train, dataset: DatasetProvenance { config: dataset, replay, .. }, origin, .. } =
            RunMetadata::read(frame)?;
        let init_from = origin.map(|origin| origin.run);
        let (replay, replay_frac) = replay.map(|replay| (replay.config.file, replay.config.fraction)).unzip();
        Settings { init_from, dataset, replay, replay_frac, train, ..Settings::default() }.with_model_of(frame)
    }

    /// These settings with the model of an existing run.
    pub fn with_model_of(self, frame: &Frame) -> Result<Self> {
        let ModelConfig { cell, layers, hidden, embed, .. } = model::config(frame)?;
        Ok(Settings { cell, layers, hidden, embed: Some(embed), init: RunMetadata::read(frame)?.init, ..self })
    }

    /// These settings, overridden by `choices`.
    pub fn choose(mut self, choices: &Choices) -> Result<Self> {
        fn set<T: Clone>(to: &mut T, choice: &Option<T>) {
            if let Some(value) = choice {
                *to = value.clone();
            }
        }
        fn set_some<T: Copy>(to: &mut Option<T>, choice: Option<T>) {
            *to = choice.or(*to);
        }
        let c = choices;
        if let Some(name) = &c.cell {
            self.cell = cells::find(name)?.spec.name.into();
        }
        set(&mut self.init.scheme, &c.init);
        set_some(&mut self.init.forget_bias, c.forget_bias);
        set(&mut self.layers, &c.layers);
        set(&mut self.hidden, &c.hidden);
        set_some(&mut self.embed, c.embed);
        let train = &mut self.train;
        set(&mut train.batch, &c.batch);
        set(&mut train.seq_len, &c.seq_len);
        if let Some(epochs) = c.epochs {
            (train.epochs, train.steps) = (epochs, None);
        }
        set_some(&mut train.steps, c.steps);
        set(&mut train.optimizer, &c.optimizer);
        set(&mut train.lr, &c.lr);
        set(&mut train.schedule, &c.schedule);
        set(&mut train.warmup, &c.warmup);
        set(&mut train.weight_decay, &c.weight_decay);
        set(&mut train.clip, &c.clip);
        set(&mut train.dropout, &c.dropout);
        set(&mut train.seed, &c.seed);
        set_some(&mut train.threads, c.threads);
        set_some(&mut train.eval_every, c.eval_every);
        set_some(&mut train.save_every, c.save_every);
        set(&mut train.log_every, &c.log_every);
        set_some(&mut train.patience, c.patience);
        if !c.texts.is_empty() {
            self.dataset.paths = c.texts.iter().map(|path| absolute(path)).collect::<Result<_>>()?;
        }
        set(&mut self.dataset.encoding, &c.bytes.map(|bytes| if bytes { Encoding::Bytes } else { Encoding::Utf8 }));
        if let Some(share) = c.val_frac {
            (self.dataset.val_frac, self.dataset.val_file) = (share, None);
        }
        if let Some(file) = &c.val_file {
            self.dataset.val_file = Some(absolute(file)?);
        }
        self.init_from = c.init_from.clone().or(self.init_from);
        if let Some(file) = &c.replay {
            self.replay = Some(absolute(file)?);
        }
        set_some(&mut self.replay_frac, c.replay_frac);
        Ok(self)
    }

    /// The contents of `config.toml`.
    pub fn to_choices(&self) -> Choices {
        let (train, dataset) = (&self.train, &self.dataset);
        Choices {
            texts: dataset.paths.clone(),
            cell: Some(self.cell.clone()),
            layers: Some(self.layers),
            hidden: Some(self.hidden),
            embed: self.embed,
            init: Some(self.init.scheme),
            forget_bias: self.init.forget_bias,
            init_from: self.init_from.clone(),
            batch: Some(train.batch),
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
            seed: Some(train.seed),
            threads: train.threads,
            bytes: Some(dataset.encoding == Encoding::Bytes),
            val_frac: Some(dataset.val_frac).filter(|_| dataset.val_file.is_none()),
            val_file: dataset.val_file.clone(),
            replay: self.replay.clone(),
            replay_frac: self.replay_frac,
            eval_every: train.eval_every,
            save_every: train.save_every,
            log_every: Some(train.log_every),
            patience: train.patience,
        }
    }

    /// The model configuration without the vocabulary, which comes from the texts.
    pub fn shape(&self) -> ModelConfig {
        ModelConfig {
            cell: self.cell.clone(),
            layers: self.layers,
            hidden: self.hidden,
            embed: self.embed.unwrap_or(self.hidden),
            vocab: 0,
        }
    }

    /// The default name of the run: the file name of its first text without the extension.
    pub fn name(&self) -> String {
        let Some(path) = self.dataset.paths.first() else { return BUILT_IN_NAME.into() };
        // A path such as `..` has no file name until it is resolved.
        let resolved = path.canonicalize().unwrap_or_else(|_| path.clone());
        let stem = path.file_stem().or_else(|| resolved.file_stem());
        stem.map_or("text".into(), |stem| stem.to_string_lossy().into_owned())
    }

    /// The old text to mix in.
    pub fn replay(&self) -> Result<Option<ReplayConfig>> {
        match (&self.replay, self.replay_frac) {
            (Some(_), _) if self.init_from.is_none() => Err(Error::Usage(
                "--replay mixes old text into fine-tuning; name the run to start from with --init-from".into(),
            )),
            (Some(file), share) => {
                Ok(Some(ReplayConfig { file: file.clone(), fraction: share.unwrap_or(ReplayConfig::DEFAULT_FRACTION) }))
            }
            (None, Some(_)) => Err(Error::Usage("--replay-frac needs --replay FILE".into())),
            (None, None) => Ok(None),
        }
    }

    /// Refuses settings that cannot change when a run is resumed. The trainer checks the settings of [`TrainConfig`].
    pub fn check_matches(&self, run: &Settings, path: &Path) -> Result<()> {
        self.check_same_model(run, path)?;
        let fixed = |settings: &Settings| {
            let fraction = settings.replay_frac.unwrap_or(ReplayConfig::DEFAULT_FRACTION);
            [
                ("val_frac", settings.dataset.val_frac.to_string()),
                ("bytes", (settings.dataset.encoding == Encoding::Bytes).to_string()),
                ("replay_frac", fraction.to_string()),
            ]
        };
        check_equal(path, fixed(run), fixed(self))
    }

    /// Refuses settings that contradict the model of a run.
    pub fn check_same_model(&self, run: &Settings, path: &Path) -> Result<()> {
        let fixed = |settings: &Settings| {
            let (shape, init) = (settings.shape(), settings.init);
            [
                ("cell", shape.cell),
                ("layers", shape.layers.to_string()),
                ("hidden", shape.hidden.to_string()),
                ("embed", shape.embed.to_string()),
                ("init", format!("{:?}", init.scheme).to_lowercase()),
                ("forget_bias", init.forget_bias.unwrap_or(1.0).to_string()),
            ]
        };
        check_equal(path, fixed(run), fixed(self))
    }
}

type NamedValue = (&'static str, String);

/// Refuses the first setting that differs from that of the run.
fn check_equal<const N: usize>(path: &Path, run: [NamedValue; N], wanted: [NamedValue; N]) -> Result<()> {
    match run.into_iter().zip(wanted).find(|(run, wanted)| run != wanted) {
        None => Ok(()),
        Some(((setting, saved), (_, requested))) => {
            Err(Error::FixedSetting { run: path.into(), setting, saved, requested })
        }
    }
}

/// Reads a configuration file.
pub fn read_choices(path: &Path) -> Result<Choices> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse_choices(path, &text),
        Err(e) if e.kind() == ErrorKind::InvalidData => {
            Err(Error::Usage(format!("{}: not a configuration file (not valid UTF-8)", path.display())))
        }
        Err(e) => Err(Error::input(path, e)),
    }
}

const EXPECTED_INTEGER: &str = "expected a whole number, 0 or more";

/// Parses a configuration file; `path` is used in error messages.
pub fn parse_choices(path: &Path, text: &str) -> Result<Choices> {
    let choices: Choices = toml::from_str(text).map_err(|e| {
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
        ("epochs and steps", choices.epochs.is_some() && choices.steps.is_some()),
        ("val-frac and val-file", choices.val_frac.is_some() && choices.val_file.is_some()),
    ];
    match both.into_iter().find(|(_, has_both)| *has_both) {
        Some((both, _)) => Err(Error::Usage(format!("{}: contains both {both}; remove one of them", path.display()))),
        None => Ok(choices),
    }
}

/// The text of a configuration file.
pub fn write_choices(choices: &Choices) -> Result<String> {
    let text = toml::to_string(choices).map_err(|e| Error::Internal(format!("config.toml cannot be encoded: {e}")))?;
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
        fn model_choices()(
            cell in option::of(cell()), layers: Option<usize>, hidden: Option<usize>, embed: Option<usize>,
            init in option::of(select(&[Scheme::Orthogonal, Scheme::Uniform, Scheme::Xavier])), forget_bias: Option<f64>,
            init_from in option::of(path()),
        ) -> Choices {
            Choices { cell, layers, hidden, embed, init, forget_bias, init_from, ..Choices::default() }
        }
    }

    prop_compose! {
        fn training_choices()(
            model in model_choices(), optimizer in option::of(select(&[Optimizer::Adamw, Optimizer::Sgd, Optimizer::Rmsprop])),
            schedule in option::of(select(&[Schedule::Cosine, Schedule::Linear, Schedule::Constant])),
            (batch, seq_len, threads) in any::<(Option<usize>, Option<usize>, Option<usize>)>(),
            total in any::<Option<Result<u64, u64>>>(), (warmup, seed) in any::<(Option<u64>, Option<u64>)>(),
            (lr, weight_decay, clip, dropout) in any::<(Option<f64>, Option<f64>, Option<f64>, Option<f64>)>(),
        ) -> Choices {
            let (epochs, steps) = total.map_or((None, None), |total| (total.ok(), total.err()));
            Choices {
                optimizer, schedule, batch, seq_len, threads, epochs, steps, lr, weight_decay, clip, dropout, warmup, seed, ..model
            }
        }
    }

    prop_compose! {
        fn choices()(
            training in training_choices(), texts in vec(path(), 0..4), bytes: Option<bool>, val_frac: Option<f64>, val_file in option::of(path()),
            replay in option::of(path()), replay_frac: Option<f64>, eval_every: Option<u64>, save_every: Option<u64>,
            log_every: Option<u64>, patience: Option<u64>,
        ) -> Choices {
            let val_frac = val_frac.filter(|_| val_file.is_none());
            Choices { texts, bytes, val_frac, val_file, replay, replay_frac, eval_every, save_every, log_every, patience, ..training }
        }
    }

    proptest! {
        #[test]
        fn a_configuration_file_is_read_back_unchanged(choices in choices()) {
            let read = |choices: &Choices| parse_choices(Path::new("c.toml"), &write_choices(choices).unwrap()).unwrap();
            prop_assert_eq!(&read(&choices), &choices);
            let settings = Settings::default().choose(&choices).unwrap();
            prop_assert_eq!(Settings::default().choose(&read(&settings.to_choices())).unwrap(), settings);
        }
    }

    #[test]
    fn later_choices_override_earlier_ones() {
        let file = Choices { layers: Some(3), steps: Some(50), ..Choices::default() };
        let flags = Choices { layers: Some(4), epochs: Some(7), ..Choices::default() };
        let settings = Settings::default().choose(&file).unwrap().choose(&flags).unwrap();
        assert_eq!((settings.layers, settings.hidden), (4, 256));
        assert_eq!((settings.train.epochs, settings.train.steps), (7, None));
    }

    #[test]
    fn names_the_line_of_a_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "layers = 2\nhiden = 5\n").unwrap();
        let message = read_choices(&path).unwrap_err().to_string();
        assert!(message.contains("line 2") && message.contains("hiden"), "{message}");
    }

    #[test]
    fn rejects_conflicting_settings_in_a_file() {
        for (text, both) in [
            ("epochs = 1\nsteps = 2", "epochs and steps"),
            ("val-frac = 0.1\nval-file = \"v\"", "val-frac and val-file"),
        ] {
            let message = parse_choices(Path::new("c.toml"), text).unwrap_err().to_string();
            assert!(message.contains("c.toml") && message.contains(both), "{message}");
        }
    }

    #[test]
    fn rejects_a_changed_model_with_both_values() {
        let run = Settings::default();
        let other = Settings { hidden: 300, ..run.clone() };
        let message = other.check_matches(&run, Path::new("x")).unwrap_err().to_string();
        assert!(message.contains("256") && message.contains("300"), "{message}");
    }
}
