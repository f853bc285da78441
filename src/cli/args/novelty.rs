//! Arguments of `charlstm novelty`.

use std::path::PathBuf;

/// Measure how much of a text is copied verbatim from a corpus
///
/// For each line that is not blank, and for the whole text: the number of characters, the longest span that also occurs in the
/// corpus (in characters), the fraction of characters in copied spans of more than 20 characters, and the file and line of the
/// corpus in which the longest span starts (one of them, if there are several).
///
/// A span is copied if exactly the same characters, including case, white space and punctuation, occur in the corpus. Short spans
/// are shared by any two texts in the same language; long ones indicate memorization. A span does not continue across the end of a
/// line (or of a paragraph, with --paragraphs). The search is exact. It needs about 5 bytes of memory per byte of the corpus,
/// which must be smaller than 2 GiB.
#[derive(Debug, clap::Args)]
pub struct NoveltyArgs {
    /// Text to check; -: standard input
    #[arg(value_name = "FILE")]
    pub text: PathBuf,
    /// Files or folders of the corpus [default: the training text of --run]
    #[arg(long, value_name = "CORPUS", num_args = 1.., conflicts_with = "run")]
    pub against: Vec<PathBuf>,
    /// Run whose training text is the corpus, without its held-out part [default: the newest run]
    #[arg(long, value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// Report paragraphs (separated by blank lines) instead of lines
    #[arg(long)]
    pub paragraphs: bool,
    /// Count only copied spans of more than N characters
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub span: usize,
    /// Compare bytes instead of UTF-8 characters
    #[arg(long, requires = "against", conflicts_with = "run")]
    pub bytes: bool,
    /// Print only the last line, which covers the whole text
    #[arg(long)]
    pub summary: bool,
    /// Print JSON, one object per line, with the longest copied span as `text`
    #[arg(long)]
    pub jsonl: bool,
}
