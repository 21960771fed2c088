//! Evaluates a compiled expression. Total: every operation is paid from a budget, every failure is a value.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Error, Scope,
    lower::{Macro, MacroKind, Node},
    moment::{self, Moment},
    value::{Meter, describe},
};

/// One evaluation.
pub(super) struct Evaluation<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) meter: &'a Meter,
}

type Evaluated<'a> = Result<Cow<'a, Value>, Error>;
/// The variables of the surrounding macros, the outermost first.
type Locals<'a> = Vec<Cow<'a, Value>>;

impl<'a> Evaluation<'a> {
    pub(super) fn run(&self, root: &'a Node) -> Evaluated<'a> {
        self.node(root, &mut Vec::new())
    }

    fn node(&self, node: &'a Node, locals: &mut Locals<'a>) -> Evaluated<'a> {
        self.meter.spend(1)?;
        match node {
            Node::Literal(value) => Ok(Cow::Borrowed(value)),
            Node::Variable(variable) => self
                .scope
                .values
                .iter()
                .find(|(name, _)| name == variable)
                .map(|(_, value)| Cow::Borrowed(&**value))
                .ok_or_else(|| Error::Evaluation(format!("{} has no value here", variable.as_str()))),
            Node::Step(name) => self
                .scope
                .steps
                .get(name.as_str())
                .map(|view| Cow::Borrowed(*view))
                .ok_or_else(|| Error::Evaluation(format!("step {name} has not ended"))),
            Node::HasStep(name) => Ok(owned(self.scope.steps.contains_key(name.as_str()))),
            Node::Local(index) => self.copy_of_local(locals.get(*index)),
            Node::Select(..) | Node::Index(..) => self.path(node, locals),
            Node::Has(operand, field) => match &*self.node(operand, locals)? {
                Value::Object(map) => Ok(owned(map.contains_key(field))),
                other => Err(Error::Evaluation(format!("has() found {} where it needs an object", describe(other)))),
            },
            Node::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                let condition = self.boolean(condition, locals)?;
                self.node(if condition { then } else { otherwise }, locals)
            }
            Node::And(parts) => self.logic(&parts[0], &parts[1], false, locals),
            Node::Or(parts) => self.logic(&parts[0], &parts[1], true, locals),
            Node::CompareMoments(function, parts) => {
                let order = self.moment(&parts[0], locals)?.cmp(&self.moment(&parts[1], locals)?);
                Ok(owned(function.accepts(order)))
            }
            Node::Clock(clock, moment) => self.moment(moment, locals).map(|at| Cow::Owned(clock.read(at))),
            Node::Matches(text, pattern) => match &*self.node(text, locals)? {
                Value::String(text) => pattern.is_match(text, self.meter).map(owned),
                other => Err(Error::Evaluation(format!("matches cannot be used with {}", describe(other)))),
            },
            Node::Call(function, arguments) => {
                let arguments =
                    arguments.iter().map(|argument| self.node(argument, locals)).collect::<Result<Vec<_>, _>>()?;
                function.apply(self.meter, arguments)
            }
            Node::List(elements) => {
                let elements = elements.iter().map(|element| self.owned(element, locals));
                elements.collect::<Result<Vec<_>, _>>().map(|list| Cow::Owned(Value::Array(list)))
            }
            Node::Map(entries) => self.map(entries, locals),
            Node::Macro(parts) => self.expand(parts, locals),
        }
    }

    /// The value of the node as one that belongs to us.
    fn owned(&self, node: &'a Node, locals: &mut Locals<'a>) -> Result<Value, Error> {
        let value = self.node(node, locals)?;
        self.take(value)
    }

    fn take(&self, value: Cow<'_, Value>) -> Result<Value, Error> {
        if let Cow::Borrowed(value) = &value {
            self.meter.spend_copy(value)?;
        }
        Ok(value.into_owned())
    }

    fn copy_of_local(&self, local: Option<&Cow<'a, Value>>) -> Evaluated<'a> {
        match local {
            Some(Cow::Borrowed(value)) => Ok(Cow::Borrowed(value)),
            Some(Cow::Owned(value)) => {
                self.meter.spend_copy(value)?;
                Ok(Cow::Owned(value.clone()))
            }
            None => Err(Error::Evaluation("a variable of a macro has no value".to_owned())),
        }
    }

    /// `a.b` and `a[b]`, which copy only what they find.
    fn path(&self, node: &'a Node, locals: &mut Locals<'a>) -> Evaluated<'a> {
        let (operand, key) = match node {
            Node::Select(operand, field) => (operand, Key::Field(field)),
            Node::Index(operand, index) => (operand, Key::Value(self.node(index, locals)?)),
            other => return self.node(other, locals),
        };
        if let Node::Local(index) = &**operand
            && let Some(Cow::Owned(value)) = locals.get(*index)
        {
            let found = key.find(value)?;
            self.meter.spend_copy(found)?;
            return Ok(Cow::Owned(found.clone()));
        }
        match self.node(operand, locals)? {
            Cow::Borrowed(value) => key.find(value).map(Cow::Borrowed),
            Cow::Owned(value) => key.find(&value).cloned().map(Cow::Owned),
        }
    }

    fn moment(&self, moment: &'a Moment, locals: &mut Locals<'a>) -> Result<Timestamp, Error> {
        match moment {
            Moment::Now => self.scope.now.ok_or_else(|| Error::Evaluation("now has no value here".to_owned())),
            Moment::Constant(at) => Ok(*at),
            Moment::Read(text) => moment::read(&*self.node(text, locals)?),
        }
    }

    fn boolean(&self, node: &'a Node, locals: &mut Locals<'a>) -> Result<bool, Error> {
        match &*self.node(node, locals)? {
            Value::Bool(value) => Ok(*value),
            other => Err(Error::Evaluation(format!("{} stands where true or false is needed", describe(other)))),
        }
    }

    /// `&&` and `||` of CEL: the deciding value wins over an error on the other side.
    fn logic(&self, a: &'a Node, b: &'a Node, deciding: bool, locals: &mut Locals<'a>) -> Evaluated<'a> {
        let first = self.boolean(a, locals);
        match first {
            Ok(value) if value == deciding => return Ok(owned(deciding)),
            Err(Error::Cost) => return Err(Error::Cost),
            _ => {}
        }
        match self.boolean(b, locals) {
            Ok(value) if value == deciding => Ok(owned(deciding)),
            Ok(_) => first.map(owned),
            Err(error) => Err(if error == Error::Cost { error } else { first.err().unwrap_or(error) }),
        }
    }

    fn map(&self, entries: &'a [(Node, Node)], locals: &mut Locals<'a>) -> Evaluated<'a> {
        let mut map = Map::new();
        for (key, value) in entries {
            let key = match self.owned(key, locals)? {
                Value::String(key) => key,
                other => {
                    return Err(Error::Evaluation(format!("the key of a map is {}: write a string", describe(&other))));
                }
            };
            let value = self.owned(value, locals)?;
            map.insert(key, value);
        }
        Ok(Cow::Owned(Value::Object(map)))
    }

    fn expand(&self, parts: &'a Macro, locals: &mut Locals<'a>) -> Evaluated<'a> {
        match self.node(&parts.range, locals)? {
            Cow::Borrowed(Value::Array(list)) => self.each(parts, list.iter().map(Cow::Borrowed), locals),
            Cow::Owned(Value::Array(list)) => self.each(parts, list.into_iter().map(Cow::Owned), locals),
            range => match &*range {
                Value::Object(map) => {
                    let mut keys: Vec<&String> = map.keys().collect();
                    keys.sort_unstable();
                    let keys: Vec<Value> = keys.into_iter().cloned().map(Value::String).collect();
                    self.each(parts, keys.into_iter().map(Cow::Owned), locals)
                }
                other => Err(Error::Evaluation(format!("{} stands where a list is needed", describe(other)))),
            },
        }
    }

    fn each(
        &self,
        parts: &'a Macro,
        elements: impl Iterator<Item = Cow<'a, Value>>,
        locals: &mut Locals<'a>,
    ) -> Evaluated<'a> {
        let depth = locals.len();
        let result = self.fold(parts, elements, locals);
        locals.truncate(depth);
        result
    }

    fn fold(
        &self,
        parts: &'a Macro,
        elements: impl Iterator<Item = Cow<'a, Value>>,
        locals: &mut Locals<'a>,
    ) -> Evaluated<'a> {
        let mut list = Vec::new();
        let (mut matches, mut failure) = (0_u64, None);
        for element in elements {
            self.meter.spend(1)?;
            locals.push(element);
            match parts.kind {
                MacroKind::Map => {
                    let wanted = parts.filter.as_ref().map_or(Ok(true), |filter| self.boolean(filter, locals))?;
                    if wanted {
                        list.push(self.owned(&parts.body, locals)?);
                    }
                }
                MacroKind::ExistsOne => matches += u64::from(self.boolean(&parts.body, locals)?),
                MacroKind::Exists | MacroKind::All => {
                    let deciding = parts.kind == MacroKind::Exists;
                    match self.boolean(&parts.body, locals) {
                        Ok(value) if value == deciding => return Ok(owned(deciding)),
                        Ok(_) => {}
                        Err(Error::Cost) => return Err(Error::Cost),
                        Err(error) => failure = failure.or(Some(error)),
                    }
                }
            }
            locals.pop();
        }
        if let Some(error) = failure {
            return Err(error);
        }
        Ok(match parts.kind {
            MacroKind::Map => Cow::Owned(Value::Array(list)),
            MacroKind::ExistsOne => owned(matches == 1),
            MacroKind::Exists => owned(false),
            MacroKind::All => owned(true),
        })
    }
}

fn owned<'a>(value: bool) -> Cow<'a, Value> {
    Cow::Owned(Value::Bool(value))
}

/// What a value is looked up by.
enum Key<'a> {
    Field(&'a str),
    Value(Cow<'a, Value>),
}

impl Key<'_> {
    fn find<'v>(&self, value: &'v Value) -> Result<&'v Value, Error> {
        let key = match self {
            Self::Field(field) => return field_of(value, field),
            Self::Value(key) => &**key,
        };
        match (value, key) {
            (_, Value::String(field)) => field_of(value, field),
            (Value::Array(list), Value::Number(index)) => index
                .as_u64()
                .and_then(|index| list.get(usize::try_from(index).ok()?))
                .ok_or_else(|| Error::Evaluation(format!("index {index} is outside of a list of {}", list.len()))),
            (value, key) => {
                Err(Error::Evaluation(format!("{} cannot be looked up in {}", describe(key), describe(value))))
            }
        }
    }
}

fn field_of<'v>(value: &'v Value, field: &str) -> Result<&'v Value, Error> {
    // Computed keys may be large; messages must not.
    let told = || if field.len() <= 40 { format!("{field:?}") } else { format!("of {} bytes", field.len()) };
    match value {
        Value::Object(map) => map.get(field).ok_or_else(|| {
            Error::Evaluation(format!("there is no field {}: test it with has() before reading it", told()))
        }),
        other => Err(Error::Evaluation(format!("field {} was read of {}", told(), describe(other)))),
    }
}
