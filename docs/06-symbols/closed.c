// SPDX-License-Identifier: GPL-2.0
/* Proprietary, and uses what it may */
#include <linux/module.h>

#include "offers.h"

static int (*const wanted)(void) __used = offers_any;

MODULE_DESCRIPTION("Proprietary, and uses what it may");
MODULE_LICENSE("Proprietary");
