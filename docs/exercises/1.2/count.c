// SPDX-License-Identifier: GPL-2.0
/* Says how long it has been there. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/timekeeping.h>

static int __init count_init(void)
{
	pr_info("loaded\n");
	return 0;
}
module_init(count_init);

static void __exit count_exit(void)
{
}
module_exit(count_exit);

MODULE_DESCRIPTION("Says how long it has been there");
MODULE_LICENSE("GPL");
