//! Programs that need no network.

use crate::rootfs::{apart, has, is_machine_root, plainly};

#[test]
fn busybox_runs_what_k3s_runs_from_it() {
    let Some(text) = plainly(
        &["busybox"],
        "echo 'a b' | awk '{ print $2 }'
         printf 'x=1\\n' | sed 's/=/ is /'
         printf 'one\\ntwo\\n' | grep tw
         printf 'data' | gzip | zcat; echo
         busybox --list | grep -x lsmod
         free | grep Mem: | wc -l",
    ) else {
        return;
    };
    assert_eq!(text, "b\nx is 1\ntwo\ndata\nlsmod\n1\n");
}

#[test]
fn coreutils_is_one_program_under_many_names() {
    let Some(text) = plainly(
        &["coreutils"],
        "printf 'abc' | sha256sum
         printf '1.10\\n1.9\\n' | sort -V | tr '\\n' ' '; echo
         timeout 5 readlink -f . > where; stat -c %s where > size
         [ -s size ] && mktemp -d ./XXXXXX > made && test -d \"$(cat made)\"
         sort --version | head -n 1",
    ) else {
        return;
    };
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -");
    assert_eq!(lines[1], "1.9 1.10 ");
    assert!(lines[2].starts_with("sort (GNU coreutils) 9."), "{text}");
}

#[test]
fn find_feeds_xargs() {
    let Some(text) = plainly(
        &["findutils"],
        "mkdir -p d/e; touch d/1.txt 'd/e/2 2.txt' d/3.log
         find d -name '*.txt' -type f -print0 | xargs -0 -n 1 basename | sort
         find --version | head -n 1",
    ) else {
        return;
    };
    assert!(text.starts_with("1.txt\n2 2.txt\nfind (GNU findutils) 4."), "{text}");
}

#[test]
fn pigz_and_unpigz_give_back_what_went_in() {
    let Some(text) = plainly(
        &["pigz"],
        "seq 1 100000 > numbers; sha256sum < numbers
         pigz -p 2 -c numbers > numbers.gz; unpigz -c numbers.gz | sha256sum
         zcat numbers.gz | sha256sum",
    ) else {
        return;
    };
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| *line == lines[0]), "{text}");
}

#[test]
fn blkid_recognises_a_file_system() {
    let Some(text) = plainly(
        &["util-linux", "busybox"],
        "truncate -s 4M image; mkdosfs -n K3SROOT image > made; blkid -p -o export image",
    ) else {
        return;
    };
    assert!(text.contains("TYPE=vfat") && text.contains("LABEL=K3SROOT"), "{text}");
}

#[test]
fn nsenter_enters_a_network_namespace() {
    // `ip` lists the devices of the namespace it is in: a new one has `lo` alone, and it is down.
    let Some(text) = apart(
        &["util-linux", "busybox"],
        "sleep 60 & pid=$!
         nsenter --target $pid --net --mount busybox ip link show | grep -c ': '
         nsenter --target $pid --user --preserve-credentials --net true 2> refused || echo 'own user namespace refused'
         kill $pid",
    ) else {
        return;
    };
    assert!(text.starts_with("1\n"), "{text}");
}

#[test]
fn losetup_attaches_a_file() {
    if !is_machine_root() || !has("/dev/loop-control") {
        return;
    }
    let Some(text) = plainly(
        &["util-linux"],
        "truncate -s 1M disk; printf 'from the file' | dd of=disk conv=notrunc 2> /dev/null
         device=$(losetup --find --show disk)
         trap 'losetup --detach $device' EXIT
         head -c 13 $device; echo
         losetup --noheadings --output BACK-FILE $device | grep -c disk",
    ) else {
        return;
    };
    assert_eq!(text, "from the file\n1\n");
}

#[test]
fn fuse_overlayfs_mounts_is_written_to_and_read_back() {
    if !has("/dev/fuse") {
        return;
    }
    let Some(text) = apart(
        &["fuse-overlayfs"],
        "mkdir lower upper work merged; echo below > lower/old
         fuse-overlayfs -o lowerdir=lower,upperdir=upper,workdir=work merged
         cat merged/old; echo above > merged/new; rm merged/old
         cat upper/new; test ! -e merged/old; cat lower/old
         umount merged",
    ) else {
        return;
    };
    assert_eq!(text, "below\nabove\nbelow\n");
}
