#!/bin/sh
# kernel.sh ARCH: gets Debian's kernel for ARCH and prints the folder that it is in: `vmlinuz`, and modules below
# `modules`. It comes from whatever mirror this machine's apt uses, verified as apt verifies packages, by way of an apt
# state of its own, so that the machine's is left alone. It is kept in k3sroot's cache and got once; remove
# `test-kernels` there for a newer one. Nothing is pinned: Debian removes old versions from its mirrors, and the tests
# are not about the kernel. Where there is none to be had, this says why and exits with 1.
set -eu

suite=trixie # the first to have all four arches

# fail REASON
fail() {
    echo "no Debian kernel for ${arch:-this arch}: $1" >&2
    exit 1
}

arch=${1-}
case $arch in
    amd64) debian=amd64 flavour=amd64 ;;
    arm64) debian=arm64 flavour=arm64 ;;
    arm) debian=armhf flavour=armmp ;;
    riscv64) debian=riscv64 flavour=riscv64 ;;
    *) fail "the arch is one of amd64, arm64, arm and riscv64, not '$arch'" ;;
esac

cache=${K3SROOT_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/k3sroot}/test-kernels
kernel=$cache/$arch
if [ -e "$kernel/vmlinuz" ]; then
    echo "$kernel"
    exit
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/.$arch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# shellcheck source=tests/apt.sh
. "$(dirname "$0")/apt.sh"
apt_state "$work" "$debian" "$suite"
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
# Whoever is first here wins; both are the same.
mv -T "$work/kernel" "$kernel" 2>/dev/null || [ -e "$kernel/vmlinuz" ] || fail "cannot write $kernel"
echo "$kernel"
