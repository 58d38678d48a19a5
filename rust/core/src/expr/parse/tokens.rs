//! From text to tokens, with the place of each.

use super::MAX_LENGTH;
use crate::error::{Error, Result};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Name(String),
    Punct(&'static str),
    End,
}

const PUNCTUATION: [&str; 16] = ["**", "//", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "(", ")", ",", "<", ">"];

pub(super) fn syntax(position: usize, message: impl Into<String>) -> Error {
    Error::Syntax { message: message.into(), position }
}

pub(super) fn tokenize(text: &str) -> Result<Vec<(Token, usize)>> {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() > MAX_LENGTH {
        return Err(syntax(MAX_LENGTH, format!("the text is longer than {MAX_LENGTH} characters")));
    }
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let start = i;
        if c.is_whitespace() {
            i += 1;
        } else if c.is_ascii_digit() || (c == '.' && chars.get(i + 1).is_some_and(char::is_ascii_digit)) {
            i = number_end(&chars, i);
            let literal: String = chars[start..i].iter().filter(|&&c| c != '_').collect();
            let value = literal.parse::<f64>().map_err(|_| syntax(start, format!("'{literal}' is not a number")))?;
            if !value.is_finite() {
                return Err(syntax(start, format!("the number {literal} is too large")));
            }
            tokens.push((Token::Number(value), start));
        } else if c.is_alphabetic() || c == '_' {
            let inside = |c: char| c.is_alphanumeric() || c == '_';
            let starts = |c: char| c.is_alphabetic() || c == '_';
            // One dot stands between an inner table and its column.
            let mut dots = 0;
            while let Some(&c) = chars.get(i) {
                let dot = c == '.' && dots == 0 && chars.get(i + 1).is_some_and(|&next| starts(next));
                if !inside(c) && !dot {
                    break;
                }
                dots += usize::from(dot);
                i += 1;
            }
            tokens.push((Token::Name(chars[start..i].iter().collect()), start));
        } else {
            let rest: String = chars[i..chars.len().min(i + 2)].iter().collect();
            let Some(punct) = PUNCTUATION.iter().find(|p| rest.starts_with(**p)) else {
                let hint = match c {
                    '^' => "; write ** for a power",
                    '&' => "; write and",
                    '|' => "; write or",
                    '~' | '!' => "; write not",
                    '=' => "; write == for equal",
                    _ => "",
                };
                return Err(syntax(i, format!("unexpected character '{c}'{hint}")));
            };
            i += punct.len();
            tokens.push((Token::Punct(punct), start));
        }
    }
    tokens.push((Token::End, chars.len()));
    Ok(tokens)
}

fn number_end(chars: &[char], mut i: usize) -> usize {
    let digits = |mut i: usize| {
        while i < chars.len() && (chars[i].is_ascii_digit() || chars[i] == '_') {
            i += 1;
        }
        i
    };
    i = digits(i);
    if chars.get(i) == Some(&'.') {
        i = digits(i + 1);
    }
    if matches!(chars.get(i), Some('e' | 'E')) {
        let sign = usize::from(matches!(chars.get(i + 1), Some('+' | '-')));
        if chars.get(i + 1 + sign).is_some_and(char::is_ascii_digit) {
            i = digits(i + 1 + sign);
        }
    }
    i
}

pub(super) fn describe(token: &Token) -> String {
    match token {
        Token::Number(value) => format!("{value}"),
        Token::Name(name) => format!("'{name}'"),
        Token::Punct(punct) => format!("'{punct}'"),
        Token::End => "the end".to_owned(),
    }
}
