// SPDX-License-Identifier: GPL-2.0
/* Has no exit function: once loaded, it stays. */
#include <linux/init.h>
#include <linux/module.h>

static int __init stays_init(void)
{
	return 0;
}
module_init(stays_init);

MODULE_DESCRIPTION("Cannot be removed");
MODULE_LICENSE("GPL");
