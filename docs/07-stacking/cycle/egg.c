// SPDX-License-Identifier: GPL-2.0
/* Needs hen, which needs egg. */
#include <linux/module.h>

#include "cycle.h"

int egg_age(void)
{
	return hen_age() + 1;
}
EXPORT_SYMBOL_GPL(egg_age);

MODULE_DESCRIPTION("Came after the hen");
MODULE_LICENSE("GPL");
