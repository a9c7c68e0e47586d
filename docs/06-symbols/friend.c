// SPDX-License-Identifier: GPL-2.0
/* Uses all that it may */
#include <linux/module.h>

#include "offers.h"

static int (*const wanted[])(void) __used = {
	offers_any,
	offers_gpl,
	offers_named,
	offers_chosen,
};

MODULE_DESCRIPTION("Uses all that it may");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("OFFERS");
