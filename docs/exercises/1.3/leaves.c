// SPDX-License-Identifier: GPL-2.0
/* Has an init function and no exit function. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static int __init leaves_init(void)
{
	pr_info("stays\n");
	return 0;
}
module_init(leaves_init);


MODULE_DESCRIPTION("Has an init function and no exit function");
MODULE_LICENSE("GPL");
