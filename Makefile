PYTHON ?= python3
SEEDS ?= 200000

.PHONY: demo local test unit e2e simulate bench lint

demo:  ## the whole story on the local stack, then everything is stopped
	@$(PYTHON) local/stack.py demo

local: ## the local stack, running until Ctrl-C; PORT=n chooses the port
	@$(PYTHON) local/stack.py up

test: unit e2e ## every test

unit:  ## unit, property, fake-backed and simulated tests
	cargo test --workspace --locked

e2e:   ## the deployed release binaries on the local stack
	@$(PYTHON) local/stack.py build
	.venv-stack/bin/python -m pytest -p no:cacheprovider -rs tests/e2e

simulate: ## SEEDS=n schedules of the simulation
	SEEDS=$(SEEDS) cargo test --workspace --locked --test simulation -- --nocapture the_promises_hold

bench: ## measures this machine against a function that does nothing; writes docs/performance.md
	cargo build --release --locked -p add-ip -p reset-policy -p empty
	cargo build --workspace --all-targets --locked
	target/debug/bench

lint:  ## format, lints, docs, templates
	cargo fmt --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	@$(PYTHON) local/stack.py tools
	.venv-build/bin/cfn-lint template.yaml
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 .venv-build/bin/sam validate --lint
