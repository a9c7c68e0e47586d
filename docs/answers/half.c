// SPDX-License-Identifier: GPL-2.0
/* Halves a number without floating point. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static unsigned short whole = 3;
module_param(whole, ushort, 0);
MODULE_PARM_DESC(whole, "What to halve");

static int __init half_init(void)
{
	int tenths = whole * 10 / 2;

	pr_info("%d.%d\n", tenths / 10, tenths % 10);
	return 0;
}
module_init(half_init);

static void __exit half_exit(void)
{
}
module_exit(half_exit);

MODULE_DESCRIPTION("Halves a number without floating point");
MODULE_LICENSE("GPL");
