// SPDX-License-Identifier: GPL-2.0
/* Calls greeter_named twice. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "greeter_named.h"

static int __init visitor_named_init(void)
{
	greeter_named_calls();
	pr_info("call %d\n", greeter_named_calls());
	return 0;
}
module_init(visitor_named_init);

static void __exit visitor_named_exit(void)
{
}
module_exit(visitor_named_exit);

MODULE_IMPORT_NS("MINE");

MODULE_DESCRIPTION("Calls greeter_named twice");
MODULE_LICENSE("GPL");
