// SPDX-License-Identifier: GPL-2.0
/* Counts nothing yet. */
#include <linux/atomic.h>
#include <linux/module.h>

#include "greeter_own.h"

static atomic_t calls;

int greeter_own_calls(void)
{
	return atomic_read(&calls);
}

MODULE_DESCRIPTION("Counts nothing yet");
MODULE_LICENSE("GPL");
