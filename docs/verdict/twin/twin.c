// SPDX-License-Identifier: GPL-2.0
/* Exports a name that greeter exports as well. */
#include <linux/module.h>

int greeter_any(int value);

int greeter_any(int value)
{
	return value;
}
EXPORT_SYMBOL(greeter_any);

MODULE_DESCRIPTION("Exports a name that greeter exports as well");
MODULE_LICENSE("GPL");
