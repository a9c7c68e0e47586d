// SPDX-License-Identifier: GPL-2.0
/* Loads with the greeter that it was built for, and with no other. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

#include "greeter_sealed.h"

static int __init visitor_sealed_init(void)
{
	pr_info("sealed with %d\n", greeter_abi_1);
	return 0;
}
module_init(visitor_sealed_init);

static void __exit visitor_sealed_exit(void)
{
}
module_exit(visitor_sealed_exit);

MODULE_DESCRIPTION("Loads with the greeter that it was built for, and with no other");
MODULE_LICENSE("GPL");
