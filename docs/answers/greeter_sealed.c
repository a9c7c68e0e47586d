// SPDX-License-Identifier: GPL-2.0
/* Sealed with 1. */
#include <linux/module.h>

#include "greeter_sealed.h"

const char greeter_abi_1 = 1;
EXPORT_SYMBOL_GPL(greeter_abi_1);

MODULE_DESCRIPTION("Sealed with 1");
MODULE_LICENSE("GPL");
