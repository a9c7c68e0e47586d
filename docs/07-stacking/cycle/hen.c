// SPDX-License-Identifier: GPL-2.0
/* Needs egg, which needs hen. */
#include <linux/module.h>

#include "cycle.h"

int hen_age(void)
{
	return egg_age() + 1;
}
EXPORT_SYMBOL_GPL(hen_age);

MODULE_DESCRIPTION("Came after the egg");
MODULE_LICENSE("GPL");
