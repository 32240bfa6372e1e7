//! Expansion of macros.
//!
//! Comes in: tokens and the macros defined so far. Goes out: tokens without macros. A macro is not
//! expanded inside itself, and all expansions of a script together have a limit, so that a few
//! lines cannot become a billion tokens.

use super::token::{Kind, Token};
use super::{Faulty, fault};
use crate::diagnostic::counted;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Most tokens that all expansions of a script may look at.
const BUDGET: u32 = 1 << 18;

/// Most macros inside each other, by their bodies or by their arguments.
const DEEPEST: u32 = 64;

/// A macro.
#[derive(Clone, Debug)]
pub(super) struct Macro {
    /// The name where it is defined.
    pub name: Token,
    /// Names of parameters, `__VA_ARGS__` for the variable ones; nothing for a macro without `( )`.
    pub params: Option<Vec<Rc<str>>>,
    /// What it stands for.
    pub body: Vec<Token>,
}

/// All macros, and how much may still be expanded.
#[derive(Debug)]
pub(super) struct Macros {
    pub defined: BTreeMap<Rc<str>, Rc<Macro>>,
    left: u32,
    /// How many macros are being expanded.
    depth: u32,
}

impl Default for Macros {
    fn default() -> Self {
        Macros { defined: BTreeMap::new(), left: BUDGET, depth: 0 }
    }
}

impl Macros {
    /// The tokens with all macros expanded.
    pub fn expand(&mut self, tokens: &[Token]) -> Faulty<Vec<Token>> {
        let mut out = Vec::new();
        self.depth = 0;
        self.expand_into(tokens, &mut Vec::new(), &mut out)?;
        Ok(out)
    }

    fn expand_into(
        &mut self,
        tokens: &[Token],
        inside: &mut Vec<Rc<str>>,
        out: &mut Vec<Token>,
    ) -> Faulty<()> {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            // What is written costs nothing, what it expands to does.
            self.left = match self.left.checked_sub(self.depth.min(1)) {
                Some(left) => left,
                None => return Err(too_much(token)),
            };
            let found = self.defined.get(&token.text).filter(|_| token.kind == Kind::Word && !token.settled);
            let Some(found) = found.cloned() else {
                out.push(token.clone());
                continue;
            };
            if inside.contains(&token.text) {
                out.push(Token { settled: true, ..token.clone() });
                continue;
            }
            if self.depth == DEEPEST {
                return Err(fault(token, "macros are nested too deeply here"));
            }
            let args = match &found.params {
                None => Vec::new(),
                Some(params) => match arguments(&tokens[at..], params, token)? {
                    Some((args, length)) => {
                        at += length;
                        args
                    }
                    // Without parentheses it is a plain word.
                    None => {
                        out.push(token.clone());
                        continue;
                    }
                },
            };
            self.depth += 1;
            let body = self.substitute(&found, &args, token, inside)?;
            inside.push(token.text.clone());
            self.expand_into(&body, inside, out)?;
            inside.pop();
            self.depth -= 1;
        }
        Ok(())
    }

    /// The macro's body with its arguments in place, at the place where the macro is used.
    fn substitute(
        &mut self,
        found: &Macro,
        args: &[Vec<Token>],
        used: &Token,
        inside: &mut Vec<Rc<str>>,
    ) -> Faulty<Vec<Token>> {
        let param = |token: &Token| {
            let params = found.params.as_ref()?;
            params.iter().position(|it| token.kind == Kind::Word && *it == token.text)
        };
        let mut out: Vec<Token> = Vec::new();
        let mut body = found.body.iter().peekable();
        let mut pastes = false;
        while let Some(token) = body.next() {
            let next_pastes = body.peek().is_some_and(|it| it.is("##"));
            let made = if token.is("##") && !out.is_empty() && body.peek().is_some() {
                pastes = true;
                continue;
            } else if let Some(idx) = body.peek().filter(|_| token.is("#")).and_then(|it| param(it)) {
                body.next();
                vec![stringized(&args[idx], token)]
            } else if let Some(idx) = param(token) {
                let mut expanded = Vec::new();
                match pastes || next_pastes {
                    true => expanded.clone_from(&args[idx]),
                    false => self.expand_into(&args[idx], inside, &mut expanded)?,
                }
                expanded
            } else {
                vec![token.clone()]
            };
            let mut made = made.into_iter().map(|it| Token { place: used.place.clone(), ..it });
            if std::mem::take(&mut pastes)
                && let (Some(left), Some(right)) = (out.pop(), made.next())
            {
                out.push(pasted(&left, &right));
            }
            out.extend(made);
            if out.len() > BUDGET as usize {
                return Err(too_much(used));
            }
        }
        Ok(out)
    }
}

fn too_much(token: &Token) -> super::Fault {
    fault(token, format!("the macros of this script expand to more than {BUDGET} words"))
}

/// Tokens between parentheses, and for each argument the same.
type Arguments = (Vec<Vec<Token>>, usize);

/// The arguments that `tokens` begin with and how many tokens they are with their parentheses;
/// nothing when there is no parenthesis.
fn arguments(tokens: &[Token], params: &[Rc<str>], used: &Token) -> Faulty<Option<Arguments>> {
    let lines = tokens.iter().take_while(|it| it.kind == Kind::Newline).count();
    if !tokens.get(lines).is_some_and(|it| it.is("(")) {
        return Ok(None);
    }
    let is_variable = params.last().is_some_and(|it| &**it == "__VA_ARGS__");
    let (mut args, mut open) = (vec![Vec::new()], 0u32);
    for (at, token) in tokens.iter().enumerate().skip(lines + 1) {
        if token.is(")") && open == 0 {
            if params.is_empty() && args == [Vec::<Token>::new()] {
                args.clear();
            }
            if is_variable && args.len() + 1 == params.len() {
                args.push(Vec::new());
            }
            if args.len() != params.len() {
                let (takes, given) = (counted(params.len() as u64, "argument"), args.len());
                let given = if given == 1 { "1 is given".to_owned() } else { format!("{given} are given") };
                return Err(fault(used, format!("`{}` takes {takes}, {given}", used.text)));
            }
            return Ok(Some((args, at + 1)));
        }
        if token.is("(") {
            open += 1;
        } else if token.is(")") {
            open -= 1;
        }
        let splits = token.is(",") && open == 0 && !(is_variable && args.len() == params.len());
        match args.last_mut() {
            Some(last) if !splits && token.kind != Kind::Newline => last.push(token.clone()),
            _ if splits => args.push(Vec::new()),
            _ => {}
        }
    }
    Err(fault(used, format!("the arguments of `{}` have no `)`", used.text)))
}

/// `#parameter`
fn stringized(arg: &[Token], at: &Token) -> Token {
    let mut text = String::from("\"");
    for (idx, token) in arg.iter().enumerate() {
        if idx > 0 && token.spaced {
            text.push(' ');
        }
        text.push_str(&token.text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text.push('"');
    Token { kind: Kind::Text, text: text.into(), ..at.clone() }
}

/// `left##right`
fn pasted(left: &Token, right: &Token) -> Token {
    let text = format!("{}{}", left.text, right.text);
    // A name in which the paste ends is looked at again, whatever its parts were.
    Token { text: text.into(), settled: false, ..left.clone() }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.text == other.text
    }
}
