// SPDX-License-Identifier: GPL-2.0
/* Exports in every way there is. */
#include <linux/module.h>

#include "greeter.h"

/* ANCHOR: exports */
int greeter_any(void)
{
	return 1;
}
EXPORT_SYMBOL(greeter_any);

int greeter_gpl(void)
{
	return 2;
}
EXPORT_SYMBOL_GPL(greeter_gpl);

int greeter_named(void)
{
	return 3;
}
EXPORT_SYMBOL_NS_GPL(greeter_named, "GREETER");

int greeter_chosen(void)
{
	return 4;
}
EXPORT_SYMBOL_FOR_MODULES(greeter_chosen, "friend");

int greeter_data = 5;
EXPORT_SYMBOL_GPL(greeter_data);

/* Global, but not exported. */
int greeter_global(void)
{
	return 6;
}

static const int greeter_const __used = 7;
/* ANCHOR_END: exports */

MODULE_DESCRIPTION("Exports in every way there is");
MODULE_LICENSE("GPL");
