// SPDX-License-Identifier: GPL-2.0
/* Has what hen and egg both need. */
#include <linux/module.h>

#include "farm.h"

int farm_age(void)
{
	return 1;
}
EXPORT_SYMBOL_GPL(farm_age);

MODULE_DESCRIPTION("Has what hen and egg both need");
MODULE_LICENSE("GPL");
