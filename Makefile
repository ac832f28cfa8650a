# The front door: `make help`.

ARCH      ?= amd64
TOOLCHAIN ?= source
DIST      ?= dist
CARGO     ?= cargo
# One profile for everything, so that nothing is compiled twice.
PROFILE    = --release --locked
K3SROOT    = $(CARGO) run $(PROFILE) --quiet --
BUILD      = $(K3SROOT) build --arch $(ARCH) --toolchain $(TOOLCHAIN) --out $(DIST)
TARS       = $(DIST)/k3s-root-$(ARCH).tar $(DIST)/k3s-root-xtables-$(ARCH).tar $(DIST)/sha256sum-$(ARCH).txt
MISSING    = $(DIST)/k3s-root-$(ARCH).missing.txt
SCRIPTS    = .ci/run tests/root/init.sh $(wildcard tests/*.sh recipes/files/*/*.sh \
               tests/fixtures/*/recipes/files/*/*.sh tests/fixtures/*/recipes/files/*/scripts/*.sh)
CASES      = $(wildcard tests/root/cases/*.sh)

FUZZ_TARGETS ?= advisory elf patch recipe store tarball unpack
FUZZ_SECONDS ?= 600

.PHONY: help root test quick lint suite test-root test-other-roots digests bench fuzz fmt docs doctor setup clean
.NOTPARALLEL:
.DEFAULT_GOAL = help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

root: ## Build the tarballs for ARCH (amd64) into dist; TOOLCHAIN=host: with this machine's compilers
	$(BUILD)

test: setup lint suite test-root test-other-roots ## Run everything that CI runs

quick: ## Run the tests that need nothing but Rust: seconds
	$(CARGO) test $(PROFILE) --lib --bins --test currency --test executor --test layers

lint: docs ## Check formatting, recipes and links in the documentation, run clippy and shellcheck
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(PROFILE) --all-targets -- -D warnings
	$(K3SROOT) lint
	shellcheck $(SCRIPTS)
	@for case in $(CASES); do \
	  { echo "export strict='' variant='' beside=''"; cat tests/root/prelude.sh $$case; } | shellcheck -s sh -S warning - || \
	  { echo "that is tests/root/prelude.sh and $$case"; exit 1; }; done

suite: ## Run every test that needs no downloads: minutes
	$(CARGO) test $(PROFILE)

# What this machine cannot reach is left out of the root, said, and not tested. Anything else that goes wrong is an
# error: k3sroot exits with 1 in both cases; with --partial it writes tarballs, and a list of what is missing, in the first.
test-root: ## Build the root for ARCH and test the programs in it
	@rm -f $(TARS) $(MISSING)
	@status=0; $(BUILD) --partial || status=$$?; \
	if [ $$status -eq 1 ] && [ -s $(MISSING) ] && [ -s $(firstword $(TARS)) ]; then \
	  echo; \
	  echo "##########################################################################"; \
	  echo "## THE ROOT IS NOT COMPLETE: sources of these packages were not reached ##"; \
	  sed 's/^/##   /' $(MISSING); \
	  echo "## The tests go on with what there is.                                  ##"; \
	  echo "##########################################################################"; \
	else exit $$status; fi
	$(if $(filter source,$(TOOLCHAIN)),$(K3SROOT) verify --golden --arch $(ARCH))
	K3SROOT_TEST_ARCH='$(ARCH)' K3SROOT_TEST_DIST='$(abspath $(DIST))' $(CARGO) test $(PROFILE) --test root

# With cross compilers that the machine has: to make one from source for each arch takes half an hour. All are tried.
test-other-roots: ## Build the roots of the other arches with this machine's cross compilers and test them
	$(K3SROOT) build --arch amd64 --toolchain host pigz
	@failed=; for arch in $(filter-out amd64,$(patsubst sysroot/%.toml,%,$(wildcard sysroot/*.toml))); do \
	  echo "## $$arch"; \
	  if $(K3SROOT) doctor --toolchain host --arch $$arch; then \
	    $(MAKE) --no-print-directory test-root ARCH=$$arch TOOLCHAIN=host DIST='$(DIST)/host' || failed="$$failed $$arch"; \
	  else echo "SKIPPED the root for $$arch: doctor, above, says what this machine lacks to build it"; fi; \
	done; \
	[ -z "$$failed" ] || { echo "These roots failed:$$failed"; exit 1; }

digests: ## Write tests/digests.txt anew, and tests/executor.txt after EXECUTOR was raised (EXECUTOR=same: no build notices)
	K3SROOT_UPDATE_DIGESTS=$(or $(EXECUTOR),yes) $(CARGO) test $(PROFILE) --test digests --test executor

bench: ## Measure builds of the root (BENCH='--toolchain host' spares an hour), or its programs (BENCH=node)
	$(CARGO) bench --profile release --locked --bench bench -- $(BENCH)

# What it finds beyond the corpus goes to `target/fuzz`, what breaks a promise to `fuzz/artifacts`.
fuzz: ## Fuzz each of FUZZ_TARGETS (all) for FUZZ_SECONDS (600); CONTRIBUTING.md says what that needs
	@for target in $(FUZZ_TARGETS); do \
	  mkdir -p target/fuzz/$$target; \
	  more=; [ $$target != recipe ] || more='recipes sysroot'; \
	  $(CARGO) +nightly fuzz run --sanitizer none $$target target/fuzz/$$target fuzz/corpus/$$target $$more -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 || exit 1; \
	done

fmt: ## Format the code
	$(CARGO) fmt --all

docs: ## Build the code's documentation
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(PROFILE) --no-deps --document-private-items

doctor: ## Say what this machine lacks to build the root
	$(K3SROOT) doctor

setup: ## Install what the tests run, if it is absent (as root)
	@sh tests/setup.sh

clean: ## Remove what was built in the checkout; the cache stays
	$(CARGO) clean
	rm -rf $(DIST)
