//! Templates: JSON in which strings hold `${…}`.

use serde_json::{Map, Value};

use super::{
    Error, Expression, MAX_COST, MAX_VALUE_DEPTH, References, Scope, Vocabulary,
    scan::{self, Part},
    value::{Meter, exceeds_depth},
};

/// A compiled template. A string that is exactly one `${expression}` becomes the value of the expression, of any type; in
/// every other string each `${expression}` is replaced by its text. `$${` stands for `${`.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    root: Shape,
    references: References,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    /// A part without expressions.
    Constant(Value),
    /// A string that is one expression.
    Whole(Expression),
    /// A string with expressions in it.
    Text(Vec<Piece>),
    List(Vec<Shape>),
    Object(Vec<(String, Shape)>),
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Plain(String),
    Value(Expression),
}

/// A mistake in a template and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Place in the template, such as `.package.name` or `.files[2]`; empty for the template itself.
    pub place: String,
    /// What is wrong.
    pub error: Error,
}

/// What an expression of a template reads, and where the expression stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Place in the template, as in [`Mistake`].
    pub place: String,
    /// What it reads.
    pub references: References,
}

impl Template {
    /// Compiles a template, or lists everything that is wrong with it.
    pub fn compile(template: &Value) -> Result<Self, Vec<Mistake>> {
        let (root, readings, mistakes) = compile(template);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let mut references = References::default();
        for reading in &readings {
            references.extend(&reading.references);
        }
        Ok(Self { root, references })
    }

    /// What the expressions of a template read, and everything that is wrong with the others.
    pub fn inspect(template: &Value) -> (Vec<Reading>, Vec<Mistake>) {
        let (_, readings, mistakes) = compile(template);
        (readings, mistakes)
    }

    /// What its expressions read.
    pub fn references(&self) -> &References {
        &self.references
    }

    /// The value with all expressions replaced.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, Error> {
        let value = fill(&self.root, scope, &Meter::new(MAX_COST))?;
        if exceeds_depth(&value, MAX_VALUE_DEPTH) { Err(Error::Depth(MAX_VALUE_DEPTH)) } else { Ok(value) }
    }
}

struct Compiler {
    mistakes: Vec<Mistake>,
    readings: Vec<Reading>,
}

fn compile(template: &Value) -> (Shape, Vec<Reading>, Vec<Mistake>) {
    if exceeds_depth(template, MAX_VALUE_DEPTH) {
        let mistake = Mistake { place: String::new(), error: Error::Depth(MAX_VALUE_DEPTH) };
        return (Shape::Constant(Value::Null), Vec::new(), vec![mistake]);
    }
    let mut compiler = Compiler { mistakes: Vec::new(), readings: Vec::new() };
    let root = compiler.shape(template, &mut String::new());
    (root, compiler.readings, compiler.mistakes)
}

impl Compiler {
    fn shape(&mut self, template: &Value, place: &mut String) -> Shape {
        match template {
            Value::String(text) => self.string(text, place),
            Value::Array(list) => {
                let shapes =
                    list.iter().enumerate().map(|(index, element)| self.inside(&format!("[{index}]"), element, place));
                let shapes: Vec<Shape> = shapes.collect();
                if shapes.iter().all(Shape::is_constant) {
                    Shape::Constant(Value::Array(shapes.into_iter().filter_map(Shape::into_constant).collect()))
                } else {
                    Shape::List(shapes)
                }
            }
            Value::Object(map) => {
                let shapes: Vec<(String, Shape)> = map
                    .iter()
                    .map(|(key, element)| (key.clone(), self.inside(&format!(".{key}"), element, place)))
                    .collect();
                if shapes.iter().all(|(_, shape)| shape.is_constant()) {
                    let constant = shapes.into_iter().filter_map(|(key, shape)| Some((key, shape.into_constant()?)));
                    Shape::Constant(Value::Object(constant.collect()))
                } else {
                    Shape::Object(shapes)
                }
            }
            scalar => Shape::Constant(scalar.clone()),
        }
    }

    fn inside(&mut self, name: &str, element: &Value, place: &mut String) -> Shape {
        let outer = place.len();
        place.push_str(name);
        let shape = self.shape(element, place);
        place.truncate(outer);
        shape
    }

    fn string(&mut self, text: &str, place: &str) -> Shape {
        let parts = match scan::split(text) {
            Ok(parts) => parts,
            Err(error) => {
                self.mistakes.push(Mistake { place: place.to_owned(), error });
                return Shape::Constant(Value::Null);
            }
        };
        let is_whole = matches!(parts.as_slice(), [Part::Expression(_)]);
        let mut pieces = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Part::Text(text) => match pieces.last_mut() {
                    Some(Piece::Plain(before)) => before.push_str(text),
                    _ => pieces.push(Piece::Plain(text.to_owned())),
                },
                Part::Expression(source) => match Expression::compile(source, Vocabulary::Workflow) {
                    Ok(expression) => {
                        let references = expression.references().clone();
                        self.readings.push(Reading { place: place.to_owned(), references });
                        pieces.push(Piece::Value(expression));
                    }
                    Err(error) => self.mistakes.push(Mistake { place: place.to_owned(), error }),
                },
            }
        }
        match pieces.pop() {
            None => Shape::Constant(Value::from("")),
            Some(Piece::Plain(text)) if pieces.is_empty() => Shape::Constant(Value::String(text)),
            Some(Piece::Value(expression)) if is_whole => Shape::Whole(expression),
            Some(last) => {
                pieces.push(last);
                Shape::Text(pieces)
            }
        }
    }
}

impl Shape {
    fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }

    fn into_constant(self) -> Option<Value> {
        match self {
            Self::Constant(value) => Some(value),
            _ => None,
        }
    }
}

fn fill(shape: &Shape, scope: &Scope<'_>, meter: &Meter) -> Result<Value, Error> {
    match shape {
        Shape::Constant(value) => {
            meter.spend_copy(value)?;
            Ok(value.clone())
        }
        Shape::Whole(expression) => expression.evaluate_within(scope, meter),
        Shape::Text(pieces) => {
            let mut text = String::new();
            for piece in pieces {
                match piece {
                    Piece::Plain(plain) => text.push_str(plain),
                    Piece::Value(expression) => match expression.evaluate_within(scope, meter)? {
                        Value::String(value) => text.push_str(&value),
                        other => text.push_str(&other.to_string()),
                    },
                }
            }
            Ok(Value::String(text))
        }
        Shape::List(shapes) => {
            shapes.iter().map(|shape| fill(shape, scope, meter)).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Shape::Object(shapes) => shapes
            .iter()
            .map(|(key, shape)| Ok((key.clone(), fill(shape, scope, meter)?)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
    }
}
