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
demo: root ## Delete images from a throw-away containerd of this machine, and watch (needs root)
	@tests/tools/build packages
	$(CARGO) build --locked --bin secateur --example demo
	@$(CARGO) run --locked --quiet --example demo

.PHONY: tools
tools: ## Install and build what the tests need (Debian packages, containerd 2.x, cargo-deny)
	@tests/tools/build

.PHONY: lint
lint: ## Check format, lints, and the dependencies' licences, bans and sources
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	deny=$$(tests/tools/build deny) && "$$deny" --locked --log-level error check licenses bans sources

.PHONY: test
test: root tools lint ## Run every check and every test (needs root)
	$(CARGO) test --locked --all-features

.PHONY: test-one
test-one: root tools ## Run the tests whose name holds T, with their output: make test-one T=a_node_answers::v2
	@[[ -n "$(T)" ]] || { echo "test-one: name a test, as in: make test-one T=a_node_answers::v2" >&2; exit 1; }
	$(CARGO) test --locked --all-features -- $(T) --nocapture

.PHONY: fuzz
fuzz: ## Read 1,000,000 arbitrary texts as references, queries and patterns
	PROPTEST_CASES=1000000 $(CARGO) test --locked --release --lib -- --nocapture reference::tests

.PHONY: crds
crds: ## Write crds/ anew from the types
	UPDATE_CRDS=1 $(CARGO) test --locked --lib api::crds

CONTAINERD ?= v2

.PHONY: bench
bench: root tools ## Measure deletions beside ctr and the CRI, planning, and folding reports (CONTAINERD=v1 for 1.6)
	$(CARGO) test --locked --release --all-features --test node -- --ignored --nocapture bench::$(CONTAINERD)
	$(CARGO) bench --locked --bench plan --bench status

.PHONY: clean-bed
clean-bed: root ## Remove what killed test runs left: processes, mounts, directories
	@# Starting a node does it.
	$(CARGO) test --locked --all-features --test node -- --exact --nocapture smoke::life::a_node_answers::v1

.PHONY: root
root:
	@((EUID == 0)) || { echo "this starts containerd and containers: run it as root" >&2; exit 1; }
