// SPDX-License-Identifier: GPL-2.0
/* Stands on nothing but the kernel. */
#include <linux/module.h>

#include "house.h"

int ground_top(void)
{
	return 1;
}
EXPORT_SYMBOL_GPL(ground_top);

MODULE_DESCRIPTION("The ground of the house");
MODULE_LICENSE("GPL");
