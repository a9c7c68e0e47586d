// SPDX-License-Identifier: GPL-2.0
/* Stands on the ground. */
#include <linux/module.h>

#include "house.h"

int left_wall_top(void)
{
	return ground_top() + 3;
}
EXPORT_SYMBOL_GPL(left_wall_top);

MODULE_DESCRIPTION("The left wall of the house");
MODULE_LICENSE("GPL");
