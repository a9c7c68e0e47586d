# SPDX-License-Identifier: GPL-2.0
#
# Builds the modules for the kernel whose build tree is KDIR. The kernel's own variables pass
# through: V=1, INSTALL_MOD_PATH=….

KDIR ?= /lib/modules/$(shell uname -r)/build

.PHONY: modules modules_install clean

modules modules_install clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@
