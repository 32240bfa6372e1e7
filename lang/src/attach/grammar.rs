//! The grammar of `attach.pest`: an attach point's text to fields, a field to its parts.

use crate::diagnostic::Diagnostic;
use crate::parse::literal;
use crate::source::Span;
use pest::Parser;
use pest::iterators::Pair;
use pest_derive::Parser;

#[derive(Parser)]
#[grammar = "attach.pest"]
struct Grammar;

/// What stands between two colons, quotes gone and parameters replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub text: String,
    /// As the script has it.
    pub span: Span,
    /// Parameters in it that were not given.
    pub missing: Vec<String>,
}

/// A function field: `vfs_read+0x10` or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Symbol { name: String, offset: Option<u64> },
    Address(u64),
}

/// Splits an attach point; there is at least one field.
pub(super) fn fields(text: &str, span: Span, params: &[String]) -> Result<Vec<Field>, Diagnostic> {
    let Ok(mut pairs) = Grammar::parse(Rule::point, text) else {
        // Quotes are all that the grammar can miss.
        let start = text.rfind('"').unwrap_or(0);
        let span = Span { start: (span.start + start as u32).min(span.end), ..span };
        return Err(Diagnostic::error(span, "quote in the attach point is not closed"));
    };
    let point = pairs.next().into_iter().flat_map(Pair::into_inner);
    Ok(point.filter(|it| it.as_rule() == Rule::field).map(|it| field(it, span, params)).collect())
}

fn field(pair: Pair<Rule>, point: Span, params: &[String]) -> Field {
    let place = pair.as_span();
    let span =
        Span { start: point.start + place.start() as u32, end: point.start + place.end() as u32, ..point };
    let mut field = Field { text: String::new(), span, missing: Vec::new() };
    fill(&mut field, pair, params);
    field
}

fn fill(field: &mut Field, pair: Pair<Rule>, params: &[String]) {
    for piece in pair.into_inner() {
        match piece.as_rule() {
            Rule::quoted => fill(field, piece, params),
            Rule::param => {
                let number: Option<usize> = piece.as_str()[1..].parse().ok();
                match number.and_then(|it| params.get(it - 1)) {
                    Some(value) => field.text.push_str(value),
                    None => field.missing.push(piece.as_str().to_owned()),
                }
            }
            _ => field.text.push_str(piece.as_str()),
        }
    }
}

/// Takes a function field apart.
pub(super) fn place(text: &str) -> Result<Place, String> {
    let parsed = Grammar::parse(Rule::place, text);
    let mut parts = parsed.map_err(|_| "expected a function's name".to_owned())?.next().into_iter();
    let mut place = Place::Symbol { name: String::new(), offset: None };
    for part in parts.next().into_iter().flat_map(Pair::into_inner) {
        let number = |text| literal::number(text).map(|it| it.value);
        match (part.as_rule(), &mut place) {
            (Rule::address, _) => return number(part.as_str()).map(Place::Address),
            (Rule::symbol, Place::Symbol { name, .. }) => *name = part.as_str().to_owned(),
            (Rule::number, Place::Symbol { offset, .. }) => *offset = Some(number(part.as_str())?),
            _ => {}
        }
    }
    Ok(place)
}

/// Whether the text is a name of the kernel's, perhaps with wildcards.
pub(super) fn is_name(text: &str) -> bool {
    Grammar::parse(Rule::name, text).is_ok()
}
