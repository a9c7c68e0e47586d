// SPDX-License-Identifier: GPL-2.0
/* Adds as always. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

#include "greeter_adds.h"

static int __init visitor_old_init(void)
{
	pr_info("%d\n", greeter_add(2, 3));
	return 0;
}
module_init(visitor_old_init);

static void __exit visitor_old_exit(void)
{
}
module_exit(visitor_old_exit);

MODULE_DESCRIPTION("Adds as always");
MODULE_LICENSE("GPL");
