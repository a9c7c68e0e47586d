// SPDX-License-Identifier: GPL-2.0
/* Needs the farm, and not the other one. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "farm.h"

static int __init hen_init(void)
{
	pr_info("is %d\n", farm_age() + 1);
	return 0;
}
module_init(hen_init);

static void __exit hen_exit(void)
{
}
module_exit(hen_exit);

MODULE_DESCRIPTION("Needs the farm, and not the other one");
MODULE_LICENSE("GPL");
