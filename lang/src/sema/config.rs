//! The `config` block and the environment's settings, which win.

use super::stmts::Body;
use super::{Context, options, stacks};
use crate::ast::{self, ConfigValue};
use crate::diagnostic::{Diagnostic, nearest};
use crate::hir::{self, Config, MissingProbes, ParameterValue, SymbolCache, Unstable};
use crate::source::Span;
use crate::ty::Ty;

/// A setting: its name, what it takes, how it is set and how it reads. `false` means that the value
/// is wrong.
struct Setting {
    name: &'static str,
    takes: &'static str,
    set: fn(&mut Config, &ConfigValue) -> bool,
    get: fn(&Config) -> ParameterValue,
}

/// A row for a number from `$least` to `$most`.
macro_rules! number {
    ($name:ident, $takes:literal, $least:expr, $most:expr) => {
        Setting {
            name: stringify!($name),
            takes: $takes,
            set: |config, value| number(value, $least, $most).map(|it| config.$name = it).is_some(),
            get: |config| ParameterValue::Int(config.$name.into()),
        }
    };
}

/// A row for `true` or `false`.
macro_rules! boolean {
    ($name:ident) => {
        Setting {
            name: stringify!($name),
            takes: "`true` or `false`",
            set: |config, value| boolean(value).map(|it| config.$name = it).is_some(),
            get: |config| ParameterValue::Bool(config.$name),
        }
    };
}

/// A row for what bpftrace lets scripts choose and kscope always does; setting it is warned about.
macro_rules! always {
    ($name:literal) => {
        Setting {
            name: $name,
            takes: "`true` or `false`",
            set: |_, value| boolean(value).is_some(),
            get: |_| ParameterValue::Bool(true),
        }
    };
}

/// A row for one of several words.
macro_rules! word {
    ($name:ident, $takes:literal, $words:expr) => {
        Setting {
            name: stringify!($name),
            takes: $takes,
            set: |config, value| {
                let found = text(value).and_then(|text| $words.iter().find(|it| it.0 == text));
                found.map(|it| config.$name = it.1).is_some()
            },
            get: |config| {
                let found = $words.iter().find(|it| it.1 == config.$name);
                ParameterValue::Str(found.map_or(String::new(), |it| it.0.to_owned()))
            },
        }
    };
}

/// A row for a feature that scripts have to ask for.
macro_rules! unstable {
    ($name:ident) => {
        word!($name, "`enable`, `warn` or `error`", UNSTABLE)
    };
}

const UNSTABLE: [(&str, Unstable); 3] =
    [("enable", Unstable::Enable), ("warn", Unstable::Warn), ("error", Unstable::Error)];
const MISSING_PROBES: [(&str, MissingProbes); 3] =
    [("error", MissingProbes::Error), ("warn", MissingProbes::Warn), ("ignore", MissingProbes::Ignore)];
const SYMBOL_CACHES: [(&str, SymbolCache); 3] =
    [("PER_PID", SymbolCache::PerPid), ("PER_PROGRAM", SymbolCache::PerProgram), ("NONE", SymbolCache::None)];

/// In the order in which `config` has them.
const SETTINGS: &[Setting] = &[
    boolean!(cpp_demangle),
    always!("lazy_symbolication"),
    boolean!(print_maps_on_exit),
    always!("use_blazesym"),
    boolean!(show_debug_info),
    number!(log_size, "a number from 128 to 67108864", 128, 64 << 20),
    number!(max_bpf_progs, "a number from 1", 1, 1 << 20),
    number!(max_cat_bytes, "a number from 1", 1, 1 << 30),
    number!(max_map_keys, "a number from 1", 1, 1 << 30),
    number!(max_probes, "a number from 1", 1, 1 << 20),
    number!(max_strlen, "a number from 1 to 65536", 1, 1 << 16),
    number!(on_stack_limit, "a number from 0 to 256", 0, 256),
    Setting {
        name: "perf_rb_pages",
        takes: "a number from 1",
        set: |config, value| {
            let pages = number(value, 1, 1 << 20).map(u32::next_power_of_two);
            pages.map(|it| config.perf_rb_pages = Some(it)).is_some()
        },
        get: |config| ParameterValue::Int(config.perf_rb_pages.unwrap_or(0).into()),
    },
    Setting {
        name: "str_trunc_trailer",
        takes: "a string",
        set: |config, value| text(value).map(|it| config.str_trunc_trailer = it.to_owned()).is_some(),
        get: |config| ParameterValue::Str(config.str_trunc_trailer.clone()),
    },
    unstable!(unstable_import_statement),
    unstable!(unstable_tseries),
    unstable!(unstable_typeinfo),
    unstable!(unstable_dw_ustack),
    word!(missing_probes, "`error`, `warn` or `ignore`", MISSING_PROBES),
    word!(stack_mode, "`bpftrace`, `perf`, `raw` or `build_id`", stacks::MODES),
    word!(cache_user_symbols, "`PER_PID`, `PER_PROGRAM` or `NONE`", SYMBOL_CACHES),
    Setting {
        name: "license",
        takes: "a GPL-compatible licence such as \"GPL\"",
        set: |config, value| {
            text(value).filter(|it| LICENSES.contains(it)).map(|it| config.license = it.to_owned()).is_some()
        },
        get: |config| ParameterValue::Str(config.license.clone()),
    },
];

/// Licences under which the kernel lends all its helpers.
const LICENSES: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

/// Older names of settings.
const RENAMED: [(&str, &str); 4] = [
    ("cat_bytes_max", "max_cat_bytes"),
    ("map_keys_max", "max_map_keys"),
    ("no_cpp_demangle", "cpp_demangle"),
    ("strlen", "max_strlen"),
];

/// Settings that bpftrace had once, or that only its own way to work has.
const WITHOUT_EFFECT: [&str; 9] = [
    "lazy_symbolication",
    "max_type_res_iterations",
    "symbol_source",
    "unstable_addr",
    "unstable_import",
    "unstable_macro",
    "unstable_map_decl",
    "use_blazesym",
    "verify_llvm_ir",
];

/// Reads the settings into the context.
pub(super) fn read(cx: &mut Context, script: &ast::Script) {
    cx.config.report_failures = cx.options.report_failures;
    let entries = script.items.iter().filter_map(|item| match item {
        ast::Item::Config(entries) => Some(entries),
        _ => None,
    });
    for entry in entries.flatten() {
        set(cx, entry);
    }
    for (name, value) in &cx.options.environment {
        let value = match value.parse() {
            Ok(number) => ConfigValue::Int(number),
            Err(_) => ConfigValue::Word(value.clone()),
        };
        // Other variables of that prefix are none of ours.
        let Some(setting) = find(name) else { continue };
        if !(setting.set)(&mut cx.config, &value) {
            let message = format!("the environment's `{name}` must be {}", setting.takes);
            cx.report(Diagnostic::error(Span::default(), message));
        }
    }
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|it| it.name == name)
}

fn set(cx: &mut Context, entry: &ast::ConfigEntry) {
    // The variables of the environment may stand here with their whole names.
    let lower = entry.key.text.strip_prefix("BPFTRACE_").map(str::to_ascii_lowercase);
    let mut name = lower.as_deref().unwrap_or(&entry.key.text);
    if let Some((old, new)) = RENAMED.iter().find(|it| it.0 == name) {
        cx.report(Diagnostic::warning(entry.key.span, format!("`{old}` is called `{new}` now")));
        name = new;
    }
    if WITHOUT_EFFECT.contains(&name) {
        return cx.report(Diagnostic::warning(entry.key.span, format!("`{name}` has no effect here")));
    }
    let Some(setting) = find(name) else {
        let near = nearest(name, SETTINGS.iter().map(|it| it.name)).map(|it| format!("did you mean `{it}`?"));
        return cx
            .report(Diagnostic::error(entry.key.span, format!("unknown setting `{name}`")).maybe_hint(near));
    };
    if !(setting.set)(&mut cx.config, &entry.value) {
        cx.report(Diagnostic::error(entry.span, format!("`{name}` must be {}", setting.takes)));
    }
}

impl Context<'_> {
    /// Whether a feature that scripts have to ask for may be used; reports what there is to say.
    pub(super) fn may_use(&mut self, feature: &str, setting: Unstable, span: Span) -> bool {
        let hint = format!("config = {{ unstable_{feature} = enable; }}");
        let told = match setting {
            Unstable::Enable => return true,
            Unstable::Warn => Diagnostic::warning(span, format!("`{feature}` may change in later versions")),
            Unstable::Error => {
                Diagnostic::error(span, format!("`{feature}` may change, so it has to be asked for"))
            }
        };
        self.report(told.hint(hint));
        setting == Unstable::Warn
    }
}

impl Body<'_, '_> {
    /// `config`: the settings as a record of literals.
    pub(super) fn settings(&self, span: Span) -> hir::Expr {
        let values: Vec<_> =
            SETTINGS.iter().map(|it| options::literal(&(it.get)(&self.cx.config), span)).collect();
        let names = SETTINGS.iter().map(|it| it.name.to_owned());
        let ty = Ty::Record(names.zip(values.iter().map(|it| it.ty.clone())).collect());
        hir::Expr { kind: hir::ExprKind::Tuple(values), ty, span }
    }
}

fn text(value: &ConfigValue) -> Option<&str> {
    match value {
        ConfigValue::Str(text) | ConfigValue::Word(text) => Some(text),
        ConfigValue::Int(_) => None,
    }
}

fn number(value: &ConfigValue, least: u32, most: u32) -> Option<u32> {
    match value {
        ConfigValue::Int(number) => u32::try_from(*number).ok().filter(|it| (least..=most).contains(it)),
        _ => None,
    }
}

fn boolean(value: &ConfigValue) -> Option<bool> {
    match value {
        ConfigValue::Int(0) => Some(false),
        ConfigValue::Int(1) => Some(true),
        _ => text(value)?.parse().ok(),
    }
}
