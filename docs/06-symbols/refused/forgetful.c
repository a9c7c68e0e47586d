// SPDX-License-Identifier: GPL-2.0
/* Wants what is in a namespace, and does not import it */
#include <linux/module.h>

#include "../offers.h"

static int (*const wanted)(void) __used = offers_named;

MODULE_DESCRIPTION("Wants what is in a namespace, and does not import it");
MODULE_LICENSE("GPL");
