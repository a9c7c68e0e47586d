// SPDX-License-Identifier: GPL-2.0
/* Wants what is global, but not exported */
#include <linux/kallsyms.h>
#include <linux/module.h>

#include "../offers.h"

static int (*const wanted)(void) __used = offers_global;

static unsigned long (*const of_the_kernel)(const char *name) __used = kallsyms_lookup_name;

MODULE_DESCRIPTION("Wants what is global, but not exported");
MODULE_LICENSE("GPL");
