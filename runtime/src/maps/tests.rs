use super::*;
use crate::clock::Zone;
use crate::clock::tests::Fixed;
use crate::fake::Memory;
use crate::symbols::tests::Table;
use lang::hir::{Config, Map, MapKind};
use lang::source::Span;

fn map(key: Option<Ty>, value: Ty, storage: Storage) -> MapEntry {
    let max_entries = if key.is_some() { 4096 } else { 1 };
    let (name, kind, span) = ("@x".to_owned(), MapKind::Hash, Span::default());
    MapEntry { map: Map { name, key, value, kind, max_entries, span }, storage, full: None }
}

fn with_context<T>(then: impl FnOnce(&mut Context<'_>) -> T) -> T {
    let (types, config) = (TypeTable::default(), Config::default());
    let clock = Fixed { now: 0, zone: Zone::utc() };
    then(&mut Context { types: &types, symbols: &mut Table, clock: &clock, config: &config })
}

fn entries(map: &MapEntry, memory: &mut Memory) -> Vec<Entry> {
    with_context(|cx| snapshot(map, memory, cx)).unwrap()
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn memory(entries: &[(&[u8], &[&[u64]])]) -> Memory {
    let cpus = |cpus: &[&[u64]]| cpus.iter().map(|cpu| words(cpu)).collect();
    let entries = entries.iter().map(|(key, values)| (key.to_vec(), cpus(values))).collect();
    Memory { maps: [("m".to_owned(), entries)].into(), ..Memory::default() }
}

fn uint(n: u64) -> Value {
    Value::Uint(n, 8)
}

#[test]
fn a_global_scalar_counts_once_it_is_set() {
    let map = map(None, Ty::I32, Storage::Global { offset: 4, set: 1 });
    let mut memory = Memory { bss: vec![9, 0, 9, 9, 0xfb, 0xff, 0xff, 0xff, 9], ..Memory::default() };
    assert_eq!(entries(&map, &mut memory), []);
    memory.bss[1] = 1;
    assert_eq!(entries(&map, &mut memory), [(None, Value::Int(-5, 4))]);
    zero(&map, &TypeTable::default(), &mut memory).unwrap();
    assert_eq!(entries(&map, &mut memory), [(None, Value::Int(0, 4))]);
    clear(&map, &TypeTable::default(), &mut memory).unwrap();
    assert_eq!(entries(&map, &mut memory), []);
    assert_eq!(memory.bss, [9, 0, 9, 9, 0, 0, 0, 0, 9]);
}

#[test]
fn a_per_cpu_scalar_counts_once_any_cpu_set_it() {
    let map = map(None, Ty::Agg(Agg::Count), Storage::PerCpuScalar { map: "m".to_owned() });
    let mut memory = memory(&[(&[0; 4], &[&[0, 0], &[0, 0]])]);
    assert_eq!(entries(&map, &mut memory), []);
    zero(&map, &TypeTable::default(), &mut memory).unwrap();
    assert_eq!(entries(&map, &mut memory), []);
    memory.maps.get_mut("m").unwrap().insert(vec![0; 4], vec![words(&[3, 1]), words(&[4, 0])]);
    assert_eq!(entries(&map, &mut memory), [(None, uint(7))]);
    zero(&map, &TypeTable::default(), &mut memory).unwrap();
    assert_eq!(entries(&map, &mut memory), [(None, uint(0))]);
    clear(&map, &TypeTable::default(), &mut memory).unwrap();
    assert_eq!(entries(&map, &mut memory), []);
}

#[test]
fn keyed_maps_are_merged_and_sorted() {
    let storage = Storage::Keyed { map: "m".to_owned(), short: None, per_cpu: true };
    let map = map(Some(Ty::U8), Ty::Agg(Agg::Count), storage);
    let mut memory = memory(&[(&[1], &[&[5], &[5]]), (&[2], &[&[1], &[0]])]);
    let key = |n| Some(Value::Uint(n, 1));
    assert_eq!(entries(&map, &mut memory), [(key(2), uint(1)), (key(1), uint(10))]);
    assert_eq!(with_context(|cx| lookup(&map, &[1], &mut memory, cx)).unwrap(), uint(10));
    assert_eq!(with_context(|cx| lookup(&map, &[9], &mut memory, cx)).unwrap(), uint(0));
    zero(&map, &TypeTable::default(), &mut memory).unwrap();
    assert_eq!(entries(&map, &mut memory), [(key(1), uint(0)), (key(2), uint(0))]);
    clear(&map, &TypeTable::default(), &mut memory).unwrap();
    assert_eq!(entries(&map, &mut memory), []);
}

#[test]
fn plain_values_of_a_per_cpu_map_add_up_or_the_first_stands_for_all() {
    let storage = || Storage::Keyed { map: "m".to_owned(), short: None, per_cpu: true };
    let mut memory = memory(&[(&[1], &[&[0], &[3], &[4]])]);
    let key = Some(Value::Uint(1, 1));
    let sums = map(Some(Ty::U8), Ty::I64, storage());
    assert_eq!(entries(&sums, &mut memory), [(key.clone(), Value::Int(7, 8))]);
    let texts = map(Some(Ty::U8), Ty::Str(8), storage());
    assert_eq!(entries(&texts, &mut memory), [(key, Value::text(*b"\x03"))]);
}

#[test]
fn an_unset_scalar_has_a_zero_value_but_no_histogram() {
    let storage = || Storage::PerCpuScalar { map: "m".to_owned() };
    let unset = |map: &MapEntry| with_context(|cx| unset(map, cx));
    assert_eq!(unset(&map(None, Ty::Agg(Agg::Count), storage())), Some((None, uint(0))));
    assert_eq!(unset(&map(None, Ty::Str(4), storage())), Some((None, Value::text(*b""))));
    assert_eq!(unset(&map(None, Ty::Agg(Agg::Hist { bits: 0 }), storage())), None);
    assert_eq!(unset(&map(Some(Ty::U8), Ty::I64, storage())), None);
}
