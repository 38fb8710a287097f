# For those whose fingers type make: every target is ./dev TARGET.
.PHONY: build demo test bench lint fuzz format check clean help
build demo test bench lint fuzz format check clean help:
	@./dev $@
.DEFAULT_GOAL := build
