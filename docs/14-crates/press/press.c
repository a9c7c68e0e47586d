// SPDX-License-Identifier: GPL-2.0
/* Prints numbers on tickets. */
#include <linux/module.h>

#include "press.h"

static atomic64_t last = ATOMIC64_INIT(0);

u64 press_next(void)
{
	return atomic64_inc_return(&last);
}
EXPORT_SYMBOL_GPL(press_next);

MODULE_DESCRIPTION("Prints numbers on tickets");
MODULE_LICENSE("GPL");
