//! Names of users, and folders of control groups, from the system's files.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most folders deep that control groups are looked for.
const DEEPEST: u32 = 64;

/// What was found so far.
#[derive(Default)]
pub struct Owners {
    users: Option<HashMap<u64, String>>,
    cgroups: HashMap<u64, Vec<(String, String)>>,
}

impl Owners {
    /// The first user of `/etc/passwd` that has this id.
    pub fn user_name(&mut self, uid: u64) -> Option<String> {
        let users =
            self.users.get_or_insert_with(|| users(&fs::read_to_string("/etc/passwd").unwrap_or_default()));
        users.get(&uid).cloned()
    }

    /// The hierarchies that have a group of this id, and its path in each. An id is the inode of the
    /// group's folder.
    pub fn cgroup_paths(&mut self, id: u64) -> Vec<(String, String)> {
        if let Some(known) = self.cgroups.get(&id) {
            return known.clone();
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let found = |(name, root): (String, PathBuf)| {
            let folder = folder_of(&root, id, DEEPEST)?;
            let inside = folder.strip_prefix(&root).unwrap_or(&folder);
            Some((name, format!("/{}", inside.display())))
        };
        let paths: Vec<_> = hierarchies(&mounts).into_iter().filter_map(found).collect();
        self.cgroups.insert(id, paths.clone());
        paths
    }
}

/// The id of the control group with that folder.
pub fn cgroup_id(path: &str) -> Option<u64> {
    // Only control groups have this file.
    let metadata = fs::metadata(Path::new(path)).ok().filter(fs::Metadata::is_dir)?;
    Path::new(path).join("cgroup.procs").exists().then(|| metadata.ino())
}

fn users(passwd: &str) -> HashMap<u64, String> {
    let mut users = HashMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(uid)) = (fields.next(), fields.nth(1))
            && let Ok(uid) = uid.parse()
        {
            users.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    users
}

/// The mounted hierarchies: the unified one first, then the older ones by name.
fn hierarchies(mountinfo: &str) -> Vec<(String, PathBuf)> {
    let (mut unified, mut older) = (Vec::new(), Vec::new());
    for line in mountinfo.lines() {
        let Some((before, behind)) = line.split_once(" - ") else { continue };
        let Some(folder) = before.split(' ').nth(4).map(PathBuf::from) else { continue };
        match behind.split(' ').next() {
            Some("cgroup2") if unified.is_empty() => unified.push(("unified".to_owned(), folder)),
            Some("cgroup") => {
                let name = folder.file_name().map(|it| it.to_string_lossy().into_owned());
                older.extend(name.map(|name| (name, folder)));
            }
            _ => {}
        }
    }
    older.sort();
    older.dedup_by(|a, b| a.0 == b.0);
    unified.into_iter().chain(older).collect()
}

fn folder_of(folder: &Path, id: u64, deeper: u32) -> Option<PathBuf> {
    let metadata = fs::metadata(folder).ok()?;
    if metadata.ino() == id {
        return Some(folder.to_owned());
    }
    let entries = fs::read_dir(folder).ok().filter(|_| deeper > 0)?;
    let folders = entries.flatten().filter(|it| it.file_type().is_ok_and(|it| it.is_dir()));
    folders.map(|it| it.path()).find_map(|it| folder_of(&it, id, deeper - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_known_by_their_first_line() {
        let users = users(
            "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\nbroken\nme:x:1000:1000:Me:/:/bin/sh\n",
        );
        assert_eq!(users.get(&0).map(String::as_str), Some("root"));
        assert_eq!(users.get(&1000).map(String::as_str), Some("me"));
        assert_eq!(users.len(), 2);
    }

    #[test]
    fn hierarchies_are_the_mounts_of_control_groups() {
        let mounts = "30 1 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                      31 1 0:27 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n\
                      32 1 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      33 1 0:29 / /proc rw - proc proc rw\n";
        let found: Vec<_> = hierarchies(mounts).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, ["unified", "cpu", "pids"]);
    }
}
