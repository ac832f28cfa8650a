//! The root that a command sees in namespaces: built on an empty file system in memory, entered, and sealed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::guest::GuestPath;
use super::mounts::{Access, Mount};
use super::spec::{During, Report, Step};

/// Where the new root is built. Mounting it here hides nothing that could be asked for, and the folder is everywhere.
const BASE: &str = "/proc";

/// The machine's folders that go in beside `/usr`; where they are links into it, as links.
pub(super) const SYSTEM: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What `/etc` takes from the machine, so that its programs and their libraries are found.
pub(super) const ETC_BORROWED: [&str; 4] = ["ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives"];

/// What else is in `/etc`.
pub(super) const ETC: [(&str, &str); 4] = [
    (
        "passwd",
        "root:x:0:0:root:/tmp:/bin/sh\n\
         builder:x:1000:1000:builder:/tmp:/bin/sh\n\
         nobody:x:65534:65534:nobody:/tmp:/bin/sh\n",
    ),
    ("group", "root:x:0:\nbuilder:x:1000:\nnogroup:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost k3sroot\n::1 localhost k3sroot\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"),
];

/// What of `/dev` is everybody's.
pub(super) const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: [(&str, &str); 5] = [
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
    ("dev/ptmx", "pts/ptmx"),
];

/// What `/proc` tells of the machine beyond its processes, and no build asks for: keys, memory, timers, devices.
const MASKED: [&str; 9] = [
    "acpi",
    "kcore",
    "key-users",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

/// Replaces this process's root; it must be root in mount and pid namespaces of its own. `proc` is the machine's `/proc`.
pub(super) fn enter(mounts: &[Mount], proc: &OwnedFd) -> Step<()> {
    change(Path::new("/"), MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    let mut table = File::open("/proc/self/mountinfo").during(|| "open `/proc/self/mountinfo`".into())?;
    // Taken now, for the base hides it. Before Linux 5.2 there is no such call.
    let recursive = OpenTreeFlags::from_bits_retain(libc::AT_RECURSIVE.unsigned_abs());
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | recursive;
    let machines = open_tree(CWD, "/proc", flags).ok();
    fresh("tmpfs", Path::new(BASE), MsFlags::empty(), "mode=0755")?;

    let mut root = Root { base: BASE.into(), binds: BTreeMap::new() };
    root.system()?;
    root.devices()?;
    root.folder("tmp")?;
    fresh("tmpfs", &root.base.join("tmp"), MsFlags::empty(), "mode=1777")?;
    for mount in mounts {
        root.bind(&mount.host, &mount.guest, mount.access)?;
    }
    root.seal(&mut table)?;
    // Last, for the seal needs to tell what is mounted below from what was below the machine's own `/proc`.
    root.processes(machines, proc)?;

    chdir(BASE).during(|| "enter the new root".into())?;
    pivot_root(".", ".").during(|| "change the root".into())?;
    umount2(".", MntFlags::MNT_DETACH).during(|| "leave the old root".into())?;
    chdir("/").during(|| "enter the new root".into())?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    change(Path::new("/"), read_only | MsFlags::MS_NOSUID | MsFlags::MS_NODEV)
}

struct Root {
    base: PathBuf,
    /// What of the machine is mounted where; places below one of these are the machine's, and nothing is created there.
    binds: BTreeMap<GuestPath, Access>,
}

impl Root {
    /// `/usr` and its like, and `/etc`.
    fn system(&mut self) -> Step<()> {
        self.bind_system(Path::new("/usr"))?;
        let local = self.base.join("usr/local");
        if local.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            fresh("tmpfs", &local, MsFlags::MS_RDONLY, "mode=0755")?;
        }
        for name in SYSTEM {
            let path = Path::new("/").join(name);
            match path.symlink_metadata() {
                Ok(found) if found.is_symlink() => {
                    let to = fs::read_link(&path).during(|| format!("read the link `{}`", path.display()))?;
                    symlink(to, self.base.join(name)).during(|| format!("link `/{name}`"))?;
                }
                Ok(_) => self.bind_system(&path)?,
                Err(_) => {}
            }
        }
        self.folder("etc")?;
        for (name, text) in ETC {
            fs::write(self.base.join("etc").join(name), text).during(|| format!("write `/etc/{name}`"))?;
        }
        for name in ETC_BORROWED {
            let path = Path::new("/etc").join(name);
            if path.exists() {
                self.bind_system(&path)?;
            }
        }
        Ok(())
    }

    fn bind_system(&mut self, path: &Path) -> Step<()> {
        let guest = path.to_str().and_then(|path| path.parse::<GuestPath>().ok());
        let guest = guest
            .ok_or_else(|| io::Error::from(Errno::EINVAL))
            .during(|| format!("use `{}`", path.display()))?;
        self.bind(path, &guest, Access::ReadOnly)
    }

    /// `/dev`: the machine's nodes, since new ones may not be made, and its own shared memory and terminals.
    fn devices(&self) -> Step<()> {
        self.folder("dev")?;
        for name in NODES {
            let node = Path::new("/dev").join(name);
            if node.exists() {
                let place = self.base.join("dev").join(name);
                File::create(&place).during(|| format!("create `/dev/{name}`"))?;
                bind(&node, &place)?;
            }
        }
        for (name, to) in LINKS {
            symlink(to, self.base.join(name)).during(|| format!("link `/{name}`"))?;
        }
        self.folder("dev/shm")?;
        fresh("tmpfs", &self.base.join("dev/shm"), MsFlags::empty(), "mode=1777")?;
        self.folder("dev/pts")?;
        // Some containers forbid it, and few builds want a terminal.
        let (place, options) = (self.base.join("dev/pts"), "newinstance,ptmxmode=0666,mode=0620");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        let _ = mount(Some("devpts"), &place, Some("devpts"), flags, Some(options));
        Ok(())
    }

    /// `/proc`, with the kernel's switches read-only: files of real root's stay its own in any user namespace. What is
    /// [`MASKED`] is empty.
    ///
    /// In a container that covers parts of `/proc`, the kernel allows no fresh one, which would uncover them. There it is
    /// the container's own, `machines`, with the covers. It lists the container's processes: a command can read what they
    /// are called and their arguments, but, in its user namespace, neither their environment nor memory nor files; and it
    /// is read-only, for a file like `oom_score_adj` is writable to the same user.
    fn processes(&mut self, machines: Option<OwnedFd>, handle: &OwnedFd) -> Step<()> {
        self.folder("proc")?;
        let proc = self.base.join("proc");
        if let Err(refused) = fresh("proc", &proc, MsFlags::MS_NOEXEC, "") {
            let is_covered =
                matches!(refused, Report::SetupFailed { errno, .. } if errno == Errno::EPERM as i32);
            let Some(machines) = machines.filter(|_| is_covered) else { return Err(refused) };
            let moved = move_mount(machines.as_fd(), "", CWD, &proc, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH);
            moved.map_err(|_| refused)?;
            let step = || "list the mounts in `/proc`".to_owned();
            self.binds.insert(GuestPath::proc(), Access::ReadOnly);
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let table = openat(handle, "self/mountinfo", flags, Mode::empty());
            self.seal(&mut table.map_err(io::Error::from).during(step)?.into())?;
        }
        for path in MASKED.map(|name| proc.join(name)) {
            match path.symlink_metadata() {
                Ok(found) if found.is_dir() => fresh("tmpfs", &path, MsFlags::MS_RDONLY, "mode=0555")?,
                Ok(_) => bind(Path::new("/dev/null"), &path)?,
                Err(_) => {}
            }
        }
        let step = || "list `/proc`".to_owned();
        for entry in fs::read_dir(&proc).during(step)? {
            let entry = entry.during(step)?;
            let is_process = entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit());
            // A process that has just ended has no metadata, and some kernels hide what they list.
            let Ok(found) = entry.metadata() else { continue };
            let is_switch = found.is_dir() || found.is_file() && found.permissions().mode() & 0o222 != 0;
            if !is_process && is_switch {
                bind(&entry.path(), &entry.path())?;
                remount(&entry.path(), MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC)?;
            }
        }
        Ok(())
    }

    fn folder(&self, name: &str) -> Step<()> {
        fs::create_dir_all(self.base.join(name)).during(|| format!("create `/{name}`"))
    }

    /// Mounts a folder or file of the machine's with all that is mounted below it. Its flags come with the seal.
    fn bind(&mut self, host: &Path, guest: &GuestPath, access: Access) -> Step<()> {
        let place = guest.under(&self.base);
        let step = || format!("mount `{}` at `{guest}`", host.display());
        let in_another = self.binds.keys().any(|bind| bind.contains(guest.as_str()));
        if in_another && place.canonicalize().during(step)? != place {
            // A link would be followed out of the new root.
            return Err(io::Error::from(Errno::ELOOP)).during(step);
        }
        if !in_another {
            if host.is_dir() {
                fs::create_dir_all(&place).during(step)?;
            } else {
                fs::create_dir_all(place.parent().unwrap_or(&self.base)).during(step)?;
                File::create(&place).during(step)?;
            }
        }
        bind(host, &place)?;
        self.binds.insert(guest.clone(), access);
        Ok(())
    }

    /// Gives every bind mount, and all that came with it from below, its access and takes setuid and devices away.
    /// Flags that are there stay: in a user namespace it is forbidden to lift them.
    fn seal(&self, table: &mut File) -> Step<()> {
        let mut text = Vec::new();
        table.read_to_end(&mut text).during(|| "read `/proc/self/mountinfo`".into())?;
        // Where mounts are stacked, the last is on top, and the one that counts.
        let flags: BTreeMap<PathBuf, MsFlags> =
            text.split(|&byte| byte == b'\n').filter_map(mount_point).collect();
        for (path, flags) in flags {
            let Ok(place) = path.strip_prefix(&self.base) else { continue };
            let place = format!("/{}", place.display());
            // The longest of those that contain it is the last.
            let Some((bind, access)) = self.binds.iter().rfind(|(bind, _)| bind.contains(&place)) else {
                continue;
            };
            let wanted = if *access == Access::ReadOnly { flags | MsFlags::MS_RDONLY } else { flags };
            match remount(&path, wanted) {
                // What is mounted below may be hidden by another mount; then nobody can reach it.
                Err(Report::SetupFailed { errno, .. })
                    if bind.as_str() != place
                        && [Errno::ENOENT, Errno::EINVAL, Errno::EACCES]
                            .contains(&Errno::from_raw(errno)) => {}
                result => result?,
            }
        }
        Ok(())
    }
}

/// The place and flags in a line of mountinfo: the fifth and sixth field, the place with its white space in octal.
fn mount_point(line: &[u8]) -> Option<(PathBuf, MsFlags)> {
    let mut fields = line.split(|&byte| byte == b' ').skip(4);
    let (path, options) = (unescape(fields.next()?), fields.next()?);
    let flags = options.split(|&byte| byte == b',').map(|option| match option {
        b"ro" => MsFlags::MS_RDONLY,
        b"nosuid" => MsFlags::MS_NOSUID,
        b"nodev" => MsFlags::MS_NODEV,
        b"noexec" => MsFlags::MS_NOEXEC,
        // The kernel keeps those about access times if none is given.
        _ => MsFlags::empty(),
    });
    Some((path, flags.fold(MsFlags::empty(), |all, flag| all | flag)))
}

/// A field of mountinfo, in which a backslash is followed by the three octal digits of a byte.
fn unescape(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(escaped) = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            path.push(escaped);
            rest = &after[3..];
        } else {
            path.push(byte);
            rest = after;
        }
    }
    OsString::from_vec(path).into()
}

fn fresh(kind: &str, place: &Path, flags: MsFlags, options: &str) -> Step<()> {
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some(kind), place, Some(kind), flags, Some(options)).during(|| format!("mount a fresh {kind}"))
}

fn bind(from: &Path, place: &Path) -> Step<()> {
    mount(Some(from), place, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .during(|| format!("mount `{}`", from.display()))
}

fn remount(place: &Path, flags: MsFlags) -> Step<()> {
    change(place, flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOSUID | MsFlags::MS_NODEV)
}

fn change(place: &Path, flags: MsFlags) -> Step<()> {
    mount(None::<&str>, place, None::<&str>, flags, None::<&str>)
        .during(|| format!("change the mount `{}`", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_gives_place_and_flags() {
        let line =
            b"36 35 98:0 /a\\040b /mnt/x\\040y\\134z ro,nosuid,relatime master:1 - ext3 /dev/root rw,noexec";
        let expected = (PathBuf::from("/mnt/x y\\z"), MsFlags::MS_RDONLY | MsFlags::MS_NOSUID);
        assert_eq!(mount_point(line), Some(expected));
        assert_eq!(mount_point(b"36 35"), None);
    }
}
