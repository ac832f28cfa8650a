# packages: pigz coreutils busybox
seq 1 100000 >numbers
pigz -p 2 -c numbers >numbers.gz
[ "$(stat -c %s numbers.gz)" -lt "$(stat -c %s numbers)" ]
unpigz -c numbers.gz | cmp - numbers
zcat numbers.gz | cmp - numbers
