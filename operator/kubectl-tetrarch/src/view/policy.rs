//! What people and programs see of policies.

pub mod effective;
pub mod impact;
pub mod junit;
pub mod lint;
pub mod pending;
pub mod present;
pub mod test;

#[cfg(test)]
mod tests;
