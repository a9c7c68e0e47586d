// SPDX-License-Identifier: GPL-2.0
/* Exports a function of each class. */
#include <linux/module.h>

#include "greeter.h"

int greeter_any(int value)
{
	return value + 1;
}
EXPORT_SYMBOL(greeter_any);

int greeter_gpl(int value)
{
	return value + 2;
}
EXPORT_SYMBOL_GPL(greeter_gpl);

int greeter_named(int value)
{
	return value + 3;
}
EXPORT_SYMBOL_NS_GPL(greeter_named, "GREETER");

int greeter_chosen(int value)
{
	return value + 4;
}
EXPORT_SYMBOL_FOR_MODULES(greeter_chosen, "visitor");

MODULE_DESCRIPTION("Exports a function of each class");
MODULE_LICENSE("GPL");
