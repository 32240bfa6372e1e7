//! A [`Backend`] in memory, for tests: waiting records, `.bss`, and kernel maps as bytes.

use crate::backend::{AttachPlan, Backend, Constants, Result};
use codegen::Object;
use std::collections::BTreeMap;
use std::os::fd::RawFd;

/// A kernel that never runs anything.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) bss: Vec<u8>,
    pub(crate) maps: BTreeMap<String, BTreeMap<Vec<u8>, Vec<Vec<u8>>>>,
}

impl Backend for Memory {
    fn load(&mut self, _: &Object, _: Constants) -> Result<()> {
        Ok(())
    }

    fn run(&mut self, _: usize) -> Result<()> {
        Ok(())
    }

    fn plan(&self, _: &Object) -> Result<Vec<AttachPlan>> {
        Ok(Vec::new())
    }

    fn attach(&mut self, _: &AttachPlan) -> Result<()> {
        Ok(())
    }

    fn detach(&mut self) {}

    fn unwatch(&mut self, _: u64) {}

    fn drain(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.records.drain(..).for_each(|record| each(&record));
        Ok(())
    }

    fn event_fd(&self) -> Option<RawFd> {
        None
    }

    fn entries(&mut self, map: &str) -> Result<Vec<(Vec<u8>, Vec<Vec<u8>>)>> {
        Ok(self.maps.get(map).into_iter().flatten().map(|(key, cpus)| (key.clone(), cpus.clone())).collect())
    }

    fn update(&mut self, map: &str, key: &[u8], value: &[u8]) -> Result<()> {
        let entry = self.maps.entry(map.to_owned()).or_default().entry(key.to_vec()).or_default();
        entry.iter_mut().for_each(|cpu| *cpu = value.to_vec());
        Ok(())
    }

    fn restore(&mut self, map: &str, (key, values): &(Vec<u8>, Vec<Vec<u8>>)) -> Result<()> {
        self.maps.entry(map.to_owned()).or_default().insert(key.clone(), values.clone());
        Ok(())
    }

    fn delete(&mut self, map: &str, key: &[u8]) -> Result<()> {
        self.maps.entry(map.to_owned()).or_default().remove(key);
        Ok(())
    }

    fn read_bss(&mut self, offset: u32, len: u32) -> Result<Vec<u8>> {
        Ok(self.bss[offset as usize..][..len as usize].to_vec())
    }

    fn write_bss(&mut self, offset: u32, bytes: &[u8]) -> Result<()> {
        self.bss[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}
