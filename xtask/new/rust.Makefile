# SPDX-License-Identifier: GPL-2.0
#
# Builds the modules for the kernel whose build tree is KDIR. The kernel's own variables pass
# through: V=1, CLIPPY=1, INSTALL_MOD_PATH=….

KDIR ?= /lib/modules/$(shell uname -r)/build
RUSTFMT ?= rustfmt

.PHONY: modules modules_install clean fmt fmtcheck

modules modules_install clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@

fmt:
	$(RUSTFMT) $(wildcard *_main.rs)

fmtcheck:
	$(RUSTFMT) --check $(wildcard *_main.rs)
