// SPDX-License-Identifier: GPL-2.0
/*
 * The export table of sample. The functions are Rust (sample_main.rs); the
 * table is C, because Kbuild of Linux 7.3 computes symbol versions for the
 * exports of a C object only (rule_rustc_o_rs in scripts/Makefile.build).
 */
#include <linux/export.h>

#include "sample.h"

EXPORT_SYMBOL_GPL(sample_add);
EXPORT_SYMBOL_GPL(sample_total);
