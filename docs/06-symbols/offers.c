// SPDX-License-Identifier: GPL-2.0
/* Exports in every way there is. */
#include <linux/module.h>

#include "offers.h"

/* ANCHOR: exports */
int offers_any(void)
{
	return 1;
}
EXPORT_SYMBOL(offers_any);

int offers_gpl(void)
{
	return 2;
}
EXPORT_SYMBOL_GPL(offers_gpl);

int offers_named(void)
{
	return 3;
}
EXPORT_SYMBOL_NS_GPL(offers_named, "OFFERS");

int offers_chosen(void)
{
	return 4;
}
EXPORT_SYMBOL_FOR_MODULES(offers_chosen, "friend");

int offers_data = 5;
EXPORT_SYMBOL_GPL(offers_data);

/* Global, but not exported. */
int offers_global(void)
{
	return 6;
}

static const int offers_const __used = 7;
/* ANCHOR_END: exports */

MODULE_DESCRIPTION("Exports in every way there is");
MODULE_LICENSE("GPL");
