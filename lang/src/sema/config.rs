//! The `config` block and the environment's settings, which win.

use super::{Context, stacks};
use crate::ast::{self, ConfigValue};
use crate::diagnostic::{Diagnostic, nearest};
use crate::hir::{Config, MissingProbes};
use crate::source::Span;

/// A setting: its name, what it takes, and how it is set. `false` means that the value is wrong.
struct Setting {
    name: &'static str,
    takes: &'static str,
    set: fn(&mut Config, &ConfigValue) -> bool,
}

const SETTINGS: &[Setting] = &[
    Setting {
        name: "license",
        takes: "a GPL-compatible licence such as \"GPL\"",
        set: |config, value| {
            text(value).filter(|it| LICENSES.contains(it)).map(|it| config.license = it.to_owned()).is_some()
        },
    },
    Setting {
        name: "max_cat_bytes",
        takes: "a number from 1",
        set: |config, value| number(value, 1, 1 << 30).map(|it| config.max_cat_bytes = it).is_some(),
    },
    Setting {
        name: "max_map_keys",
        takes: "a number from 1",
        set: |config, value| number(value, 1, 1 << 30).map(|it| config.max_map_keys = it).is_some(),
    },
    Setting {
        name: "max_strlen",
        takes: "a number from 1 to 65536",
        set: |config, value| number(value, 1, 1 << 16).map(|it| config.max_strlen = it).is_some(),
    },
    Setting {
        name: "missing_probes",
        takes: "`error`, `warn` or `ignore`",
        set: |config, value| {
            config.missing_probes = match text(value) {
                Some("error") => MissingProbes::Error,
                Some("warn") => MissingProbes::Warn,
                Some("ignore") => MissingProbes::Ignore,
                _ => return false,
            };
            true
        },
    },
    Setting {
        name: "on_stack_limit",
        takes: "a number from 0 to 256",
        set: |config, value| number(value, 0, 256).map(|it| config.on_stack_limit = it).is_some(),
    },
    Setting {
        name: "perf_rb_pages",
        takes: "a power of two",
        set: |config, value| {
            let pages = number(value, 1, 1 << 20).filter(|it| it.is_power_of_two());
            pages.map(|it| config.perf_rb_pages = Some(it)).is_some()
        },
    },
    Setting {
        name: "print_maps_on_exit",
        takes: "`true` or `false`",
        set: |config, value| boolean(value).map(|it| config.print_maps_on_exit = it).is_some(),
    },
    Setting {
        name: "show_debug_info",
        takes: "`true` or `false`",
        set: |config, value| boolean(value).map(|it| config.show_debug_info = it).is_some(),
    },
    Setting {
        name: "stack_mode",
        takes: "`bpftrace`, `perf`, `raw` or `build_id`",
        set: |config, value| text(value).and_then(stacks::mode).map(|it| config.stack_mode = it).is_some(),
    },
    Setting {
        name: "str_trunc_trailer",
        takes: "a string",
        set: |config, value| text(value).map(|it| config.str_trunc_trailer = it.to_owned()).is_some(),
    },
];

/// Licences under which the kernel lends all its helpers.
const LICENSES: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

/// Older names of settings.
const RENAMED: [(&str, &str); 3] =
    [("strlen", "max_strlen"), ("map_keys_max", "max_map_keys"), ("cat_bytes_max", "max_cat_bytes")];

/// Settings of bpftrace that make no difference here, or none yet.
const WITHOUT_EFFECT: [&str; 19] = [
    "cache_user_symbols",
    "cpp_demangle",
    "lazy_symbolication",
    "log_size",
    "max_bpf_progs",
    "max_probes",
    "max_type_res_iterations",
    "no_cpp_demangle",
    "symbol_source",
    "unstable_addr",
    "unstable_dw_ustack",
    "unstable_import",
    "unstable_import_statement",
    "unstable_macro",
    "unstable_map_decl",
    "unstable_tseries",
    "unstable_typeinfo",
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
    let name = RENAMED.iter().find(|it| it.0 == name).map_or(name, |it| it.1);
    SETTINGS.iter().find(|it| it.name == name)
}

fn set(cx: &mut Context, entry: &ast::ConfigEntry) {
    // The variables of the environment may stand here with their whole names.
    let lower = entry.key.text.strip_prefix("BPFTRACE_").map(str::to_ascii_lowercase);
    let name = lower.as_deref().unwrap_or(&entry.key.text);
    let Some(setting) = find(name) else {
        if WITHOUT_EFFECT.contains(&name) {
            return cx.report(Diagnostic::warning(entry.key.span, format!("`{name}` has no effect here")));
        }
        let near = nearest(name, SETTINGS.iter().map(|it| it.name)).map(|it| format!("did you mean `{it}`?"));
        return cx
            .report(Diagnostic::error(entry.key.span, format!("unknown setting `{name}`")).maybe_hint(near));
    };
    if !(setting.set)(&mut cx.config, &entry.value) {
        cx.report(Diagnostic::error(entry.span, format!("`{name}` must be {}", setting.takes)));
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
