//! `reference`: every command with its options as Markdown, so that the documentation cannot fall behind.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use crate::{args::Args, exit::Exit, failure::Error, screen::Screen};

/// Prints the reference.
pub fn print() -> Result<Exit, Error> {
    Screen::stdout().print(&reference())?;
    Ok(Exit::Success)
}

fn reference() -> String {
    let mut root = Args::command().disable_help_subcommand(true);
    root.build();
    let mut text = String::from(
        "<!-- Generated from operator/kubectl-tetrarch/src/args by 'make generate'; do not edit. -->\n# kubectl tetrarch\n",
    );
    let _ = writeln!(text, "\n{}", root.get_about().map(ToString::to_string).unwrap_or_default());
    let _ = writeln!(text, "\n[How to use it](../cli.md). These options work with every command:\n");
    options(&mut text, root.get_arguments().filter(|option| option.is_global_set()));
    commands(&mut text, &root);
    text
}

fn commands(text: &mut String, parent: &Command) {
    for command in parent.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        if command.has_subcommands() {
            commands(text, command);
            continue;
        }
        let usage = command.clone().render_usage().to_string();
        let _ = writeln!(text, "\n## {}\n", command.get_bin_name().unwrap_or(command.get_name()));
        let _ = writeln!(text, "{}.\n", command.get_about().map(ToString::to_string).unwrap_or_default());
        let _ = writeln!(text, "```\n{}\n```\n", usage.trim_start_matches("Usage: "));
        options(text, command.get_arguments().filter(|option| !option.is_global_set() && option.get_id() != "help"));
        if let Some(more) = command.get_after_help() {
            let _ = writeln!(text, "\n```\n{}\n```", more.to_string().trim_end());
        }
    }
}

fn options<'a>(text: &mut String, options: impl Iterator<Item = &'a Arg>) {
    let mut options = options.filter(|option| !option.is_hide_set()).peekable();
    if options.peek().is_none() {
        return;
    }
    text.push_str("| option | meaning |\n|---|---|\n");
    for option in options {
        let value = option.get_value_names().filter(|_| option.get_action().takes_values());
        let value = value.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        let long = option.get_long().map(|long| format!("--{long}"));
        let short = option.get_short().map(|short| format!("-{short}"));
        let flags: Vec<String> = long.into_iter().chain(short).collect();
        let shown = match (flags.is_empty(), value) {
            (true, value) => value.unwrap_or_else(|| option.get_id().to_string().to_uppercase()),
            (false, Some(value)) => format!("{} {value}", flags.join(", ")),
            (false, None) => flags.join(", "),
        };
        let mut meaning = option.get_help().map(ToString::to_string).unwrap_or_default();
        let known: Vec<String> = option.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        if flags.is_empty() && !known.is_empty() {
            let _ = write!(meaning, ": {}", known.join(", "));
        }
        let _ = writeln!(text, "| `{}` | {} |", shown.replace('|', "\\|"), meaning.replace('|', "\\|"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_reference() {
        let text = reference();
        for command in ["tree", "get", "run", "policy test", "policy explain", "policy approve"] {
            assert!(text.contains(&format!("## kubectl tetrarch {command}\n")), "{command} is missing");
        }
        assert!(!text.contains("reference`") && text.contains("`--reason TEXT`"));
    }
}
