# SPDX-License-Identifier: GPL-2.0
#
# Builds the modules for the kernel whose build tree is KDIR; `make help` lists the targets.
# The kernel's own variables pass through: V=1, CLIPPY=1, INSTALL_MOD_PATH=…, MO=….

KDIR ?= /lib/modules/$(shell uname -r)/build
RUSTFMT ?= rustfmt

kbuild = $(MAKE) -C $(KDIR) M=$(CURDIR)$(1)

.PHONY: modules split tests modules_install clean help fmt fmtcheck check-kdir

modules: check-kdir
	$(call kbuild) modules

# The way of three packages: each module alone, the others against the provider's symbols.
split: check-kdir
	$(call kbuild,/provider) modules
	$(call kbuild,/consumer) KBUILD_EXTRA_SYMBOLS=$(CURDIR)/provider/Module.symvers modules
	$(call kbuild,/tally) KBUILD_EXTRA_SYMBOLS=$(CURDIR)/provider/Module.symvers modules

tests: modules
	$(call kbuild,/tests/modules) KBUILD_EXTRA_SYMBOLS=$(CURDIR)/Module.symvers modules

modules_install: check-kdir
	$(call kbuild) modules_install

clean:
	$(call kbuild) clean
	$(call kbuild,/tests/modules) clean
	rm -f $(foreach module,provider consumer tally,$(module)/Module.symvers $(module)/modules.order)

crates := provider/provider_main.rs consumer/consumer_main.rs tally/tally_main.rs \
	$(wildcard tests/modules/*/*_main.rs)

fmt:
	$(RUSTFMT) $(crates)

fmtcheck:
	$(RUSTFMT) --check $(crates)

help:
	@echo 'make [KDIR=…]                  build provider.ko, consumer.ko and tally.ko'
	@echo 'make [KDIR=…] split            build each alone, as three packages would'
	@echo 'make [KDIR=…] tests            build the modules of tests/modules too'
	@echo 'make [KDIR=…] modules_install  install them, below INSTALL_MOD_PATH if that is set'
	@echo 'make [KDIR=…] clean            remove what was built'
	@echo 'make fmt | fmtcheck            format the Rust sources, or check that they are'
	@echo 'KDIR is $(KDIR)'

# The metadata that a Rust module needs of KDIR. Without the metadata rustc would only say E0463.
config = $(KDIR)/include/config/auto.conf
metadata = $(addprefix rust/lib,core.rmeta compiler_builtins.rmeta ffi.rmeta build_error.rmeta \
	pin_init.rmeta bindings.rmeta uapi.rmeta kernel.rmeta macros.so) \
	$(if $(shell grep -x CONFIG_X86_64=y $(config)),scripts/target.json)
missing = $(strip $(foreach file,$(metadata),$(if $(wildcard $(KDIR)/$(file)),,$(file))))
hint = `cargo xtask setup` prepares a kernel that has it, `cargo xtask build` builds for that one

check-kdir:
	$(if $(wildcard $(KDIR)/Makefile),,\
		$(error $(KDIR) is no kernel build tree: it has no Makefile. Name one with KDIR=…; $(hint)))
	$(if $(wildcard $(config)),,\
		$(error $(config) is missing: configure the kernel and run `make prepare` in it; $(hint)))
	$(if $(shell grep -x CONFIG_RUST=y $(config)),,\
		$(error $(config) lacks CONFIG_RUST=y: this kernel loads no Rust modules; $(hint)))
	$(if $(missing),\
		$(error $(KDIR) lacks the Rust metadata $(missing): \
		a header package without it builds no Rust module; $(hint)))
