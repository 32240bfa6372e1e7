//! Parameters with names, that scripts ask for with `getopt`: what `-- --help` says of them, and
//! what is said of those that no script asks for.

use crate::failure::Failure;
use lang::diagnostic::nearest;
use lang::hir::{Parameter, ParameterValue};
use std::io::{self, Write};

/// Whether `--help` was asked of the script.
pub fn is_help(named: &[(String, Option<String>)]) -> bool {
    named.iter().any(|(name, value)| name == "help" && value.is_none())
}

/// Prints what a script knows, and ends well.
pub fn print_help(parameters: &[Parameter]) -> Result<u8, Failure> {
    let mut stdout = io::stdout().lock();
    if parameters.is_empty() {
        writeln!(stdout, "This script has no options.")?;
        return Ok(0);
    }
    let rows: Vec<_> = parameters.iter().map(|it| (form(it), it)).collect();
    let width = rows.iter().map(|it| it.0.chars().count()).max().unwrap_or(0);
    writeln!(stdout, "Options of this script:")?;
    for (form, parameter) in rows {
        let default = match &parameter.default {
            ParameterValue::Bool(false) => String::new(),
            ParameterValue::Bool(true) => "[default: true]".to_owned(),
            ParameterValue::Int(value) => format!("[default: {value}]"),
            ParameterValue::Str(text) => format!("[default: {text:?}]"),
        };
        let gap = if parameter.description.is_empty() || default.is_empty() { "" } else { " " };
        let line = format!("  {form:width$}  {}{gap}{default}", parameter.description);
        writeln!(stdout, "{}", line.trim_end())?;
    }
    Ok(0)
}

/// How a parameter is given.
fn form(parameter: &Parameter) -> String {
    let name = &parameter.name;
    match parameter.default {
        ParameterValue::Bool(_) => format!("--{name}[=true|false]"),
        ParameterValue::Int(_) => format!("--{name}=NUMBER"),
        ParameterValue::Str(_) => format!("--{name}=TEXT"),
    }
}

/// Fails when something was given that the script does not ask for.
pub fn refuse_unknown(named: &[(String, Option<String>)], parameters: &[Parameter]) -> Result<(), Failure> {
    let is_known = |name: &str| parameters.iter().any(|it| it.name == name);
    let Some((unknown, _)) = named.iter().find(|it| !is_known(&it.0)) else { return Ok(()) };
    let hint = match nearest(unknown, parameters.iter().map(|it| it.name.as_str())) {
        Some(near) => format!("did you mean `--{near}`?"),
        None if parameters.is_empty() => "it has none; `getopt(\"name\")` asks for one".to_owned(),
        None => "`kscope SCRIPT -- --help` lists those that it has".to_owned(),
    };
    let message = format!("the script has no option `--{unknown}`");
    Err(Failure::Machine { message, hint: Some(hint) })
}
