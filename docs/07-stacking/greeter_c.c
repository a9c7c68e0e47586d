// SPDX-License-Identifier: GPL-2.0
/* Greets for other modules. */
#include <linux/module.h>

#include "greeter_c.h"

unsigned int greeter_c_greeted;
EXPORT_SYMBOL_GPL(greeter_c_greeted);

int greeter_c_hello(const char *name)
{
	pr_info("greeter_c: Hello, %s!\n", name);
	greeter_c_greeted++;
	return 0;
}
EXPORT_SYMBOL_GPL(greeter_c_hello);

MODULE_DESCRIPTION("Greets for other modules");
MODULE_LICENSE("GPL");
