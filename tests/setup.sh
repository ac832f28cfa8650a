#!/bin/sh
# Makes sure that what the tests run is installed. Where all of it is there, does nothing. What is absent is installed
# by the system's package manager when this runs as root; otherwise the command is printed and this fails.
set -eu

# Whether this machine can link a static program: the small packages of the tests are, as those of the root are.
static_programs() {
    folder=$(mktemp -d)
    echo 'int main(void) { return 0; }' >"$folder/main.c"
    status=0
    gcc -static-pie -o "$folder/main" "$folder/main.c" 2>/dev/null || status=1
    rm -rf "$folder"
    return "$status"
}

absent=
for program in ar as cmp diff find g++ gcc ld make perl python3 sed shellcheck tar unshare; do
    command -v "$program" >/dev/null || absent="$absent $program"
done
perl -MData::Dumper -MFile::Compare -MFile::Copy -e 1 2>/dev/null || absent="$absent perl-modules"
static_programs || absent="$absent static-C-library"
[ -n "$absent" ] || exit 0

everywhere='binutils diffutils findutils gcc make perl python3 tar util-linux'
update=true
if command -v apt-get >/dev/null; then
    update='apt-get update'
    install="apt-get install -y --no-install-recommends $everywhere g++ libc6-dev shellcheck"
elif command -v dnf >/dev/null; then
    install="dnf install -y $everywhere gcc-c++ glibc-devel glibc-static ShellCheck"
elif command -v apk >/dev/null; then
    install="apk add $everywhere coreutils g++ musl-dev shellcheck"
else
    echo "The tests need these, which are not installed:$absent" >&2
    exit 1
fi
echo "Not installed:$absent"
if [ "$(id -u)" != 0 ]; then
    echo "As root, this installs them:" >&2
    echo "  $update && $install" >&2
    exit 1
fi
echo "Installing them: $install"
export DEBIAN_FRONTEND=noninteractive
$update
$install
