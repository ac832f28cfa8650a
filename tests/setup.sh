#!/bin/sh
# Makes sure that what the tests run is installed. Where all of it is there, does nothing. What is absent is installed
# by the system's package manager when this runs as root; otherwise the command is printed and this fails.
set -eu

# Tools of others that read the documents, in a folder of their own under Cargo's. Without them, the tests that need
# them say that they are SKIPPED.
validators() {
    wanted=tests/validators/requirements.txt
    folder=${CARGO_TARGET_DIR:-target}/validators
    cmp -s "$wanted" "$folder/installed.txt" && return
    echo "Installing what reads the documents, with pip: $folder"
    rm -rf "$folder"
    {
        python3 -m venv "$folder/venv" &&
            "$folder/venv/bin/pip" install --quiet --requirement "$wanted" &&
            "$folder/venv/bin/pip" download --quiet --no-deps --dest "$folder" scancodeio==36.1.0 &&
            cp "$wanted" "$folder/installed.txt"
    } || echo "That failed: tests that need it are SKIPPED."
}

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
# Without these, the tests that need them say that they are SKIPPED, and the rest runs.
foreign=
for program in aarch64-linux-gnu-gcc arm-linux-gnueabihf-gcc riscv64-linux-gnu-gcc qemu-system-aarch64 qemu-system-arm \
    qemu-system-riscv64 qemu-system-x86_64 disorderfs chromium debootstrap rpmbuild rpmlint; do
    command -v "$program" >/dev/null || foreign="$foreign $program"
done
for arch in aarch64 arm riscv64; do
    command -v "qemu-$arch-static" >/dev/null || command -v "qemu-$arch" >/dev/null ||
        foreign="$foreign qemu-$arch-static"
done
[ -e /usr/share/i18n/locales/tr_TR ] || foreign="$foreign locales"
python3 -c 'import ensurepip, venv' 2>/dev/null || foreign="$foreign python-venv"
if [ -z "$absent$foreign" ]; then
    validators
    exit 0
fi

everywhere='binutils diffutils findutils gcc make perl python3 tar util-linux'
compilers='gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf gcc-riscv64-linux-gnu'
emulators='qemu-system-arm qemu-system-misc qemu-system-x86 qemu-user-static'
variers='disorderfs locales'
browser='chromium'
system='debootstrap'
venv='python3-venv'
packagers='rpm rpmlint'
update=true
others=
if command -v apt-get >/dev/null; then
    update='apt-get update'
    install="apt-get install -y --no-install-recommends $everywhere g++ libc6-dev shellcheck"
    others="apt-get install -y --no-install-recommends $compilers $emulators $variers $browser $system $venv $packagers"
elif command -v dnf >/dev/null; then
    install="dnf install -y $everywhere gcc-c++ glibc-devel glibc-static ShellCheck"
elif command -v apk >/dev/null; then
    install="apk add $everywhere coreutils g++ musl-dev shellcheck"
else
    install=
fi
export DEBIAN_FRONTEND=noninteractive

if [ -n "$absent" ]; then
    echo "Not installed:$absent"
    if [ -z "$install" ]; then
        echo "The tests need these, and this system's package manager is not known." >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "As root, this installs them:" >&2
        echo "  $update && $install" >&2
        exit 1
    fi
    echo "Installing them: $install"
    $update
    $install
fi

if [ -n "$foreign" ]; then
    echo "Not installed:$foreign"
    if [ -z "$others" ]; then
        echo "Some tests need these, and are SKIPPED: setup.sh knows their packages on Debian only."
    elif [ "$(id -u)" != 0 ]; then
        echo "Some tests need these, and are SKIPPED. As root, this installs them:"
        echo "  $update && $others"
    else
        echo "Installing them: $others"
        # shellcheck disable=SC2086 # words
        { $update && $others; } || echo "That failed: tests that need them are SKIPPED."
    fi
fi
validators
