use std::borrow::Cow;
use std::ops::Range;

use super::number::{parse_number, special_float};
use super::tree::Number;

/// A piece of RON text that has a meaning of its own.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A bracket, a comma, a colon, or something that has no business here.
    Mark(char),
    Word(String),
    Number(Number),
    Text(String),
    /// A character or bytes.
    Other,
    End,
}

/// Words that are values, unless `r#` stands before them.
const VALUES: [&str; 4] = ["true", "false", "None", "Some"];

/// No more errors than this are told of one text.
pub(super) const MOST_ERRORS: usize = 20;

/// Characters of a piece of text that a message quotes.
const SHOWN: usize = 60;

/// A piece of text as a message quotes it: the beginning, where it is long.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// What is wrong with a piece of text, and what to do.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl SyntaxError {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>, help: &str) -> Self {
        Self {
            span,
            message: message.into(),
            help: Some(help.to_owned()),
        }
    }
}

/// Goes through a text once and keeps no token: what is wrong with single tokens.
///
/// # Errors
/// Something that is never closed: then there is no telling what the rest means.
pub(super) fn check(text: &str) -> Result<Vec<SyntaxError>, SyntaxError> {
    let mut lexer = Lexer::new(text);
    while lexer.token().kind != Kind::End {}
    match lexer.unclosed {
        None => Ok(lexer.errors),
        Some(error) => Err(error),
    }
}

/// Splits a text into tokens, one by one; comments and space fall away.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    errors: Vec<SyntaxError>,
    /// The text, or the comment, that runs on to the end.
    unclosed: Option<SyntaxError>,
    /// Where the first text with a line break in it begins.
    first_long_text: Option<usize>,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            errors: Vec::new(),
            unclosed: None,
            first_long_text: None,
        }
    }

    /// The next token; [`Kind::End`] at the end, again and again.
    pub(super) fn token(&mut self) -> Token {
        self.skip_space();
        let start = self.at;
        let kind = self.next();
        Token {
            span: start..self.at,
            kind,
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn take(&mut self, prefix: &str) -> bool {
        let there = self.rest().starts_with(prefix);
        if there {
            self.at += prefix.len();
        }
        there
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> Range<usize> {
        let start = self.at;
        let rest = self.rest();
        self.at += rest.find(|c| !keep(c)).unwrap_or(rest.len());
        start..self.at
    }

    fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: &str) {
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(SyntaxError::new(span, message, help));
        }
    }

    fn never_closed(&mut self, span: Range<usize>, what: &str, help: &str) {
        let message = format!("this {what} is never closed");
        self.unclosed = Some(SyntaxError::new(span, message, help));
        self.at = self.text.len();
    }

    fn skip_space(&mut self) {
        loop {
            self.take_while(|c| c.is_whitespace() || matches!(c, '\u{200E}' | '\u{200F}'));
            if self.rest().starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                self.block_comment();
            } else {
                return;
            }
        }
    }

    fn block_comment(&mut self) {
        let start = self.at;
        let mut depth = 0;
        loop {
            if self.take("/*") {
                depth += 1;
            } else if self.take("*/") {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            } else if let Some(c) = self.rest().chars().next() {
                self.at += c.len_utf8();
            } else {
                let help = "close it with `*/`; comments nest";
                return self.never_closed(start..start + 2, "comment", help);
            }
        }
    }

    fn next(&mut self) -> Kind {
        let Some(first) = self.rest().chars().next() else {
            return Kind::End;
        };
        let mut following = self.rest().chars().skip(1);
        let second = following.next().unwrap_or(' ');
        match first {
            '"' => self.text(),
            '\'' => self.character(),
            'r' | 'b' if self.is_prefixed() => self.prefixed(),
            '0'..='9' => self.number(),
            '.' if second.is_ascii_digit() => self.number(),
            '+' | '-' if second.is_alphanumeric() || second == '.' => self.number(),
            _ if is_word_start(first) => self.word(),
            _ => {
                self.at += first.len_utf8();
                Kind::Mark(first)
            }
        }
    }

    fn word(&mut self) -> Kind {
        let word = self.take_while(is_word);
        let word = &self.text[word];
        match special_float(word) {
            Some(float) => Kind::Number(Number::Float(float)),
            None => Kind::Word(shortened(word).to_owned()),
        }
    }

    /// Whether a raw string, a raw name, bytes or a byte comes next.
    fn is_prefixed(&self) -> bool {
        let rest = self.rest();
        let unprefixed = rest.trim_start_matches(['b', 'r']);
        rest.len() - unprefixed.len() <= 2
            && (unprefixed.starts_with(['"', '\'']) || unprefixed.starts_with('#'))
    }

    fn prefixed(&mut self) -> Kind {
        let start = self.at;
        let bytes = self.take("b");
        let raw = self.take("r");
        if !raw {
            let kind = match self.rest().starts_with('"') {
                true => self.text(),
                false => self.character(),
            };
            return if bytes { Kind::Other } else { kind };
        }
        let hashes = self.take_while(|c| c == '#').len();
        if !self.take("\"") {
            if hashes == 1 && !bytes && self.rest().starts_with(is_word_start) {
                return self.raw_word();
            }
            let help = "a raw string is written r\"..\" or r#\"..\"#";
            self.error(start..self.at, "this is not a raw string", help);
            return Kind::Other;
        }
        let close = format!("\"{}", "#".repeat(hashes));
        let begin = self.at;
        let Some(length) = self.rest().find(&close) else {
            let help = format!("close it with {close}");
            self.never_closed(start..begin, "text", &help);
            return Kind::Other;
        };
        self.at += length + close.len();
        match bytes {
            true => Kind::Other,
            false => Kind::Text(self.text[begin..begin + length].to_owned()),
        }
    }

    fn text(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        let mut content = String::new();
        loop {
            let plain = self.take_while(|c| c != '"' && c != '\\');
            if !self.rest().is_empty() {
                content.push_str(&self.text[plain]);
            }
            if self.take("\"") {
                if content.contains('\n') {
                    self.first_long_text.get_or_insert(start);
                }
                return Kind::Text(content);
            }
            if self.rest().is_empty() {
                // A quote left out turns texts inside out up to the end: what is meant is the
                // first one that runs over the end of a line.
                let start = self.first_long_text.unwrap_or(start);
                let help = "close it with `\"`";
                self.never_closed(start..start + 1, "text", help);
                return Kind::Other;
            }
            content.push(self.escape());
        }
    }

    /// A name behind `r#`, which stays with those that are values otherwise.
    fn raw_word(&mut self) -> Kind {
        match self.word() {
            Kind::Word(word) if VALUES.contains(&word.as_str()) => Kind::Word(format!("r#{word}")),
            other => other,
        }
    }

    fn character(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        if self.rest().starts_with('\\') {
            self.escape();
        } else if let Some(c) = self.rest().chars().next() {
            self.at += c.len_utf8();
        }
        if !self.take("'") {
            self.at = start + 1;
            let line = self.rest().lines().next().unwrap_or_default();
            self.at += line.find('\'').map_or(0, |quote| quote + 1);
            let help = "a character is written 'x'; text goes into double quotes, \"like this\"";
            self.error(start..self.at, "this is not a character", help);
        }
        Kind::Other
    }

    /// The character that an escape stands for; `\x80` and above are bytes, and no escape here.
    fn escape(&mut self) -> char {
        const HELP: &str =
            "the escapes are \\n \\r \\t \\0 \\\\ \\\" \\' \\x41 and \\u{41}; or use r\"..\"";
        let start = self.at;
        self.at += 1;
        let letter = self.rest().chars().next().unwrap_or(' ');
        self.at += self.rest().chars().next().map_or(0, char::len_utf8);
        let code = match letter {
            'n' => return '\n',
            'r' => return '\r',
            't' => return '\t',
            '0' => return '\0',
            '\\' | '"' | '\'' => return letter,
            'x' => {
                let digits = self.rest().bytes().take(2).filter(u8::is_ascii_hexdigit);
                let end = self.at + digits.count();
                let digits = &self.text[self.at..end];
                let code = u32::from_str_radix(digits, 16).ok();
                let code = code.filter(|&code| digits.len() == 2 && code < 0x80);
                self.at = end;
                code
            }
            'u' if self.take("{") => {
                let digits = self.take_while(|c| c.is_ascii_hexdigit());
                let code = u32::from_str_radix(&self.text[digits], 16).ok();
                code.filter(|_| self.take("}"))
            }
            _ => None,
        };
        code.and_then(char::from_u32).unwrap_or_else(|| {
            self.error(start..self.at, "this is not an escape", HELP);
            char::REPLACEMENT_CHARACTER
        })
    }

    fn number(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        loop {
            self.take_while(|c| is_word(c) || c == '.');
            let literal = &self.text[start..self.at];
            let exponent = literal.ends_with(['e', 'E']) && !literal.contains(['x', 'X']);
            if !(exponent && self.rest().starts_with(['+', '-'])) {
                break;
            }
            self.at += 1;
        }
        let literal = &self.text[start..self.at];
        let number = parse_number(literal);
        if number.is_none() {
            let message = format!("`{}` is not a number", shown(literal));
            let help = "numbers look like 4, 0.5, 1e-3, 2_000 or 0xff; units are fixed, seconds \
                        and bytes";
            self.error(start..self.at, message, help);
        }
        Kind::Number(number.unwrap_or(Number::Integer(0)))
    }
}

/// A word, or the beginning of one that is too long to be a name.
fn shortened(word: &str) -> &str {
    const LONGEST: usize = 1000;
    let end = word.char_indices().nth(LONGEST);
    end.map_or(word, |(end, _)| &word[..end])
}

fn is_word_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
