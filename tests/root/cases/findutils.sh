# packages: findutils coreutils
#> 1.txt
#> 2 2.txt
#> find (GNU findutils) 4.
mkdir -p d/e
touch d/1.txt 'd/e/2 2.txt' d/3.log
find d -name '*.txt' -type f -print0 | xargs -0 -n 1 basename | sort
find --version | head -n 1
