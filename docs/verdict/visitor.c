// SPDX-License-Identifier: GPL-2.0
/* Uses a function of each class. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>

#include "greeter.h"

static int __init visitor_init(void)
{
	int sum = greeter_any(0) + greeter_gpl(0) + greeter_named(0) + greeter_chosen(0);

	return sum == 10 ? 0 : -EINVAL;
}
module_init(visitor_init);

static void __exit visitor_exit(void)
{
}
module_exit(visitor_exit);

MODULE_IMPORT_NS("GREETER");

MODULE_DESCRIPTION("Uses a function of each class");
MODULE_LICENSE("GPL");
