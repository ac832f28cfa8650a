//! How much memory builds may count on: what the machine has, or what the control group allows that k3sroot runs in.

use std::fs;
use std::path::Path;

/// What one process of a build takes at most, as a rule, in bytes: the largest files of gcc take as much to compile.
const PER_JOB: u64 = 768 << 20;

/// The memory of the machine, or of the smallest control group around this process, in bytes.
pub(super) fn memory() -> Option<u64> {
    let machine = nix::sys::sysinfo::sysinfo().ok().map(|machine| machine.ram_total());
    machine.into_iter().chain(allowed(Path::new("/"))).min()
}

/// How many processes may run at once on `cores` with so much memory.
pub(super) fn jobs(cores: usize, memory: Option<u64>) -> usize {
    let fit = memory.map_or(cores, |memory| usize::try_from(memory / PER_JOB).unwrap_or(usize::MAX));
    cores.min(fit).max(1)
}

/// The least that a control group allows, of all that this process is in. `root` is where `proc` and `sys` are.
fn allowed(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        // The second version has one hierarchy and names no controllers.
        let (folder, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let folder = root.join(folder);
        let groups = Path::new(group.trim_start_matches('/')).ancestors();
        groups
            // Within a namespace the group's own folder may be the root.
            .filter_map(|group| fs::read_to_string(folder.join(group).join(file)).ok()?.trim().parse().ok())
            .min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        allowed(root.path())
    }

    #[test]
    fn the_smallest_group_counts() {
        let two = [
            ("proc/self/cgroup", "0::/user/build\n"),
            ("sys/fs/cgroup/user/memory.max", "2147483648\n"),
            ("sys/fs/cgroup/user/build/memory.max", "max\n"),
        ];
        assert_eq!(machine(&two), Some(2 << 30));
        let one = [
            ("proc/self/cgroup", "5:cpu,cpuacct:/small\n4:memory:/small\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/small/memory.limit_in_bytes", "1073741824\n"),
        ];
        assert_eq!(machine(&one), Some(1 << 30));
        assert_eq!(machine(&[("proc/self/cgroup", "0::/\n")]), None);
        assert_eq!(machine(&[]), None);
    }

    #[test]
    fn little_memory_means_few_processes() {
        for (cores, gigabytes, expected) in [(2, 2, 2), (16, 2, 2), (8, 24, 8), (4, 0, 1), (64, 16, 21)] {
            assert_eq!(jobs(cores, Some(gigabytes << 30)), expected, "{cores} cores, {gigabytes} GiB");
        }
        assert_eq!(jobs(4, None), 4);
    }
}
