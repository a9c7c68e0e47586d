// SPDX-License-Identifier: GPL-2.0
/* Halves a number, and loses the half. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static unsigned short whole = 3;
module_param(whole, ushort, 0);
MODULE_PARM_DESC(whole, "What to halve");

static int __init half_init(void)
{
	pr_info("%d\n", whole / 2);
	return 0;
}
module_init(half_init);

static void __exit half_exit(void)
{
}
module_exit(half_exit);

MODULE_DESCRIPTION("Halves a number, and loses the half");
MODULE_LICENSE("GPL");
