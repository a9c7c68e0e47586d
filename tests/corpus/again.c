// SPDX-License-Identifier: GPL-2.0-only
/* Exports one function, which a fixture renames to what gives.ko exports. */
#include <linux/export.h>
#include <linux/module.h>

#include "gives.h"

int again_any(int value)
{
	return value + 5;
}
EXPORT_SYMBOL(again_any);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Another export");
