// SPDX-License-Identifier: GPL-2.0
/* Calls greeter_own twice. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

#include "greeter_own.h"

static int __init visitor_own_init(void)
{
	greeter_own_calls();
	pr_info("call %d\n", greeter_own_calls());
	return 0;
}
module_init(visitor_own_init);

static void __exit visitor_own_exit(void)
{
}
module_exit(visitor_own_exit);

MODULE_DESCRIPTION("Calls greeter_own twice");
MODULE_LICENSE("GPL");
