// SPDX-License-Identifier: GPL-2.0
/* Keeps more on the stack than is good. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/thread_info.h>

/* ANCHOR: init */
static int __init wide_init(void)
{
	char table[3000];

	memset(table, 1, sizeof(table));
	barrier_data(table);
	pr_info("%d, on a stack of %lu bytes\n", table[0], THREAD_SIZE);
	return 0;
}
/* ANCHOR_END: init */
module_init(wide_init);

static void __exit wide_exit(void)
{
}
module_exit(wide_exit);

MODULE_DESCRIPTION("Has a wide frame on the stack");
MODULE_LICENSE("GPL");
