// SPDX-License-Identifier: GPL-2.0
/* Stands on the ground. */
#include <linux/module.h>

#include "house.h"

int right_wall_top(void)
{
	return ground_top() + 3;
}
EXPORT_SYMBOL_GPL(right_wall_top);

MODULE_DESCRIPTION("The right wall of the house");
MODULE_LICENSE("GPL");
