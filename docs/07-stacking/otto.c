// SPDX-License-Identifier: GPL-2.0
/* Stands on greeter_c, and has a function for party. */
#include <linux/module.h>

#include "party.h"
#include "greeter_c.h"

int otto_comes(void)
{
	return greeter_c_hello("otto");
}
EXPORT_SYMBOL_GPL(otto_comes);

MODULE_DESCRIPTION("Comes to the party");
MODULE_LICENSE("GPL");
