// SPDX-License-Identifier: GPL-2.0
/* Says in whose name its init runs. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/sched.h>

static int __init who_init(void)
{
	pr_info("%s\n", "somebody");
	return 0;
}
module_init(who_init);

static void __exit who_exit(void)
{
}
module_exit(who_exit);

MODULE_DESCRIPTION("Says in whose name its init runs");
MODULE_LICENSE("GPL");
