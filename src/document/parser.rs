use std::ops::Range;

use super::lexer::{Kind, SyntaxError, Token, tokens};
use super::tree::{Body, Field, Node, Term, Value};

/// Deeper nesting is refused, so that no input can exhaust the stack.
const MAX_DEPTH: usize = 64;

/// Reads RON text into a tree, or says everything that is wrong with its syntax.
pub(super) fn parse(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let (tokens, errors) = tokens(text).map_err(|error| vec![error])?;
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
        errors,
    };
    match parser.document() {
        Ok(node) if parser.errors.is_empty() => Ok(node),
        _ => Err(parser.errors),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// The last one is [`Kind::End`].
    tokens: Vec<Token>,
    at: usize,
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
        &self.tokens[self.at]
    }

    fn ahead(&self, count: usize) -> &Kind {
        &self.tokens[(self.at + count).min(self.tokens.len() - 1)].kind
    }

    fn advance(&mut self) -> Range<usize> {
        let span = self.token().span.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        span
    }

    fn take(&mut self, mark: char) -> bool {
        let there = self.token().kind == Kind::Mark(mark);
        if there {
            self.advance();
        }
        there
    }

    /// Where the token before this one ended.
    fn behind(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].span.end
    }

    fn found(&self) -> String {
        match &self.token().kind {
            Kind::End => "the end of the text".to_owned(),
            _ => format!("`{}`", &self.text[self.token().span.clone()]),
        }
    }

    /// Notes an error, unless something is wrong with that place already.
    fn error(&mut self, span: Range<usize>, message: String, help: &str) {
        let known = self
            .errors
            .iter()
            .any(|error| error.span.start == span.start);
        if !known {
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

    /// `#![enable(name, ..)]`; ron itself knows the names.
    fn attribute(&mut self) -> Result<(), Failure> {
        let opened = self.take('#') && self.take('!') && self.take('[');
        if opened && self.token().kind == Kind::Word("enable".to_owned()) {
            self.advance();
            if self.take('(') {
                while let Kind::Word(_) | Kind::Mark(',') = self.token().kind {
                    self.advance();
                }
                if self.take(')') && self.take(']') {
                    return Ok(());
                }
            }
        }
        let help = "an attribute is written #![enable(implicit_some)], and is not needed here";
        self.unexpected("an attribute", help);
        Err(Failure::ForGood)
    }

    fn value(&mut self) -> Result<Node, Failure> {
        if self.depth == MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} deep");
            self.error(self.token().span.clone(), message, "make it flatter");
            return Err(Failure::ForGood);
        }
        self.depth += 1;
        let start = self.token().span.start;
        let value = self.undelimited();
        self.depth -= 1;
        Ok(Node {
            value: value?,
            span: start..self.behind(),
        })
    }

    fn undelimited(&mut self) -> Result<Value, Failure> {
        match self.token().kind.clone() {
            Kind::Number(number) => {
                self.advance();
                Ok(Value::Number(number))
            }
            Kind::Text(text) => {
                self.advance();
                Ok(Value::Text(text))
            }
            Kind::Other => {
                self.advance();
                Ok(Value::Other)
            }
            Kind::Word(word) if word == "true" || word == "false" => {
                self.advance();
                Ok(Value::Bool)
            }
            Kind::Word(word) => {
                self.advance();
                self.term(Some(word))
            }
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
                self.sequence('}', Self::entry)?;
                Ok(Value::Map)
            }
            Kind::Mark(_) | Kind::End => {
                let help = "a value is a number, \"text\", true, [a list], (a struct) or Name(..)";
                Err(self.unexpected("a value", help))
            }
        }
    }

    fn term(&mut self, name: Option<String>) -> Result<Value, Failure> {
        let (open, body) = match self.token().kind {
            Kind::Mark('(') => (self.token().span.start, self.body()?),
            _ => (self.behind(), Body::Unit),
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
            for field in &mut fields {
                field.extent.end = self.end_of_item(field.extent.end);
            }
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

    /// The end of the comma that follows a byte, or that byte.
    fn end_of_item(&self, end: usize) -> usize {
        let next = self.tokens.partition_point(|token| token.span.start < end);
        match &self.tokens[next] {
            Token {
                kind: Kind::Mark(','),
                span,
            } => span.end,
            _ => end,
        }
    }

    fn field(&mut self) -> Result<Field, Failure> {
        let name_span = self.token().span.clone();
        let name = match self.token().kind.clone() {
            Kind::Word(name) => name,
            Kind::Text(name) => {
                let message = "a field name stands without quotes".to_owned();
                self.error(name_span.clone(), message, &format!("write {name}: .."));
                name
            }
            _ => return Err(self.unexpected("a field name", "fields are written name: value")),
        };
        self.advance();
        if !self.take(':') {
            let expected = format!("`:` behind the field name `{name}`");
            return Err(self.unexpected(&expected, "fields are written name: value"));
        }
        let node = self.value()?;
        Ok(Field {
            name,
            extent: name_span.start..node.span.end,
            name_span,
            node,
        })
    }

    fn entry(&mut self) -> Result<(), Failure> {
        self.value()?;
        if !self.take(':') {
            return Err(self.unexpected("`:`", "entries of a map are written key: value"));
        }
        self.value().map(drop)
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
