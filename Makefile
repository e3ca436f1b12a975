# Everything is done from here; `make` alone lists what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

CARGO ?= cargo

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: root tools image ## Delete images from a real two-node Kubernetes of this machine, and watch (needs root)
	$(CARGO) build --locked --example cluster
	@$(CARGO) run --locked --quiet --example cluster -- demo target/cluster

.PHONY: demo-down
demo-down: cluster-down ## Remove the cluster of the demo

.PHONY: demo-node
demo-node: root ## Delete images from a throw-away containerd of this machine, without a cluster (needs root)
	@tests/tools/build packages
	$(CARGO) build --locked --bin secateur --example demo
	@$(CARGO) run --locked --quiet --example demo

.PHONY: tools
tools: ## Install and build what the tests need (Debian packages, containerd 2.x, cargo-deny, cargo-cyclonedx)
	@tests/tools/build

.PHONY: lint
lint: ## Check format, lints, and the dependencies' licences, bans and sources
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	deny=$$(tests/tools/build deny) && "$$deny" --locked --log-level error check licenses bans sources

.PHONY: test
test: root tools lint image ## Run every check and every test (needs root)
	$(CARGO) test --locked --all-features

.PHONY: test-one
test-one: root tools image ## Run the tests whose name holds T, with their output: make test-one T=a_node_answers::v2
	@[[ -n "$(T)" ]] || { echo "test-one: name a test, as in: make test-one T=a_node_answers::v2" >&2; exit 1; }
	$(CARGO) test --locked --all-features -- $(T) --nocapture

.PHONY: soak
soak: root tools image ## Do everything at once on the two-node cluster, and kill what can be killed: make soak SEED=7 MINUTES=30
	SEED='$(SEED)' MINUTES='$(MINUTES)' $(CARGO) test --locked --all-features --test cluster -- soak:: --ignored --nocapture

.PHONY: races
races: root tools image ## Delete images while pods of them start, 400 times on each containerd, and print what came of it (SEED=)
	SEED='$(SEED)' $(CARGO) test --locked --all-features --test cluster -- races:: --ignored --nocapture

SITES ?= all

.PHONY: faults
faults: root tools ## Make every fault at every call of an agent and of a controller: make faults ONE=an_idle_image SITES=9
	SITES='$(SITES)' $(CARGO) test --locked --all-features --test faults -- $(ONE)

.PHONY: limits
limits: root tools image ## Print what as much as is allowed, and as much as may pile up, takes in time and memory
	$(CARGO) test --locked --all-features --test cluster -- limits:: --ignored --nocapture
	$(CARGO) test --locked --all-features --test node -- engine::many:: engine::full:: --include-ignored --nocapture

FUZZ_TARGETS ?= reference document plan
SECONDS_EACH ?= 600

.PHONY: fuzz
fuzz: ## Fuzz what reads strangers' input, each target for SECONDS_EACH (600) seconds: make fuzz FUZZ_TARGETS=plan
	# Nothing here is unsafe, so no sanitizer is needed, and with none it builds with a stable compiler.
	cd fuzz && fuzz=$$(../tests/tools/build fuzz) && for target in $(FUZZ_TARGETS); do \
		mkdir -p target/found/$$target; \
		"$$fuzz" fuzz run --sanitizer none $$target target/found/$$target corpus/$$target -- \
			-max_total_time=$(SECONDS_EACH) -max_len=16384 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1; \
	done

.PHONY: texts
texts: ## Read 1,000,000 arbitrary texts as references, queries and patterns
	PROPTEST_CASES=1000000 $(CARGO) test --locked --release --lib -- --nocapture reference::tests

.PHONY: crds
crds: ## Write the CRDs anew from the types: crds/ and the chart's
	UPDATE_CRDS=1 $(CARGO) test --locked --lib api::crds

.PHONY: chart-docs
chart-docs: ## Write the table of the chart's values anew from values.yaml
	UPDATE_CHART_DOCS=1 $(CARGO) test --locked --test chart page::

# Of the image: for what it is built, and the commit that it says it is from.
TARGETARCH ?= $(subst aarch64,arm64,$(subst x86_64,amd64,$(shell uname -m)))
REVISION ?= $(shell git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)

triple_amd64 := x86_64-unknown-linux-gnu
triple_arm64 := aarch64-unknown-linux-gnu
triple = $(or $(triple_$(TARGETARCH)),$(error no image for $(TARGETARCH): TARGETARCH is amd64 or arm64))

.PHONY: image
image: target/image/secateur.tar ## Build the image, an OCI archive with a list of its crates beside it: target/image
	@stat --printf='%n: %s bytes\n' target/image/build/secateur $< target/image/secateur.cdx.json

target/image/secateur.tar: target/image/build/secateur target/image/build/secateur.cdx.json Dockerfile tests/tools/image
	tests/tools/image $@ $(<D) $(TARGETARCH) $(REVISION)

.PHONY: binary
binary: target/image/build/secateur ## Build the static binary of the image: target/image/build/secateur

# Static, without the tables for unwinding (a panic aborts), and with its relocations packed. Where it was built does not show.
image_rustflags = -C target-feature=+crt-static -C force-unwind-tables=no -C link-arg=-Wl,-z,pack-relative-relocs \
	--remap-path-prefix=$(CURDIR)=/secateur --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo

# cargo knows what has changed. A binary that has not keeps its time.
target/image/build/secateur: always
	SECATEUR_REVISION='$(REVISION)' RUSTFLAGS='$(image_rustflags)' \
		$(CARGO) build --locked --profile dist --bin secateur --target $(triple)
	@install -D -C target/$(triple)/dist/secateur $@

.PHONY: sbom
sbom: target/image/build/secateur.cdx.json ## List the crates of the binary, as CycloneDX: target/image/build/secateur.cdx.json

# cargo-cyclonedx writes beside Cargo.toml, and says where that is. A list that has not changed keeps its time.
target/image/build/secateur.cdx.json: always
	cyclonedx=$$(tests/tools/build cyclonedx) && SOURCE_DATE_EPOCH=0 "$$cyclonedx" cyclonedx -qq --format json --spec-version 1.5 \
		--target $(triple) --no-build-deps --override-filename secateur.cdx
	@sed -i 's|path+file://$(CURDIR)#|path+file:///secateur#|g' secateur.cdx.json
	@install -D -C -m 644 secateur.cdx.json $@ && install -C -m 644 secateur.cdx.json target/image && rm secateur.cdx.json

.PHONY: reproducible
reproducible: ## Build the image of this commit twice, in different places, and compare (takes a while)
	tests/tools/reproducible

.PHONY: always

CONTAINERD ?= v2

.PHONY: bench
bench: root tools ## Measure deletions beside ctr and the CRI, planning, and folding reports (CONTAINERD=v1 for 1.6)
	$(CARGO) test --locked --release --all-features --test node -- --ignored --nocapture bench::$(CONTAINERD)
	$(CARGO) bench --locked --bench plan --bench status

N ?= 500 1000 5000

.PHONY: scale
scale: root tools ## Measure what a deletion costs clusters of N="500 1000 5000" nodes, and an agent its node (needs root)
	N='$(N)' $(CARGO) test --locked --release --test scale -- --ignored --nocapture

.PHONY: cluster-up
cluster-up: root tools ## Start a real two-node Kubernetes that stays, and print how to talk to it (needs root)
	$(CARGO) build --locked --example cluster
	@$(CARGO) run --locked --quiet --example cluster -- up target/cluster

.PHONY: cluster-down
cluster-down: root ## End that cluster and remove all of it
	@$(CARGO) run --locked --quiet --example cluster -- down target/cluster

.PHONY: clean-bed
clean-bed: root ## Remove what killed test runs left: processes, mounts, directories
	@# Starting a node does it, and for clusters too.
	$(CARGO) test --locked --all-features --test node -- --exact --nocapture smoke::life::a_node_answers::v1

.PHONY: root
root:
	@((EUID == 0)) || { echo "this starts containerd and containers: run it as root" >&2; exit 1; }
