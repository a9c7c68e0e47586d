// SPDX-License-Identifier: GPL-2.0
/* Adds what does not fit an int. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

#include "greeter_adds.h"

static int __init visitor_new_init(void)
{
	pr_info("%ld\n", greeter_add_long(1L << 32, 2));
	return 0;
}
module_init(visitor_new_init);

static void __exit visitor_new_exit(void)
{
}
module_exit(visitor_new_exit);

MODULE_DESCRIPTION("Adds what does not fit an int");
MODULE_LICENSE("GPL");
