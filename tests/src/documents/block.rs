//! A document's code blocks, and what is to be done with each.

use anyhow::{Context as _, bail, ensure};

/// What blocks must say of themselves what is done with them.
const RUNNABLE: [&str; 8] = ["sh", "bash", "sql", "json", "yaml", "properties", "diff", "console"];

/// A code block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The document's line at which it begins.
    pub line: usize,
    /// Its language.
    pub language: String,
    /// What is in it.
    pub text: String,
    /// What is done with it.
    pub mark: Mark,
    /// What it prints: the `text` block behind it.
    pub prints: Option<String>,
}

/// What is done with a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// It is run, and ends.
    Run,
    /// It is run until it prints what is to be printed.
    Until,
    /// It is run beside what follows, which begins when it has printed this.
    Beside(String),
    /// It is given to this command.
    By(String),
    /// It is written into a file of this name.
    File(String),
    /// It is not run, for this reason.
    Not(String),
}

impl Mark {
    fn parse(comment: &str) -> anyhow::Result<Self> {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty()).context("it says no more");
        if let Some(reason) = comment.strip_prefix("not run:") {
            return Ok(Self::Not(text(reason)?));
        }
        if let Some(name) = comment.strip_prefix("file:") {
            return Ok(Self::File(text(name)?));
        }
        if let Some(command) = comment.strip_prefix("run by:") {
            return Ok(Self::By(text(command)?));
        }
        if let Some(until) = comment.strip_prefix("run beside the next until it prints:") {
            return Ok(Self::Beside(text(until)?));
        }
        match comment {
            "run" => Ok(Self::Run),
            "run until it prints what follows" => Ok(Self::Until),
            other => bail!("it is not known what <!-- {other} --> is"),
        }
    }
}

/// The blocks of a document that are to be run or say why not.
///
/// # Errors
/// One says neither, or something that is not known, or does not end.
pub fn blocks(markdown: &str) -> anyhow::Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    // Whether a text block would be what the last one prints.
    let mut is_answered = true;
    let mut comment = None;
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(fence) = line.trim_start().strip_prefix("```") else {
            let inside = line.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
            comment = inside.map(|inside| inside.trim().to_owned());
            continue;
        };
        let (line, language) = (number + 1, fence.split_whitespace().next().unwrap_or_default().to_owned());
        let mut text = String::new();
        loop {
            let (_, inside) = lines.next().with_context(|| format!("line {line}: the block does not end"))?;
            if inside.trim() == "```" {
                break;
            }
            text.push_str(inside);
            text.push('\n');
        }
        let said = comment.take();
        if RUNNABLE.contains(&language.as_str()) {
            let said = said.with_context(|| {
                format!(
                    "line {line}: nothing before the block says whether it is run: <!-- run --> or <!-- not run: … -->"
                )
            })?;
            let mark = Mark::parse(&said).with_context(|| format!("line {line}"))?;
            is_answered = matches!(mark, Mark::Not(_) | Mark::File(_));
            blocks.push(Block { line, language, text, mark, prints: None });
        } else if language == "text" && !is_answered {
            is_answered = true;
            if let Some(last) = blocks.last_mut() {
                last.prints = Some(text);
            }
        }
    }
    for block in &blocks {
        let is_told = block.mark != Mark::Until || block.prints.is_some();
        ensure!(is_told, "line {}: no text block says what it prints", block.line);
    }
    Ok(blocks)
}

/// Whether something printed is as it should be: `…` stands for anything, blanks at the ends of lines do not count.
pub fn is_as(printed: &str, expected: &str) -> bool {
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    let printed = printed.join("\n");
    let mut rest = printed.trim();
    let mut pieces = expected.trim().split('…');
    let Some(found) = rest.strip_prefix(pieces.next().unwrap_or_default().trim_end_matches('\n')) else { return false };
    rest = found;
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some((_, behind)) = rest.split_once(piece.trim_matches('\n')) else { return false };
        rest = behind;
    }
    rest.ends_with(last.trim_start_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_say_what_is_done_with_them() {
        let text = "# Title\n\n<!-- run -->\n```sh\nls\n```\nprints\n```text\na\nb\n```\n\
            <!-- run by: psql \"$A\" -->\n```sql\nSELECT 1\n```\n```mermaid\nflowchart\n```\n<!-- not run: no engine -->\n```bash\ndocker\n```\n```text\nx\n```\n";
        let blocks = blocks(text).unwrap();
        let marks: Vec<_> = blocks
            .iter()
            .map(|block| (block.line, &block.mark, block.text.as_str(), block.prints.as_deref()))
            .collect();
        let by = Mark::By("psql \"$A\"".to_owned());
        let not = Mark::Not("no engine".to_owned());
        assert_eq!(
            marks,
            [(4, &Mark::Run, "ls\n", Some("a\nb\n")), (13, &by, "SELECT 1\n", None), (20, &not, "docker\n", None),]
        );
    }

    #[test]
    fn a_block_that_says_nothing_is_an_error() {
        for (text, why) in [
            ("```sh\nls\n```\n", "line 1: nothing before the block"),
            ("<!-- run -->\n\n```sh\nls\n```\n", "line 3: nothing before the block"),
            ("<!-- running -->\n```sh\nls\n```\n", "line 2"),
            ("<!-- not run: -->\n```sh\nls\n```\n", "line 2"),
            ("<!-- run until it prints what follows -->\n```sh\nls\n```\n", "line 2: no text block"),
            ("<!-- run -->\n```sh\nls\n", "line 2: the block does not end"),
        ] {
            let error = blocks(text).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn what_is_printed_is_compared_with_gaps() {
        for (printed, expected) in [
            ("a\n", "a"),
            ("one two three", "one … three"),
            ("{\"a\":1,\"b\":2}", "…\"b\":2…"),
            ("first\nsecond\nthird\nlast\n", "first\n…\nlast\n"),
            ("2 rows\n", "… rows\n"),
        ] {
            assert!(is_as(printed, expected), "{printed} {expected}");
        }
        for (printed, expected) in
            [("a b", "a"), ("one three", "one … two … three"), ("x rows more", "… rows"), ("b", "a…"), ("", "a")]
        {
            assert!(!is_as(printed, expected), "{printed} {expected}");
        }
    }
}
