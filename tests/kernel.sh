#!/bin/sh
# kernel.sh ARCH: gets Debian's kernel for ARCH and prints where it is: `vmlinuz`, with modules below `modules` beside
# it. It comes from whatever mirror this machine's apt uses, verified as apt verifies packages, by way of an apt
# state of its own, so that the machine's is left alone. It is kept in k3sroot's cache and got once; remove
# `test-kernels` there for a newer one. Nothing is pinned: Debian removes old versions from its mirrors, and the tests
# are not about the kernel. Where there is none to be had, this says why and exits with 1.
set -eu

# fail REASON
fail() {
    echo "no Debian kernel for ${arch:-this arch}: $1" >&2
    exit 1
}

# shellcheck source=tests/apt.sh
. "$(dirname "$0")/apt.sh"
kept "${1-}" test-kernels vmlinuz
apt_state trixie # the first to have all four arches
flavour=$arch
if [ "$arch" = arm ]; then flavour=armmp; fi
mkdir "$work/modules"

package=$(apt apt-cache show --no-all-versions "linux-image-$flavour" 2>>"$work/log" |
    sed -n 's/^Depends:.*\(linux-image-[^ ,]*\).*/\1/p')
[ "$package" ] || fail "$suite has no linux-image-$flavour"
(cd "$work" && apt apt-get download "$package" >>log 2>&1) ||
    fail "$package could not be downloaded: $(said)"

# The kernel, and its modules for networks, file systems and block devices. What was cut short must not be kept: each
# step has to succeed, and what the tests cannot do without has to be there.
dpkg-deb --fsys-tarfile "$work/$package"_*.deb >"$work/package.tar" 2>>"$work/log" ||
    fail "$package cannot be unpacked: $(tail -n 1 "$work/log")"
parts='net/|lib/|crypto/|arch/|fs/(fat|fuse|nls|overlayfs)/|drivers/(net|block)/[^/]*\.ko'
tar -t -f "$work/package.tar" >"$work/names"
grep -E "^\./(boot/vmlinu|(usr/)?lib/modules/[^/]*/kernel/($parts)).*[^/]\$" "$work/names" >"$work/wanted" || true
tar -x -C "$work/modules" -f "$work/package.tar" -T "$work/wanted" 2>>"$work/log" ||
    fail "$package cannot be unpacked: $(tail -n 1 "$work/log")"
for wanted in '/boot/vmlinu' '/kernel/net/netfilter/.*\.ko' '/kernel/drivers/net/tun\.ko'; do
    grep -q "$wanted" "$work/wanted" || fail "$package has no $wanted in it"
done
mkdir "$work/kernel"
mv "$work"/modules/boot/vmlinu* "$work/kernel/vmlinuz"
rm -r "$work/modules/boot"
mv "$work/modules" "$work/kernel/modules"
keep "$work/kernel" vmlinuz
