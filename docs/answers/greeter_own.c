// SPDX-License-Identifier: GPL-2.0
/* Counts its calls. */
#include <linux/atomic.h>
#include <linux/module.h>

#include "greeter_own.h"

static atomic_t calls;

int greeter_own_calls(void)
{
	return atomic_inc_return(&calls);
}
EXPORT_SYMBOL_GPL(greeter_own_calls);

MODULE_DESCRIPTION("Counts its calls");
MODULE_LICENSE("GPL");
