// SPDX-License-Identifier: GPL-2.0
/* Says which hall it was asked for. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static int __init hall_init(void)
{
	pr_info("number %d\n", 0);
	return 0;
}
module_init(hall_init);

static void __exit hall_exit(void)
{
}
module_exit(hall_exit);

MODULE_DESCRIPTION("Says which hall it was asked for");
MODULE_LICENSE("GPL");
