//! The `//@` lines of a case file.

use codegen::target::KernelVersion;
use lang::FileId;
use lang::Span;
use lang::attach::Point;
use runtime::output::Format;

/// All directives of a case.
#[derive(Debug)]
pub struct Directives {
    /// What fires, in order.
    pub firings: Vec<Firing>,
    /// Positional parameters.
    pub params: Vec<String>,
    /// Parameters with names.
    pub named: Vec<(String, Option<String>)>,
    /// Settings of the environment.
    pub environment: Vec<(String, String)>,
    /// Output format.
    pub format: Format,
    /// `--allow verdict`
    pub allow_verdict: bool,
    /// `-k`
    pub warnings: bool,
    /// The kernel of a case that shows code.
    pub kernel: Option<KernelVersion>,
}

/// One `fire` or `packet` line.
#[derive(Debug)]
pub struct Firing {
    /// What fires.
    pub point: Point,
    /// How often.
    pub times: u32,
    /// Whether user space handles records after each firing, rather than at the end.
    pub drain: bool,
    /// For packets: `icmp`, `tcp`, `udp`, ….
    pub packet: Option<String>,
    /// `key=value`, in order.
    pub settings: Vec<(String, Setting)>,
}

/// The right side of `key=value`.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// `42`, `-1`, `0xff`
    Number(i64),
    /// `"text"`
    Text(String),
    /// A bare word or list, such as `10.0.0.1` or `0x1,0x2`.
    Word(String),
}

impl Directives {
    /// Reads the directives of a case file.
    pub fn parse(text: &str) -> Result<Directives, String> {
        let mut all = Directives {
            firings: Vec::new(),
            params: Vec::new(),
            named: Vec::new(),
            environment: Vec::new(),
            format: Format::Text,
            allow_verdict: false,
            warnings: false,
            kernel: None,
        };
        for line in text.lines().filter_map(|line| line.strip_prefix("//@ ")) {
            let words = words(line)?;
            let (name, rest) = words.split_first().ok_or("empty directive")?;
            match (name.as_str(), rest) {
                ("fire", [point, rest @ ..]) => all.firings.push(firing(point, None, rest)?),
                ("packet", [interface, kind, rest @ ..]) => {
                    all.firings.push(firing(&format!("xdp:{interface}"), Some(kind.clone()), rest)?);
                }
                ("param", [value]) => all.params.push(value.trim_matches('"').to_owned()),
                ("option", [name]) => all.named.push((name.clone(), None)),
                ("option", [name, value]) => {
                    all.named.push((name.clone(), Some(value.trim_matches('"').to_owned())));
                }
                ("environment", [name, value]) => {
                    all.environment.push((name.clone(), value.trim_matches('"').to_owned()));
                }
                ("format", [format]) if format == "json" => all.format = Format::Json,
                ("allow", [what]) if what == "verdict" => all.allow_verdict = true,
                ("warnings", []) => all.warnings = true,
                ("kernel", [version]) => all.kernel = Some(kernel(version).ok_or(line)?),
                _ => return Err(line.to_owned()),
            }
        }
        Ok(all)
    }
}

/// Splits at spaces outside double quotes; quotes are kept.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for it in line.chars() {
        match it {
            ' ' if !quoted => words.extend(Some(std::mem::take(&mut word)).filter(|it| !it.is_empty())),
            _ => {
                quoted ^= it == '"';
                word.push(it);
            }
        }
    }
    words.extend(Some(word).filter(|it| !it.is_empty()));
    if quoted { Err(format!("open quote in {line}")) } else { Ok(words) }
}

fn kernel(version: &str) -> Option<KernelVersion> {
    let (major, minor) = version.split_once('.')?;
    Some(KernelVersion(major.parse().ok()?, minor.parse().ok()?))
}

fn firing(point: &str, packet: Option<String>, words: &[String]) -> Result<Firing, String> {
    let span = Span::new(FileId(0), 0, point.len());
    let point = lang::attach::parse(point, span, &[]).map_err(|it| it.message)?;
    let mut firing = Firing { point, times: 1, drain: false, packet, settings: Vec::new() };
    for word in words {
        if word == "drain" {
            firing.drain = true;
        } else if let Some(times) = word.strip_prefix('x').and_then(|it| it.parse().ok()) {
            firing.times = times;
        } else {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not key=value"))?;
            firing.settings.push((key.to_owned(), setting(value)));
        }
    }
    Ok(firing)
}

fn setting(value: &str) -> Setting {
    if let Some(text) = value.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
        return Setting::Text(text.to_owned());
    }
    let digits = value.strip_prefix("0x").map(|hex| u64::from_str_radix(hex, 16).map(|it| it as i64));
    match digits.unwrap_or_else(|| value.parse()) {
        Ok(number) => Setting::Number(number),
        Err(_) => Setting::Word(value.to_owned()),
    }
}

impl Firing {
    /// The setting of that name.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// A number by name.
    pub fn number(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Setting::Number(number) => Some(*number),
            Setting::Text(_) | Setting::Word(_) => None,
        }
    }

    /// A text or word by name.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Setting::Text(text) | Setting::Word(text) => Some(text),
            Setting::Number(_) => None,
        }
    }
}
