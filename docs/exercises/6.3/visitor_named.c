// SPDX-License-Identifier: GPL-2.0
/* Calls nobody yet. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "greeter_named.h"

static int __init visitor_named_init(void)
{
	pr_info("call %d\n", 0);
	return 0;
}
module_init(visitor_named_init);

static void __exit visitor_named_exit(void)
{
}
module_exit(visitor_named_exit);

MODULE_DESCRIPTION("Calls nobody yet");
MODULE_LICENSE("GPL");
