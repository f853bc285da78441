//! The arguments of `charlstm novelty`.

use std::path::PathBuf;

/// Find what a text copies from a corpus: is it new, or learned by heart?
///
/// For each line of the text that is not blank, and at the end for all of them: its characters, the longest span that is copied
/// from the corpus (in characters), the share of its characters that lie in copied spans of more than 20, and the file and the line
/// of the corpus where the longest span begins (one of the places, if there are several).
///
/// Copied means that the same characters stand in the corpus in the same order: capitals, blanks and punctuation count, and nothing
/// is left out between. Any text shares short spans with any other of its language; what matters is how long they are. A span ends
/// with its line, or with its paragraph. The search is exact. It takes about 5 bytes of memory for each byte of the corpus, which
/// must be below 2 GiB.
#[derive(Debug, clap::Args)]
pub struct NoveltyArgs {
    /// The text to look into; `-` reads standard input
    #[arg(value_name = "OUT")]
    pub text: PathBuf,
    /// Files or folders that may have been copied from [default: what a run was trained on]
    #[arg(long, value_name = "CORPUS", num_args = 1.., conflicts_with = "run")]
    pub against: Vec<PathBuf>,
    /// The run whose training text is the corpus, what it held out aside [default: the newest run]
    #[arg(long, value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// Paragraphs in place of lines: the blocks between blank lines
    #[arg(long)]
    pub paragraphs: bool,
    /// Spans of up to N characters do not count as copied in the share
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub span: usize,
    /// Compare bytes in place of UTF-8 characters, as a run does that was trained so
    #[arg(long, requires = "against", conflicts_with = "run")]
    pub bytes: bool,
    /// Print only the last line, about all of the text
    #[arg(long)]
    pub summary: bool,
    /// Print JSON, a record a line, with the copied span itself in `text`
    #[arg(long)]
    pub jsonl: bool,
}
