use std::collections::VecDeque;
use std::ops::Range;

use super::lexer::{Kind, Lexer, MOST_ERRORS, SyntaxError, Token, check, shown};
use super::tree::{Body, Field, Node, Term, Value};

/// Deeper nesting is refused, so that no input can exhaust the stack.
const MAX_DEPTH: usize = 64;

/// Reads RON text into a tree, or says everything that is wrong with its syntax.
pub(super) fn parse(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let errors = check(text).map_err(|error| vec![error])?;
    let mut lexer = Lexer::new(text);
    let ahead = (0..AHEAD).map(|_| lexer.token()).collect();
    let mut parser = Parser {
        text,
        lexer,
        ahead,
        behind: 0,
        values: 0,
        depth: 0,
        errors,
    };
    match parser.document() {
        Ok(node) if parser.errors.is_empty() => Ok(node),
        _ => Err(parser.errors),
    }
}

/// Tokens that the parser looks at: this one and two more.
const AHEAD: usize = 3;

/// More values than this are refused, before memory runs out.
const MOST_VALUES: usize = 2_000_000;

/// The extensions that RON has.
const EXTENSIONS: [&str; 4] = [
    "implicit_some",
    "unwrap_newtypes",
    "unwrap_variant_newtypes",
    "explicit_struct_names",
];

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// This token and those after it, always [`AHEAD`].
    ahead: VecDeque<Token>,
    /// Where the token before this one ended.
    behind: usize,
    /// Values read so far.
    values: usize,
    depth: usize,
    errors: Vec<SyntaxError>,
}

/// Why a value could not be read; the error itself has been noted.
enum Failure {
    /// Reading may go on behind the next comma.
    Here,
    /// Nothing behind this place would make sense.
    ForGood,
}

impl Parser<'_> {
    fn token(&self) -> &Token {
        &self.ahead[0]
    }

    fn ahead(&self, count: usize) -> &Kind {
        &self.ahead[count].kind
    }

    fn advance(&mut self) -> Range<usize> {
        let span = self.token().span.clone();
        if self.token().kind != Kind::End {
            self.behind = span.end;
            self.ahead.pop_front();
            self.ahead.push_back(self.lexer.token());
        }
        span
    }

    fn take(&mut self, mark: char) -> bool {
        let there = self.token().kind == Kind::Mark(mark);
        if there {
            self.advance();
        }
        there
    }

    fn found(&self) -> String {
        match &self.token().kind {
            Kind::End => "the end of the text".to_owned(),
            _ => format!("`{}`", shown(&self.text[self.token().span.clone()])),
        }
    }

    /// Notes an error, unless something is wrong with that place already.
    fn error(&mut self, span: Range<usize>, message: String, help: &str) {
        let known = self
            .errors
            .iter()
            .any(|error| error.span.start == span.start);
        if !known && self.errors.len() < MOST_ERRORS {
            self.errors.push(SyntaxError::new(span, message, help));
        }
    }

    /// Notes that this token is not what was expected.
    fn unexpected(&mut self, expected: &str, help: &str) -> Failure {
        let message = format!("expected {expected}, found {}", self.found());
        self.error(self.token().span.clone(), message, help);
        match self.token().kind {
            Kind::End => Failure::ForGood,
            _ => Failure::Here,
        }
    }

    fn document(&mut self) -> Result<Node, Failure> {
        while self.token().kind == Kind::Mark('#') {
            self.attribute()?;
        }
        let node = self.value()?;
        if self.token().kind != Kind::End {
            let help = "a file holds one value; look for a parenthesis closed too early";
            return Err(self.unexpected("the end of the text", help));
        }
        Ok(node)
    }

    /// `#![enable(name, ..)]`, which changes nothing: what we read needs no extension.
    fn attribute(&mut self) -> Result<(), Failure> {
        let opened = self.take('#') && self.take('!') && self.take('[');
        if opened && self.token().kind == Kind::Word("enable".to_owned()) {
            self.advance();
            if self.take('(') && self.extensions() && self.take(']') {
                return Ok(());
            }
        }
        let help = "an attribute is written #![enable(implicit_some)], and is not needed here";
        self.unexpected("an attribute", help);
        Err(Failure::ForGood)
    }

    /// Names of extensions with commas between them, and the parenthesis behind them.
    fn extensions(&mut self) -> bool {
        while let Kind::Word(name) = &self.token().kind
            && EXTENSIONS.contains(&name.as_str())
        {
            self.advance();
            if !self.take(',') {
                break;
            }
        }
        self.take(')')
    }

    fn value(&mut self) -> Result<Node, Failure> {
        if self.depth == MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} deep");
            self.error(self.token().span.clone(), message, "make it flatter");
            return Err(Failure::ForGood);
        }
        if self.values == MOST_VALUES {
            let message = format!("there are more than {MOST_VALUES} values");
            let help = "a scenario holds fewer; is this a trace?";
            self.error(self.token().span.clone(), message, help);
            return Err(Failure::ForGood);
        }
        self.values += 1;
        self.depth += 1;
        let start = self.token().span.start;
        let value = self.undelimited();
        self.depth -= 1;
        Ok(Node {
            value: value?,
            span: start..self.behind,
        })
    }

    fn undelimited(&mut self) -> Result<Value, Failure> {
        match self.token().kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Other | Kind::Word(_) => self.single(),
            Kind::Mark('(') => self.term(None),
            Kind::Mark('[') => {
                let mut items = Vec::new();
                self.sequence(']', |parser| {
                    items.push(parser.value()?);
                    Ok(())
                })?;
                Ok(Value::List(items))
            }
            Kind::Mark('{') => {
                let mut entries = Vec::new();
                self.sequence('}', |parser| {
                    entries.push(parser.entry()?);
                    Ok(())
                })?;
                Ok(Value::Map(entries))
            }
            Kind::Mark(_) | Kind::End => {
                let help = "a value is a number, \"text\", true, [a list], (a struct) or Name(..)";
                Err(self.unexpected("a value", help))
            }
        }
    }

    /// A value that is one token, or begins with a name.
    fn single(&mut self) -> Result<Value, Failure> {
        // A long text is moved, not copied.
        let kind = std::mem::replace(&mut self.ahead[0].kind, Kind::Other);
        self.advance();
        Ok(match kind {
            Kind::Number(number) => Value::Number(number),
            Kind::Text(text) => Value::Text(text),
            Kind::Word(word) if word == "true" || word == "false" => Value::Bool(word == "true"),
            Kind::Word(word) => return self.term(Some(word)),
            Kind::Other | Kind::Mark(_) | Kind::End => Value::Other,
        })
    }

    fn term(&mut self, name: Option<String>) -> Result<Value, Failure> {
        let (open, body) = match self.token().kind {
            Kind::Mark('(') => (self.token().span.start, self.body()?),
            _ => (self.behind, Body::Unit),
        };
        Ok(Value::Term(Term { name, open, body }))
    }

    /// What stands in parentheses.
    fn body(&mut self) -> Result<Body, Failure> {
        let named = matches!(self.ahead(1), Kind::Word(_) | Kind::Text(_))
            && matches!(self.ahead(2), Kind::Mark(':' | '='));
        if named {
            let mut fields = Vec::new();
            self.sequence(')', |parser| {
                fields.push(parser.field()?);
                Ok(())
            })?;
            Ok(Body::Fields(fields))
        } else {
            let mut items = Vec::new();
            self.sequence(')', |parser| {
                items.push(parser.value()?);
                Ok(())
            })?;
            Ok(Body::Tuple(items))
        }
    }

    fn field(&mut self) -> Result<Field, Failure> {
        let name_span = self.token().span.clone();
        let name = match self.token().kind.clone() {
            Kind::Word(name) => name,
            Kind::Text(name) => {
                let message = "a field name stands without quotes".to_owned();
                self.error(
                    name_span.clone(),
                    message,
                    &format!("write {}: ..", shown(&name)),
                );
                name
            }
            _ => return Err(self.unexpected("a field name", "fields are written name: value")),
        };
        self.advance();
        if !self.take(':') {
            let expected = format!("`:` behind the field name `{}`", shown(&name));
            return Err(self.unexpected(&expected, "fields are written name: value"));
        }
        let node = self.value()?;
        Ok(Field {
            name,
            name_span,
            node,
        })
    }

    fn entry(&mut self) -> Result<(Node, Node), Failure> {
        let key = self.value()?;
        if !self.take(':') {
            return Err(self.unexpected("`:`", "entries of a map are written key: value"));
        }
        Ok((key, self.value()?))
    }

    /// Items between this opening bracket and its counterpart, with commas between them.
    fn sequence(
        &mut self,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let open = self.advance();
        loop {
            match self.token().kind {
                Kind::Mark(mark) if mark == close => {
                    self.advance();
                    return Ok(());
                }
                Kind::End | Kind::Mark(')' | ']' | '}') => {
                    let message = format!(
                        "this `{}` is not closed: expected `{close}`, found {}",
                        &self.text[open.clone()],
                        self.found()
                    );
                    let line = self.text[..self.token().span.start].matches('\n').count() + 1;
                    let help = format!("add the missing `{close}`, before line {line} ends");
                    self.error(open, message, &help);
                    return Err(Failure::ForGood);
                }
                _ => {}
            }
            match item(self) {
                Ok(()) => {}
                Err(Failure::Here) => self.skip_item(),
                Err(Failure::ForGood) => return Err(Failure::ForGood),
            }
            let closing = matches!(self.token().kind, Kind::End | Kind::Mark(')' | ']' | '}'));
            if !self.take(',') && !closing {
                self.unexpected(
                    &format!("`,` or `{close}`"),
                    "a comma separates one from the next",
                );
            }
        }
    }

    /// Moves on to the comma or the bracket that ends this item.
    fn skip_item(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.token().kind {
                Kind::End => return,
                Kind::Mark(',' | ')' | ']' | '}') if depth == 0 => return,
                Kind::Mark('(' | '[' | '{') => depth += 1,
                Kind::Mark(')' | ']' | '}') => depth -= 1,
                _ => {}
            }
            self.advance();
        }
    }
}
