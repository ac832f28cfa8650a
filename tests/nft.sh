#!/bin/sh
# nft.sh ARCH: gets Debian's newest nft for ARCH and prints a program that runs it, with the libraries that it came
# with. A node may run a newer nft than ours, and each has to read what the other wrote. It is kept in k3sroot's cache
# and got once; remove `test-nft` there for a newer one. Where there is none to be had, this says why and exits with 1.
set -eu

# fail REASON
fail() {
    echo "no newer nft from Debian for ${arch:-this arch}: $1" >&2
    exit 1
}

# shellcheck source=tests/apt.sh
. "$(dirname "$0")/apt.sh"
kept "${1-}" test-nft nft
apt_state sid

# Nothing is installed, by this state: so this is everything that it needs.
apt apt-get install -y --download-only --no-install-recommends nftables >>"$work/log" 2>&1 ||
    fail "nftables could not be downloaded: $(said)"
mkdir "$work/root" "$work/done"
for package in "$work"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$work/root" 2>>"$work/log" ||
        fail "${package##*/} cannot be unpacked: $(tail -n 1 "$work/log")"
done
cd "$work/root"
loader=$(find lib lib64 usr/lib usr/lib64 -name 'ld-linux*.so.*' 2>>"$work/log" | head -n 1) || true
[ "$loader" ] || fail "it came without a loader"
mkdir "$work/done/lib"
cp -L "$loader" "$work/done/loader"
cp -L usr/sbin/nft "$work/done/program"
find lib usr/lib -name '*.so.*' ! -type d -exec cp -L {} "$work/done/lib" \; 2>>"$work/log" || true
cat >"$work/done/nft" <<'END'
#!/bin/sh
here=${0%/*}
exec "$here/loader" --library-path "$here/lib" "$here/program" "$@"
END
chmod 755 "$work/done/nft"
"$work/done/nft" --version >>"$work/log" 2>&1 || fail "it does not run: $(tail -n 1 "$work/log")"
keep "$work/done" nft
