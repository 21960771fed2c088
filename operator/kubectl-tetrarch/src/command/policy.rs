//! `policy`: testing, explaining, comparing and checking policies, and approving what they hold back.

mod approve;
mod diff;
mod explain;
mod lint;
mod test;

#[cfg(test)]
pub use lint::mistakes;

use crate::{
    args::{
        Access,
        policy::{Command, Policy},
    },
    cluster,
    exit::Exit,
    failure::Error,
};

/// Does what was asked; the cluster is only asked by those that need it.
pub async fn policy(access: &Access, args: &Policy) -> Result<Exit, Error> {
    match &args.command {
        Command::Test(asked) => test::test(asked),
        Command::Lint(asked) => lint::lint(asked),
        Command::Explain(asked) => explain::explain(access, asked).await,
        Command::Diff(asked) => diff::diff(access, asked).await,
        Command::Pending(asked) => approve::pending(&cluster::connect(access).await?, asked).await,
        Command::Approve(asked) => approve::approve(&cluster::connect(access).await?, asked).await,
        Command::Reject(asked) => approve::reject(&cluster::connect(access).await?, asked).await,
    }
}
