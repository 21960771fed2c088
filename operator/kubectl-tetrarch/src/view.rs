//! What people see: objects in, text out. Nothing here asks a cluster or a clock.

pub mod hierarchy;
pub mod history;
pub mod list;
pub mod policy;
pub mod run;
pub mod style;
pub mod table;
pub mod time;
pub mod tree;
pub mod worked;

#[cfg(test)]
mod tests;
