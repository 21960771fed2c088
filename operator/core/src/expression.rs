//! Expressions in workflows and policies: CEL, compiled once, evaluated totally.
//!
//! The grammar is that of the `cel` crate. The evaluator is our own, because the state of a run is folded again and
//! again from its journal, on several replicas, and must come out the same each time, and because a policy decides within
//! microseconds: maps are visited in the order of
//! their keys, every evaluation has a budget, nothing panics, and values are borrowed from the run instead of copied.
//!
//! Differences from the CEL standard, all of them on purpose:
//! - values are those of JSON: no bytes, durations, types and messages; an integer is any of JSON's
//!   (-2^63 to 2^64-1), `1u` is `1`, and a result that is not finite is an error;
//! - moments exist in policies only, and only where the text shows that they are meant: `now` and `timestamp('…')` can be
//!   compared with each other and read by `getHours()` and its siblings, whose optional argument is the name of a time zone
//!   or an offset such as `+02:00`; zones come from a database inside of the program;
//! - `quantity('1Gi')` is a number, so that `quantity(object.spec.x) <= quantity('1Gi')` compares what is meant;
//! - arithmetic between an integer and a double is done in doubles, because agents write `1` where they mean `1.0`.

mod evaluate;
mod function;
mod lower;
mod moment;
mod pattern;
mod quantity;
mod scan;
mod template;
mod value;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeMap, collections::BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

pub use template::{Mistake, Reading, Template};
use value::Meter;

/// Longest expression, in bytes.
pub const MAX_LENGTH: usize = 4096;
/// Deepest nesting of brackets, and of operators in one expression.
pub const MAX_NESTING: usize = 24;
/// Most operators, dots and brackets in one expression.
pub const MAX_OPERATORS: usize = 400;
/// Budget of one evaluation: about one unit for each operation and for each 16 bytes copied.
pub const MAX_COST: u64 = 10_000_000;
/// Budget of one evaluation of a rule of a policy, in the same units: a rule that walks a whole object stays far below.
pub const MAX_POLICY_COST: u64 = 100_000;
/// Deepest nesting of a value that a template yields.
pub const MAX_VALUE_DEPTH: usize = 100;

/// Why an expression was refused or could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The expression is too long.
    #[error("the expression has {0} bytes: write at most {MAX_LENGTH}")]
    Length(usize),
    /// The expression is too complex to be parsed safely.
    #[error(
        "the expression is too complex ({what}): split it over several steps, at most {MAX_NESTING} levels and {MAX_OPERATORS} operators"
    )]
    Complexity {
        /// Which limit it exceeds.
        what: &'static str,
    },
    /// The text is no CEL.
    #[error("invalid CEL at column {column}: {message}")]
    Syntax {
        /// Where, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// `${` without its `}`.
    #[error("\"${{\" without its \"}}\": close it, or write \"$${{\" for the two characters themselves")]
    Unclosed,
    /// An unknown variable.
    #[error("unknown variable {name:?}: write one of {known}", known = vocabulary.list())]
    UnknownVariable {
        /// Its name.
        name: String,
        /// Where the expression stands, which says what it may read.
        vocabulary: Vocabulary,
    },
    /// An unknown function, or a known one with the wrong number of arguments.
    #[error("unknown function {name:?} with {arguments} arguments: write one of {known}", known = function::list(*vocabulary))]
    UnknownFunction {
        /// Its name.
        name: String,
        /// Arguments it was called with, the receiver included.
        arguments: usize,
        /// Where the expression stands, which says what it may call.
        vocabulary: Vocabulary,
    },
    /// A moment where a value is needed, or the other way round.
    #[error(
        "moments can only be compared with each other, or read: write now < timestamp('2027-01-01T00:00:00Z') or now.getHours('Europe/Berlin')"
    )]
    Moment,
    /// A text that is no moment.
    #[error("{0:?} is no moment: write one as in 2027-01-01T00:00:00Z")]
    Timestamp(String),
    /// A time zone that nobody knows.
    #[error("{0:?} is no time zone: write a name such as 'Europe/Berlin' or an offset such as '+02:00'")]
    TimeZone(String),
    /// A part of CEL that has no meaning for JSON values.
    #[error("{0} cannot be used here: values are those of JSON")]
    Unsupported(&'static str),
    /// `steps` other than as `steps.<name>`.
    #[error(
        "\"steps\" needs the name of a step right behind it: write steps.<name>, or steps['<name>'] when it has a dash"
    )]
    WholeSteps,
    /// The template is nested too deeply.
    #[error("the value is nested deeper than {0} levels: write a flatter one")]
    Depth(usize),
    /// The evaluation failed.
    #[error("{0}")]
    Evaluation(String),
    /// The evaluation used up its budget.
    #[error("the expression does too much work: filter earlier, or let an agent do it")]
    Cost,
}

/// A variable that expressions can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// Values of the parameters.
    Params,
    /// Outputs and phases of ended steps.
    Steps,
    /// The run: `id` and `workflow`.
    Run,
    /// The item of a map's task.
    Item,
    /// The index of a map's task, from 0.
    Index,
    /// The item of the outer list that the item of a nested map belongs to.
    Outer,
    /// The output of the stage before, null for the first one.
    Previous,
    /// The outputs of a map's tasks, for its reducing task.
    Results,
    /// What is judged: the answer of a target, for the gathering of a scatter, or the output of a step, for its gate.
    Output,
    /// What the gate said of the attempt before, empty for the first one: for the task of a step whose gate retries.
    Verdict,
    /// What happened outside: `id`, `body` and `headers`, for a trigger by an event.
    Event,
    /// The object that is written, as in its manifest.
    Object,
    /// The object before it is written; null when it is created.
    OldObject,
    /// `CREATE`, `UPDATE` or `DELETE`.
    Operation,
    /// Who writes: `name` and `groups`.
    User,
    /// The moment of the decision; it gets its value from [`Scope::with_now`].
    Now,
    /// The Domain of the object: `name` and `labels`; null for an Orchestrator.
    Domain,
}

impl Variable {
    /// All variables.
    pub const ALL: [Self; 17] = [
        Self::Params,
        Self::Steps,
        Self::Run,
        Self::Item,
        Self::Index,
        Self::Outer,
        Self::Previous,
        Self::Results,
        Self::Output,
        Self::Verdict,
        Self::Event,
        Self::Object,
        Self::OldObject,
        Self::Operation,
        Self::User,
        Self::Now,
        Self::Domain,
    ];

    /// The name in expressions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Params => "params",
            Self::Steps => "steps",
            Self::Run => "run",
            Self::Item => "item",
            Self::Index => "index",
            Self::Outer => "outer",
            Self::Previous => "previous",
            Self::Results => "results",
            Self::Output => "output",
            Self::Verdict => "verdict",
            Self::Event => "event",
            Self::Object => "object",
            Self::OldObject => "oldObject",
            Self::Operation => "operation",
            Self::User => "user",
            Self::Now => "now",
            Self::Domain => "domain",
        }
    }
}

/// Where an expression stands, which says what it may read and how much work it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// In a Workflow: conditions, gates and `${…}`. Which of its variables have a value depends on the place.
    Workflow,
    /// In a rule or an `approvalFor` of a policy.
    Policy,
}

impl Vocabulary {
    /// The variables that such an expression may read.
    pub const fn variables(self) -> &'static [Variable] {
        let (workflow, policy) = Variable::ALL.split_at(11);
        match self {
            Self::Workflow => workflow,
            Self::Policy => policy,
        }
    }

    /// The budget of one evaluation.
    pub const fn budget(self) -> u64 {
        match self {
            Self::Workflow => MAX_COST,
            Self::Policy => MAX_POLICY_COST,
        }
    }

    fn find(self, name: &str) -> Option<Variable> {
        self.variables().iter().copied().find(|variable| variable.as_str() == name)
    }

    fn list(self) -> String {
        self.variables().iter().map(|variable| variable.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// What an expression or a template reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Variables.
    pub variables: BTreeSet<Variable>,
    /// Steps, as in `steps.<name>`.
    pub steps: BTreeSet<String>,
    /// Parameters, as in `params.<name>`.
    pub parameters: BTreeSet<String>,
}

impl References {
    fn extend(&mut self, other: &Self) {
        self.variables.extend(&other.variables);
        self.steps.extend(other.steps.iter().cloned());
        self.parameters.extend(other.parameters.iter().cloned());
    }
}

/// The values of the variables for one evaluation.
#[derive(Debug, Clone, Default)]
pub struct Scope<'a> {
    values: Vec<(Variable, Cow<'a, Value>)>,
    steps: BTreeMap<&'a str, &'a Value>,
    now: Option<Timestamp>,
}

impl<'a> Scope<'a> {
    /// Gives a variable its value.
    #[must_use]
    pub fn with(mut self, variable: Variable, value: Cow<'a, Value>) -> Self {
        self.values.push((variable, value));
        self
    }

    /// Gives `now` its moment.
    #[must_use]
    pub fn with_now(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Makes a step readable: `view` is an object with `output` and `phase`.
    #[must_use]
    pub fn with_step(mut self, name: &'a str, view: &'a Value) -> Self {
        self.steps.insert(name, view);
        self
    }
}

/// A compiled expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    root: lower::Node,
    references: References,
    vocabulary: Vocabulary,
}

impl Expression {
    /// Compiles an expression for the place where it stands.
    pub fn compile(source: &str, vocabulary: Vocabulary) -> Result<Self, Error> {
        let parsed = match scan::check_limits(source)? {
            scan::Nesting::Shallow => parse(source)?,
            scan::Nesting::Deep => parse_with_large_stack(source)?,
        };
        let (root, references) = lower::lower(&parsed, vocabulary)?;
        Ok(Self { root, references, vocabulary })
    }

    /// What it reads.
    pub fn references(&self) -> &References {
        &self.references
    }

    /// Its value.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, Error> {
        self.evaluate_within(scope, &Meter::new(self.vocabulary.budget()))
    }

    /// Its value, which must be true or false.
    pub fn evaluate_condition(&self, scope: &Scope<'_>) -> Result<bool, Error> {
        match self.evaluate(scope)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(Error::Evaluation(format!(
                "the condition yields {}: write an expression that yields true or false",
                value::describe(&other)
            ))),
        }
    }

    fn evaluate_within(&self, scope: &Scope<'_>, meter: &Meter) -> Result<Value, Error> {
        let found = evaluate::Evaluation { scope, meter }.run(&self.root)?;
        if let Cow::Borrowed(borrowed) = &found {
            meter.spend_copy(borrowed)?;
        }
        Ok(found.into_owned())
    }
}

/// Whether the text is an expression that can be evaluated.
pub fn check(source: &str, vocabulary: Vocabulary) -> Result<(), Error> {
    Expression::compile(source, vocabulary).map(|_| ())
}

fn parse(source: &str) -> Result<cel::parser::Expression, Error> {
    // The parser is generated code with its own assertions; a text that trips one of them is a text that is no CEL.
    let parsed = std::panic::catch_unwind(|| cel::parser::Parser::new().parse(source));
    match parsed {
        Ok(Ok(expression)) => Ok(expression),
        Ok(Err(errors)) => {
            let first = errors.errors.first();
            Err(Error::Syntax {
                column: first.map_or(1, |e| usize::try_from(e.pos.1).unwrap_or(0).max(1)),
                message: first.map_or_else(|| "syntax error".to_owned(), |e| readable(&e.msg)),
            })
        }
        Err(_) => Err(Error::Syntax { column: 1, message: "the text cannot be parsed".to_owned() }),
    }
}

/// The parser's message without the list of all tokens of CEL.
fn readable(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split_once(" expecting {").map_or(message, |(found, _)| found);
    message.replace("'<EOF>'", "the end of the text").replace("<EOF>", "the end of the text")
}

/// The parser takes up to 200 KiB of stack for each level of brackets in a debug build, which is more than threads of servers
/// have, so nested expressions are parsed on a thread of their own. Only the text goes in and only the tree comes out.
fn parse_with_large_stack(source: &str) -> Result<cel::parser::Expression, Error> {
    let failed = || Error::Syntax { column: 1, message: "the text cannot be parsed: nest it less".to_owned() };
    let owned = source.to_owned();
    let parser = std::thread::Builder::new().name("cel-parser".to_owned()).stack_size(16 * 1024 * 1024);
    let parser = parser.spawn(move || parse(&owned)).map_err(|_| failed())?;
    parser.join().map_err(|_| failed())?
}
