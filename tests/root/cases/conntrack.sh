# packages: conntrack-tools
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> src=192.0.2.1 dst=192.0.2.2 sport=1000 dport=80
#> 1
#> 1 flow entries have been shown
#> 1 flow entries have been deleted
#> 0
needs 'list of connections' conntrack -L
conntrack -I -p tcp -s 192.0.2.1 -d 192.0.2.2 --sport 1000 --dport 80 --state ESTABLISHED --timeout 60 >made
conntrack -L 2>summary
conntrack -C
cat summary
# As kube-proxy does when an endpoint is gone.
conntrack -D --orig-dst 192.0.2.2 -p tcp >deleted 2>summary
cat summary
conntrack -C
