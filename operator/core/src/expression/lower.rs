//! Turns the parser's tree into ours: names resolved, macros recognised, everything we cannot evaluate refused.

use cel::{
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators},
    parser::Expression as Parsed,
};
use serde_json::{Number, Value};

use super::{
    Error, MAX_NESTING, References, Variable, Vocabulary,
    function::Function,
    moment::{self, Clock, Moment},
    pattern::Pattern,
    quantity,
};

/// A node of a compiled expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A constant.
    Literal(Value),
    /// A variable other than `steps`.
    Variable(Variable),
    /// `steps.<name>`.
    Step(String),
    /// `has(steps.<name>)`.
    HasStep(String),
    /// The variable of a surrounding macro, counted from the outermost one.
    Local(usize),
    /// `operand.field`.
    Select(Box<Node>, String),
    /// `has(operand.field)`.
    Has(Box<Node>, String),
    /// `operand[index]`.
    Index(Box<Node>, Box<Node>),
    /// `condition ? then : otherwise`.
    Conditional(Box<[Node; 3]>),
    /// `a && b`.
    And(Box<[Node; 2]>),
    /// `a || b`.
    Or(Box<[Node; 2]>),
    /// A comparison of two moments.
    CompareMoments(Function, Box<[Moment; 2]>),
    /// A part of a moment, such as its hour.
    Clock(Clock, Box<Moment>),
    /// `text.matches('…')` with a constant pattern.
    Matches(Box<Node>, Pattern),
    /// A unary or binary operator, or a function; all arguments are evaluated.
    Call(Function, Vec<Node>),
    /// `[a, b]`.
    List(Vec<Node>),
    /// `{a: b}`.
    Map(Vec<(Node, Node)>),
    /// `range.macro(variable, body)`.
    Macro(Box<Macro>),
}

/// A macro over a list or over the keys of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Macro {
    pub(super) kind: MacroKind,
    pub(super) range: Node,
    /// Only for `Map`: elements for which it is false are left out.
    pub(super) filter: Option<Node>,
    pub(super) body: Node,
}

/// Which macro.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MacroKind {
    /// `exists`.
    Exists,
    /// `all`.
    All,
    /// `exists_one`.
    ExistsOne,
    /// `map` and `filter`.
    Map,
}

/// Lowers a parsed expression and lists what it reads.
pub(super) fn lower(parsed: &Parsed, vocabulary: Vocabulary) -> Result<(Node, References), Error> {
    let mut lowering = Lowering { vocabulary, locals: Vec::new(), depth: 0, references: References::default() };
    let root = lowering.node(parsed)?;
    Ok((root, lowering.references))
}

struct Lowering<'p> {
    vocabulary: Vocabulary,
    locals: Vec<&'p str>,
    depth: usize,
    references: References,
}

impl<'p> Lowering<'p> {
    fn node(&mut self, parsed: &'p Parsed) -> Result<Node, Error> {
        self.depth += 1;
        // Macros and chains of operators are deeper in the tree than in the text.
        if self.depth > 2 * MAX_NESTING {
            return Err(Error::Complexity { what: "its operators are chained too long" });
        }
        let node = match &parsed.expr {
            Expr::Literal(literal) => self.literal(literal),
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => Ok(Node::List(self.nodes(&list.elements)?)),
            Expr::Map(map) => {
                let entry = |this: &mut Self, entry: &'p EntryExpr| match entry {
                    EntryExpr::MapEntry(entry) => Ok((this.node(&entry.key)?, this.node(&entry.value)?)),
                    EntryExpr::StructField(_) => Err(Error::Unsupported("a message")),
                };
                map.entries.iter().map(|e| entry(self, &e.expr)).collect::<Result<_, _>>().map(Node::Map)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) => Err(Error::Unsupported("a message")),
            Expr::Unspecified => Err(Error::Syntax { column: 1, message: "the expression is empty".to_owned() }),
        }?;
        self.depth -= 1;
        Ok(node)
    }

    fn nodes(&mut self, parsed: &'p [Parsed]) -> Result<Vec<Node>, Error> {
        parsed.iter().map(|element| self.node(element)).collect()
    }

    #[expect(clippy::unused_self, reason = "reads like its siblings")]
    fn literal(&self, literal: &LiteralValue) -> Result<Node, Error> {
        Ok(Node::Literal(match literal {
            LiteralValue::Null => Value::Null,
            LiteralValue::Boolean(b) => Value::Bool(*b.inner()),
            LiteralValue::Int(i) => Value::from(*i.inner()),
            LiteralValue::UInt(u) => Value::from(*u.inner()),
            LiteralValue::Double(d) => Number::from_f64(*d.inner())
                .map(Value::Number)
                .ok_or(Error::Unsupported("a number that is not finite"))?,
            LiteralValue::String(s) => Value::from(s.inner()),
            LiteralValue::Bytes(_) => return Err(Error::Unsupported("a literal of bytes")),
        }))
    }

    fn ident(&mut self, name: &str) -> Result<Node, Error> {
        if let Some(local) = self.locals.iter().rposition(|local| *local == name) {
            return Ok(Node::Local(local));
        }
        match self.vocabulary.find(name) {
            Some(Variable::Steps) => Err(Error::WholeSteps),
            Some(Variable::Now) => Err(Error::Moment),
            Some(variable) => {
                self.references.variables.insert(variable);
                Ok(Node::Variable(variable))
            }
            None => Err(Error::UnknownVariable { name: name.to_owned(), vocabulary: self.vocabulary }),
        }
    }

    fn is_global(&self, parsed: &Parsed, variable: Variable) -> bool {
        self.vocabulary.variables().contains(&variable)
            && matches!(&parsed.expr, Expr::Ident(name) if name == variable.as_str() && !self.locals.contains(&name.as_str()))
    }

    fn step(&mut self, name: &str) -> Node {
        self.references.variables.insert(Variable::Steps);
        self.references.steps.insert(name.to_owned());
        Node::Step(name.to_owned())
    }

    fn select(&mut self, select: &'p SelectExpr) -> Result<Node, Error> {
        if self.is_global(&select.operand, Variable::Steps) {
            return Ok(match self.step(&select.field) {
                Node::Step(name) if select.test => Node::HasStep(name),
                node => node,
            });
        }
        if self.is_global(&select.operand, Variable::Params) {
            self.references.parameters.insert(select.field.clone());
        }
        let operand = Box::new(self.node(&select.operand)?);
        let field = select.field.clone();
        Ok(if select.test { Node::Has(operand, field) } else { Node::Select(operand, field) })
    }

    fn call(&mut self, call: &'p CallExpr) -> Result<Node, Error> {
        if let (operators::INDEX, [operand, index]) = (call.func_name.as_str(), call.args.as_slice()) {
            let literal = match &index.expr {
                Expr::Literal(LiteralValue::String(name)) => Some(name.inner()),
                _ => None,
            };
            if self.is_global(operand, Variable::Steps) {
                return literal.map(|name| self.step(name)).ok_or(Error::WholeSteps);
            }
            if let Some(name) = literal
                && self.is_global(operand, Variable::Params)
            {
                self.references.parameters.insert(name.to_owned());
            }
            return Ok(Node::Index(Box::new(self.node(operand)?), Box::new(self.node(index)?)));
        }
        if let Some(node) = self.of_moments(call).or_else(|| self.of_constants(call)) {
            return node;
        }
        let mut arguments = Vec::with_capacity(call.args.len() + 1);
        if let Some(target) = &call.target {
            arguments.push(self.node(target)?);
        }
        arguments.extend(self.nodes(&call.args)?);
        let count = arguments.len();
        let unknown =
            || Error::UnknownFunction { name: call.func_name.clone(), arguments: count, vocabulary: self.vocabulary };
        match call.func_name.as_str() {
            operators::CONDITIONAL => arguments.try_into().map(Node::Conditional).map_err(|_| unknown()),
            operators::LOGICAL_AND => arguments.try_into().map(Node::And).map_err(|_| unknown()),
            operators::LOGICAL_OR => arguments.try_into().map(Node::Or).map_err(|_| unknown()),
            name => Function::find(name, count).map(|function| Node::Call(function, arguments)).ok_or_else(unknown),
        }
    }

    /// A call that compares or reads moments.
    fn of_moments(&mut self, call: &'p CallExpr) -> Option<Result<Node, Error>> {
        if self.vocabulary != Vocabulary::Policy {
            return None;
        }
        let (name, arguments) = (call.func_name.as_str(), call.args.as_slice());
        if let Some(target) = &call.target {
            let clock = Clock::find(name, arguments)?;
            return Some(if self.is_moment(target) {
                clock.and_then(|clock| Ok(Node::Clock(clock, Box::new(self.moment(target)?))))
            } else {
                Err(Error::Moment)
            });
        }
        if name == moment::CONSTRUCTOR {
            return Some(Err(Error::Moment));
        }
        let function = Function::find(name, arguments.len()).filter(|function| function.is_comparison())?;
        match arguments {
            [a, b] if self.is_moment(a) && self.is_moment(b) => {
                Some(self.moment(a).and_then(|a| Ok(Node::CompareMoments(function, Box::new([a, self.moment(b)?])))))
            }
            _ => None,
        }
    }

    fn is_moment(&self, parsed: &Parsed) -> bool {
        match &parsed.expr {
            Expr::Call(call) => call.target.is_none() && call.func_name == moment::CONSTRUCTOR && call.args.len() == 1,
            _ => self.is_global(parsed, Variable::Now),
        }
    }

    /// The moment of an expression for which `is_moment` holds.
    fn moment(&mut self, parsed: &'p Parsed) -> Result<Moment, Error> {
        let Expr::Call(call) = &parsed.expr else {
            self.references.variables.insert(Variable::Now);
            return Ok(Moment::Now);
        };
        match call.args.first().map(|text| self.node(text)).transpose()? {
            Some(Node::Literal(Value::String(text))) => moment::parse(&text).map(Moment::Constant),
            Some(text) => Ok(Moment::Read(text)),
            None => Err(Error::Moment),
        }
    }

    /// A call whose constant argument can be read once and for all.
    fn of_constants(&mut self, call: &'p CallExpr) -> Option<Result<Node, Error>> {
        let text = match &call.args.last()?.expr {
            Expr::Literal(LiteralValue::String(text)) => text.inner(),
            _ => return None,
        };
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            ("matches", Some(target), [_]) | ("matches", None, [target, _]) => {
                Some(self.node(target).and_then(|target| Ok(Node::Matches(Box::new(target), Pattern::compile(text)?))))
            }
            ("quantity", None, [_]) => Some(quantity::parse(text).map(Node::Literal)),
            _ => None,
        }
    }

    /// The parser has already expanded the macros; each kind is recognised by what its accumulator starts with.
    fn comprehension(&mut self, parsed: &'p ComprehensionExpr) -> Result<Node, Error> {
        let unknown = Error::Unsupported("a comprehension other than exists, all, exists_one, map and filter");
        let Expr::Call(step) = &parsed.loop_step.expr else { return Err(unknown) };
        let (kind, filter, body) = match (&parsed.accu_init.expr, step.func_name.as_str(), step.args.as_slice()) {
            (Expr::Literal(LiteralValue::Boolean(found)), _, [_, body]) => {
                (if *found.inner() { MacroKind::All } else { MacroKind::Exists }, None, body)
            }
            (Expr::Literal(LiteralValue::Int(_)), operators::CONDITIONAL, [body, ..]) => {
                (MacroKind::ExistsOne, None, body)
            }
            (Expr::List(_), operators::ADD, [_, appended]) => {
                (MacroKind::Map, None, appended_element(appended).ok_or(unknown)?)
            }
            (Expr::List(_), operators::CONDITIONAL, [filter, added, _]) => {
                let appended = match &added.expr {
                    Expr::Call(add) => add.args.get(1).and_then(appended_element),
                    _ => None,
                };
                (MacroKind::Map, Some(filter), appended.ok_or(unknown)?)
            }
            _ => return Err(unknown),
        };
        let range = self.node(&parsed.iter_range)?;
        self.locals.push(&parsed.iter_var);
        let lowered = filter.map(|f| self.node(f)).transpose().and_then(|filter| Ok((filter, self.node(body)?)));
        self.locals.pop();
        let (filter, body) = lowered?;
        Ok(Node::Macro(Box::new(Macro { kind, range, filter, body })))
    }
}

/// The `x` of the `[x]` that `map` and `filter` append to their result.
fn appended_element(parsed: &Parsed) -> Option<&Parsed> {
    match &parsed.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}
