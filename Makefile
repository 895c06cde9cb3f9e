# Two commands for everybody: `make run` and `make test`.

.DEFAULT_GOAL := help
.PHONY: help run build test test-all corpus weights heavy peers lint bench fuzz image clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Build the release binary and start the agent with its built-in configuration
	exec target/release/lanner run

build: ## Build the release binary, target/release/lanner
	cargo build --release --locked --bin lanner

test: peers ## Install what the tests need, then run all of them
	cargo test --locked --test it

test-all: test lint ## The same tests with the release binary, longer ones at full length, and lints
	tests/corpus/setup.sh
	LANNER_SUITE_FULL=1 LANNER_CORPUS_PEERS=1 LANNER_REPLAY_EVENTS=1000000 LANNER_DIFFERENTIAL_CASES=100000 LANNER_VERIFY_FUZZ_SECS=120 cargo test --locked --release --test it

corpus: peers ## Score malicious and benign files with ours and other scanners in one run, and write docs/corpus.md
	tests/corpus/setup.sh
	LANNER_CORPUS_PEERS=1 LANNER_CORPUS_WRITE=1 cargo test --locked --release --test it corpus:: -- --nocapture

weights: peers ## Name edits of weights in small real models, and nothing ordinary: writes docs/weights.md (JAX, 35 GB of files)
	tests/weights/setup.sh
	LANNER_WEIGHTS=1 LANNER_WEIGHTS_WRITE=1 cargo test --locked --release --test it weights::suite -- --nocapture

heavy: peers ## What PyTorch, TensorFlow, Keras, JAX and others write raises nothing (installs 8 GB)
	tests/corpus/setup-benign.sh
	LANNER_CORPUS_HEAVY=1 cargo test --locked --release --test it heavy -- --nocapture

peers: ## Install real servers and libraries to test against (apt and pip)
	tests/peers/setup.sh

lint: ## Format and lints
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

bench: build ## Speed of scanning and matching, as ratios to peers; a million events through fifty correlations
	cargo bench --locked --bench scan
	cargo bench --locked --bench detect
	cargo bench --locked --bench inventory
	cargo bench --locked --bench correlate
	cargo bench --locked --bench weights
	cargo bench --locked --bench sources

fuzz: ## Ten minutes each of hostile rules, events, timelines, overrides and each family of formats (nightly, cargo-fuzz)
	fuzz/run.sh

image: ## Build the container image with buildah
	deploy/build-image.sh

clean: ## Remove what was built; `.peers` stays
	cargo clean
