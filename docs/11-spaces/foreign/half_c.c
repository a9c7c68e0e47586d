// SPDX-License-Identifier: GPL-2.0
/* Halves a number in floating point. */
#include <linux/init.h>
#include <linux/module.h>

static int whole = 3;
module_param(whole, int, 0);
MODULE_PARM_DESC(whole, "What to halve");

/* ANCHOR: init */
static double halve(int number)
{
	return number / 2.0;
}

static int __init half_init(void)
{
	pr_info("%d\n", (int)halve(whole));
	return 0;
}
/* ANCHOR_END: init */
module_init(half_init);

MODULE_DESCRIPTION("Divides in floating point");
MODULE_LICENSE("GPL");
