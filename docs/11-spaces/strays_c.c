// SPDX-License-Identifier: GPL-2.0
/* Reads through a pointer that points nowhere. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

/* ANCHOR: init */
struct counter {
	u64 limit;
	u64 value;
};

static struct counter *counter;

static int __init strays_init(void)
{
	pr_info("the counter is %llu\n", counter->value);
	return 0;
}
/* ANCHOR_END: init */
module_init(strays_init);

static void __exit strays_exit(void)
{
}
module_exit(strays_exit);

MODULE_DESCRIPTION("Follows a null pointer");
MODULE_LICENSE("GPL");
