// SPDX-License-Identifier: GPL-2.0
/* Proprietary, and wants what is for the GPL */
#include <linux/module.h>

#include "../offers.h"

static int (*const wanted)(void) __used = offers_gpl;

MODULE_DESCRIPTION("Proprietary, and wants what is for the GPL");
MODULE_LICENSE("Proprietary");
