// SPDX-License-Identifier: GPL-2.0
/* Calls nobody yet. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

#include "greeter_own.h"

static int __init visitor_own_init(void)
{
	pr_info("call %d\n", 0);
	return 0;
}
module_init(visitor_own_init);

static void __exit visitor_own_exit(void)
{
}
module_exit(visitor_own_exit);

MODULE_DESCRIPTION("Calls nobody yet");
MODULE_LICENSE("GPL");
