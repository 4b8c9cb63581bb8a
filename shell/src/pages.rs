//! Completions and man pages, from the definition of the command line.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Command, Subcommand};
use clap_complete::Shell;

/// The subcommands that print them.
#[derive(Debug, Clone, Subcommand)]
pub enum Pages {
    /// Print the completions of a shell
    Completions {
        /// Which one
        shell: Shell,
    },
    /// Print the man page, or write it and those of the subcommands into a folder
    Man {
        /// The folder; it is made if it is not there
        #[arg(long, value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
}

impl Pages {
    /// Writes what was asked for of this program, and says what cannot be written. Gives whether it is.
    pub fn write(&self, program: Command) -> bool {
        match self.written(program) {
            Ok(()) => true,
            Err(why) => {
                eprintln!("{why}");
                false
            }
        }
    }

    fn written(&self, mut program: Command) -> Result<(), String> {
        match self {
            Pages::Completions { shell } => {
                let (name, mut text) = (program.get_name().to_owned(), Vec::new());
                clap_complete::generate(*shell, &mut program, name, &mut text);
                print(&text)
            }
            Pages::Man { directory: None } => {
                let mut text = Vec::new();
                clap_mangen::Man::new(program).render(&mut text).map_err(|error| error.to_string())?;
                print(&text)
            }
            Pages::Man { directory: Some(directory) } => std::fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(program.disable_help_subcommand(true), directory))
                .map_err(|error| format!("the man pages cannot be written into {}: {error}", directory.display())),
        }
    }
}

fn print(text: &[u8]) -> Result<(), String> {
    match io::stdout().lock().write_all(text) {
        // Who reads it, `head` for one, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| format!("it cannot be printed: {error}")),
    }
}
