// SPDX-License-Identifier: GPL-2.0
/* The same after a change of what it offers, so sealed with 2. */
#include <linux/module.h>

extern const char greeter_abi_2;
const char greeter_abi_2 = 2;
EXPORT_SYMBOL_GPL(greeter_abi_2);

MODULE_DESCRIPTION("Sealed with 2");
MODULE_LICENSE("GPL");
