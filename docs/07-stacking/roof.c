// SPDX-License-Identifier: GPL-2.0
/* Stands on both walls. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "house.h"

static int __init roof_init(void)
{
	pr_info("the walls reach %d and %d\n", left_wall_top(), right_wall_top());
	return 0;
}
module_init(roof_init);

static void __exit roof_exit(void)
{
}
module_exit(roof_exit);

MODULE_DESCRIPTION("The roof of the house");
MODULE_LICENSE("GPL");
