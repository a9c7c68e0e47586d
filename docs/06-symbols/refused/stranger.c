// SPDX-License-Identifier: GPL-2.0
/* Wants what is for another module */
#include <linux/module.h>

#include "../offers.h"

static int (*const wanted)(void) __used = offers_chosen;

MODULE_DESCRIPTION("Wants what is for another module");
MODULE_LICENSE("GPL");
