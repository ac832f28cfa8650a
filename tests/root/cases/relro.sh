# RELRO in force: what a program wrote to while it relocated itself, it can only read once it runs. Of a file that is
# mapped, the kernel counts what was written to as anonymous: so there has to be such memory that cannot be written to.
# packages: coreutils busybox
# not user: the process is qemu's
#> coreutils: written to, and now read-only
#> busybox: written to, and now read-only
# look PROGRAM: reads the program's own account of its memory.
look() {
    awk -v program="$1" '
        /^[0-9a-f]+-[0-9a-f]+ / { mode = $2; file = $6 }
        $1 == "Anonymous:" && $2 > 0 && file ~ "/" program "$" { modes[mode] = 1 }
        END { if ("r--p" in modes) print program ": written to, and now read-only" }
    '
}
cat /proc/self/smaps | look coreutils
busybox cat /proc/self/smaps | look busybox
