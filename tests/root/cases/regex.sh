# What the C library's regular expressions got wrong.
# packages: busybox
#> abc
#> (abc)
#> x-x
#> a later start
#> refused
echo abc | awk '{ gsub(/\<b*/, ""); print }'
echo abc | awk '{ gsub(/\<[a-c]*/, "(&)"); print }'
echo a-a | awk '{ gsub(/^a|a$/, "x"); print }'
echo ab | busybox grep -q '\(a*\)b\1'
echo a later start
# Never ended.
if echo aa | busybox grep '\(^a*\1\)*' >found 2>said; then fail 'a reference into an open group was taken'; fi
grep -q 'Invalid back reference' said || fail "grep said: $(cat said)"
echo refused
