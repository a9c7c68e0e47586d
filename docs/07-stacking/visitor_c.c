// SPDX-License-Identifier: GPL-2.0
/* Asks greeter_c for a greeting. */
#include <linux/module.h>

#include "greeter_c.h"

static int __init visitor_init(void)
{
	return greeter_c_hello("visitor_c");
}
module_init(visitor_init);

static void __exit visitor_exit(void)
{
	pr_info("visitor_c: %u were greeted\n", greeter_c_greeted);
}
module_exit(visitor_exit);

MODULE_DESCRIPTION("Asks greeter_c for a greeting");
MODULE_LICENSE("GPL");
