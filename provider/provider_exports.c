// SPDX-License-Identifier: GPL-2.0
/*
 * The export table of provider. The functions are Rust (provider_main.rs); the
 * table is C, because Kbuild of Linux 7.3 computes symbol versions for the
 * exports of a C object only (rule_rustc_o_rs in scripts/Makefile.build), here
 * from the prototypes in provider.h, which also says why each function is in
 * its class.
 */
#include <linux/export.h>

#include "provider.h"

EXPORT_SYMBOL_GPL(provider_register);
EXPORT_SYMBOL_GPL(provider_unregister);
EXPORT_SYMBOL_GPL(provider_add);
EXPORT_SYMBOL(provider_read);
EXPORT_SYMBOL_NS_GPL(provider_count, "PROVIDER");
EXPORT_SYMBOL_FOR_MODULES(provider_set, "consumer");
