// SPDX-License-Identifier: GPL-2.0
/* Adds. */
#include <linux/module.h>

#include "greeter_adds.h"

int greeter_add(int a, int b)
{
	return a + b;
}
EXPORT_SYMBOL_GPL(greeter_add);

MODULE_DESCRIPTION("Adds");
MODULE_LICENSE("GPL");
