// SPDX-License-Identifier: GPL-2.0
/* Has data for its init function alone. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

/* ANCHOR: table */
static int squares[] __initdata = { 0, 1, 4, 9 };
static int sum;

static int __init table_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(squares); i++)
		sum += squares[i];
	pr_info("the sum is %d\n", sum);
	return 0;
}
/* ANCHOR_END: table */
module_init(table_init);

static void __exit table_exit(void)
{
}
module_exit(table_exit);

MODULE_DESCRIPTION("Adds up a table that it then needs no more");
MODULE_LICENSE("GPL");
