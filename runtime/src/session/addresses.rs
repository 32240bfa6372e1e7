//! Whether a script prints addresses of processes, whose memory maps must then be known in time.

use codegen::Manifest;
use lang::ty::Ty;

/// Whether a map or an action has an address in a process, or a stack of them.
pub fn prints_user_addresses(manifest: &Manifest) -> bool {
    let keys = manifest.maps.iter().filter_map(|it| it.map.key.as_ref());
    let values = manifest.maps.iter().map(|it| &it.map.value);
    let arguments = manifest.actions.iter().flat_map(|it| &it.args);
    keys.chain(values).chain(arguments).any(has_user_address)
}

fn has_user_address(ty: &Ty) -> bool {
    match ty {
        Ty::Usym => true,
        Ty::Stack(stack) => stack.user,
        Ty::Array(of, _) => has_user_address(of),
        Ty::Tuple(items) => items.iter().any(has_user_address),
        Ty::Record(items) => items.iter().any(|(_, ty)| has_user_address(ty)),
        _ => false,
    }
}
